/** In which order requests are executed for the second time: one at a time at each endpoint, until answers begin. */
import fc from 'fast-check'
import t from 'tap'
import type { EndpointState } from '../../src/live/runtime.ts'
import { type Turn, Turns, turnsWaitingMax, turnWaitMaxMs } from '../../src/proxy/turns.ts'
import { Deadlines, sweepMs } from '../../src/wire/deadlines.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const endpoint = (name: string, service = 'web'): EndpointState =>
  ({ handle: name, service }) as unknown as EndpointState

function make(): { clock: FakeClock; deadlines: Deadlines; turns: Turns } {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  return { clock, deadlines, turns: new Turns(deadlines) }
}

t.test('one at each endpoint; another when that one is answered, and then twice as many', async (t) => {
  const { turns } = make()
  const a = endpoint('a')
  t.strictSame(turns.taken(false), [])
  const first = turns.begin(a, false)
  t.strictSame(turns.taken(false), [a])
  const woken: string[] = []
  const running: Turn[] = []
  const ask = (name: string): void => {
    if (turns.taken(false).includes(a)) return turns.wait('web', name, () => ask(name))
    woken.push(name)
    running.push(turns.begin(a, false))
  }
  for (let i = 0; i < 9; i++) ask(`r${i}`)
  t.strictSame(woken, [])
  first(true)
  t.strictSame(woken, ['r0', 'r1'])
  running.splice(0).forEach((turn) => turn(true))
  t.strictSame(woken, ['r0', 'r1', 'r2', 'r3', 'r4', 'r5'], 'four at once')
  running.splice(0).forEach((turn) => turn(false))
  t.equal(woken.length, 9, 'what failed there frees the place, too')
  running.splice(0).forEach((turn) => turn(true))
  t.equal(turns.waiting, 0)
  turns.begin(a, false)
  t.strictSame(turns.taken(false), [a], 'the next time it begins with one again')
})

t.test('what may be the cause has its place for itself', async (t) => {
  const { turns } = make()
  const [a, b] = [endpoint('a'), endpoint('b')]
  const other = turns.begin(a, false)
  t.strictSame(turns.taken(true), [a], 'nobody was there before it')
  other(true)
  const suspect = turns.begin(b, true)
  t.strictSame(turns.taken(false), [b], 'and nobody comes')
  t.strictSame(turns.taken(false, true), [b], 'while there are others')
  t.strictSame(turns.taken(true, true), [], 'two of its kind, when it cannot be helped')
  suspect(true)
  t.strictSame([turns.taken(true), turns.taken(false)], [[], []])
})

t.test('whoever may be the cause and is done no longer keeps others away', async (t) => {
  const { turns } = make()
  const a = endpoint('a')
  const suspects = [turns.begin(a, true), turns.begin(a, true)]
  const other = turns.begin(a, false)
  for (const suspect of suspects) suspect(true)
  t.strictSame(turns.taken(false), [], 'one of three')
  t.strictSame(turns.taken(true, true), [a], 'but for one of its kind, that has to be alone')
  other(true)
})

t.test('one that goes and is done at once frees the place for the next, and is asked once', async (t) => {
  const { turns } = make()
  const a = endpoint('a')
  const woken: string[] = []
  const first = turns.begin(a, false)
  for (const name of ['one', 'two', 'three'])
    turns.wait('web', name, () => {
      woken.push(name)
      turns.begin(a, false)(false)
    })
  first(false)
  t.strictSame(woken, ['one', 'two', 'three'])
  t.equal(turns.waiting, 0)
})

t.test('not all are asked each time where the first ones cannot go', async (t) => {
  const { turns } = make()
  const asked: number[] = []
  const ask = (index: number): void =>
    turns.wait('web', index, () => {
      asked.push(index)
      ask(index)
    })
  for (let index = 0; index < 20; index++) ask(index)
  turns.begin(endpoint('a'), false)(true)
  t.strictSame(asked, [0, 1, 2, 3, 4, 5, 6, 7])
})

