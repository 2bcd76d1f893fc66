import t from 'tap'
import {
  atOnce,
  createRounds,
  createTurns,
  inGroups,
  inTurns,
  nextTurn,
  type Steps,
  stepwise,
} from '../../src/core/turn.ts'
import { FakeTurns } from '../fixtures/turns.ts'

/** Turns of the loop, and what they do. */
function rig() {
  const loop: (() => void)[] = []
  const done: string[] = []
  const inTurn = createTurns((fn) => void loop.push(fn))
  const turn = (): void => {
    for (const fn of loop.splice(0)) fn()
  }
  return { loop, done, inTurn, turn, note: (what: string) => () => void done.push(what) }
}

function* counted(done: string[]): Steps<number> {
  done.push('1')
  yield
  done.push('2')
  return 3
}

t.test('one piece of work a turn, in order, whoever asks', async (t) => {
  const { inTurn, turn, done, note, loop } = rig()
  inTurn(note('a'))
  inTurn(() => {
    note('b')()
    inTurn(note('d'))
  })
  inTurn(note('c'))
  t.same(done, [])
  for (const so of [['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd']]) {
    turn()
    t.same(done, so)
  }
  t.same(loop, [], 'no turn is asked for without work')
  inTurn(note('e'))
  turn()
  t.equal(done.at(-1), 'e')
})

t.test('work that throws costs nobody else their turn', async (t) => {
  const { inTurn, turn, done, note } = rig()
  inTurn(() => {
    throw new Error('mine')
  })
  inTurn(note('other'))
  t.throws(turn, /mine/)
  turn()
  t.same(done, ['other'])
})

t.test('steps: one now and each other in a turn, or all at once, or awaited', async (t) => {
  const done: string[] = []
  const turns = new FakeTurns()
  function* steps(): Steps<void> {
    yield* counted(done)
  }
  stepwise(steps(), turns.inTurn)
  t.same(done, ['1'])
  t.equal(turns.all(), 1)
  t.same(done, ['1', '2'])
  t.equal(atOnce(counted(done)), 3)
  t.equal(await inTurns(counted(done)), 3)
  t.equal(done.length, 6)
})

t.test('a round begins when the last is through', async (t) => {
  const turns = new FakeTurns()
  const rounds = createRounds(turns.inTurn)
  const done: number[] = []
  const round = (): void => rounds(() => inGroups([1, 2, 3, 4, 5], 2, (item) => void done.push(item)))
  round()
  t.same(done, [1, 2])
  round()
  turns.next()
  t.same(done, [1, 2, 3, 4])
  round()
  t.equal(turns.all(), 1)
  t.same(done, [1, 2, 3, 4, 5])
  round()
  turns.all()
  t.equal(done.length, 10)
  rounds(() => inGroups([1, 2], 2, () => {}))
  t.equal(turns.waiting, 0, 'what fits into one turn asks for no other')
})

t.test('two that wait for the next turn do not share it', async (t) => {
  const done: string[] = []
  const waits = async (name: string): Promise<void> => {
    await nextTurn()
    done.push(name)
    await nextTurn()
    done.push(name)
  }
  // A turn of the loop as anybody else sees it.
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  void waits('a')
  void waits('b')
  let most = 0
  while (done.length < 4) {
    const before = done.length
    await turn()
    most = Math.max(most, done.length - before)
  }
  t.same(done, ['a', 'b', 'a', 'b'])
  t.equal(most, 1)
})
