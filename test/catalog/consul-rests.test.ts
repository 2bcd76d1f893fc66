import t from 'tap'
import { Rests } from '../../src/catalog/consul/rests.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function rig() {
  const clock = new FakeClock()
  const rests = new Rests(clock, () => 0.5)
  const ended = new AbortController()
  const begin = (delayMs: number): { done: boolean } => {
    const state = { done: false }
    void rests.rest(delayMs, ended.signal).then(() => (state.done = true))
    return state
  }
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await settled()
  }
  return { clock, rests, ended, begin, advance }
}

void t.test('a rest lasts as long as it was told', async (t) => {
  const { begin, advance, clock } = rig()
  const state = begin(1_000)
  await advance(999)
  t.notOk(state.done)
  await advance(1)
  t.ok(state.done)
  t.equal(clock.pending, 0)
})

void t.test('once one is back, the others wake, spread', async (t) => {
  const { begin, advance, rests, clock } = rig()
  const states = Array.from({ length: 100 }, () => begin(30_000))
  rests.wakeAll()
  await settled()
  t.notOk(
    states.some((state) => state.done),
    'not all at once',
  )
  await advance(400)
  t.ok(states.every((state) => state.done))
  t.equal(clock.pending, 0)
  const later = begin(30_000)
  rests.wakeAll()
  await advance(100)
  t.notOk(later.done, 'one that flaps does not drive the others')
  await advance(1_000)
  rests.wakeAll()
  await settled()
  await advance(10)
  t.ok(later.done)
})

void t.test('a rest that would end sooner anyway is not made longer', async (t) => {
  const { begin, advance, rests } = rig()
  for (let n = 0; n < 200; n++) begin(30_000)
  const state = begin(10)
  rests.wakeAll()
  await settled()
  await advance(10)
  t.ok(state.done)
})

void t.test('an abort ends it', async (t) => {
  const { begin, ended, clock, rests } = rig()
  const states = [begin(30_000), begin(30_000)]
  ended.abort()
  await settled()
  rests.wakeAll()
  t.ok(states.every((state) => state.done))
  t.equal(clock.pending, 0)
})