t.test('it waits for so long, and goes then; who has left is not woken; no timer stays', async (t) => {
  const { clock, deadlines, turns } = make()
  const woken: string[] = []
  const ask =
    (name: string) =>
    (due: boolean): void => {
      if (due) woken.push(name)
      else turns.wait('web', name, ask(name))
    }
  turns.wait('web', 'stays', ask('stays'))
  turns.wait('web', 'leaves', ask('leaves'))
  turns.wait('shop', 'elsewhere', ask('elsewhere'))
  clock.advance(turnWaitMaxMs - 10)
  t.strictSame(woken, [])
  turns.leave('web', 'leaves')
  turns.leave('web', 'leaves')
  clock.advance(10 + sweepMs)
  t.strictSame(woken, ['stays', 'elsewhere'])
  t.equal(turns.waiting, 0)
  t.equal(deadlines.size, 0)
  t.equal(clock.pending, 0)
})

t.test('asked again it keeps its place and its time', async (t) => {
  const { clock, turns } = make()
  const woken: string[] = []
  turns.wait('web', 'one', () => void woken.push('early'))
  clock.advance(sweepMs - 10)
  turns.wait('web', 'two', () => void woken.push('two'))
  turns.wait('web', 'one', () => void woken.push('one'))
  clock.advance(10)
  t.strictSame(woken, ['one', 'two'], 'also without an answer they are asked at each sweep')
})

t.test('so many may wait', async (t) => {
  const { turns } = make()
  for (let i = 0; i < turnsWaitingMax; i++) {
    if (!turns.hasRoom('web')) t.fail(`no room for ${i}`)
    turns.wait('web', i, () => {})
  }
  t.notOk(turns.hasRoom('web'))
  t.ok(turns.hasRoom('shop'))
})

t.test('whatever happens: places are kept to, everybody goes in time, and nothing is left', async (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('ask' as const), suspect: fc.boolean() }),
    fc.record({ kind: fc.constant('end' as const), at: fc.nat(), answered: fc.boolean() }),
    fc.record({ kind: fc.constant('leave' as const), at: fc.nat() }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 120 }) }),
  )
  const run = (steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]): void => {
    const { clock, deadlines, turns } = make()
    const places = [endpoint('a'), endpoint('b'), endpoint('c')]
    const waiting = new Map<number, number>()
    const running: { turn: Turn; state: EndpointState; suspect: boolean; late: boolean }[] = []
    const go = (name: number, suspect: boolean, due: boolean): void => {
      const taken = turns.taken(suspect)
      const free = places.find((each) => !taken.includes(each))
      if (!free && !due) return turns.wait('web', keys[name]!, (late) => go(name, suspect, late))
      waiting.delete(name)
      const state = free ?? places[0]!
      const beside = running.filter((each) => each.state === state)
      if (free && suspect && beside.length > 0) throw new Error('not alone')
      if (free && beside.some((each) => each.suspect)) throw new Error('beside a suspect')
      running.push({ turn: turns.begin(state, suspect), state, suspect, late: !free })
    }
    const keys: object[] = []
    for (const one of steps) {
      if (one.kind === 'ask') {
        keys.push({})
        waiting.set(keys.length - 1, clock.now())
        go(keys.length - 1, one.suspect, false)
      } else if (one.kind === 'end' && running.length > 0)
        running.splice(one.at % running.length, 1)[0]!.turn(one.answered)
      else if (one.kind === 'leave' && waiting.size > 0) {
        const name = [...waiting.keys()][one.at % waiting.size]!
        waiting.delete(name)
        turns.leave('web', keys[name]!)
      } else if (one.kind === 'pass') clock.advance(one.ms)
      if (turns.waiting !== waiting.size) throw new Error(`${turns.waiting} wait, and not ${waiting.size}`)
      for (const sinceMs of waiting.values())
        if (clock.now() - sinceMs > turnWaitMaxMs + sweepMs) throw new Error('waits too long')
    }
    clock.advance(turnWaitMaxMs + sweepMs)
    while (running.length > 0) running.pop()!.turn(false)
    if (turns.waiting > 0 || deadlines.size > 0 || turns.taken(true).length > 0) throw new Error('something is left')
  }
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), run), { interruptAfterTimeLimit: 5_000, numRuns: 2_000 })
  t.pass('held')
})
