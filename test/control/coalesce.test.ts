import fc from 'fast-check'
import t from 'tap'
import { type Coalescer, createCoalescer, spacingMaxMs, spacingMinMs } from '../../src/control/coalesce.ts'
import type { Clock } from '../../src/core/clock.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeTurns, noTurns } from '../fixtures/turns.ts'

/** Of work that is one step and waits for no turn. */
const coalescerOf = (clock: Clock, work: () => void): Coalescer =>
  createCoalescer(
    clock,
    // oxlint-disable-next-line require-yield -- one step
    function* () {
      work()
    },
    noTurns,
  )

void t.test('the first after quiet runs at once, a storm every so often, the last one surely', async (t) => {
  const clock = new FakeClock()
  const runs: number[] = []
  const start = clock.now()
  const coalescer = coalescerOf(clock, () => runs.push(clock.now() - start))
  coalescer.request()
  t.same(runs, [0])
  for (let i = 0; i < 35; i++) {
    clock.advance(10)
    coalescer.request()
  }
  t.same(runs, [0, 100, 200, 300])
  clock.advance(10_000)
  t.same(runs, [0, 100, 200, 300, 400], 'what was asked for last is done, and nothing more')
  t.equal(clock.pending, 0)
  coalescer.request()
  t.equal(runs.length, 6, 'quiet again: at once')
})

void t.test('slow work is done less often, but not later than the bound', async (t) => {
  for (const [takes, spacing] of [
    [5, 100],
    [40, 360],
    [500, 1_000],
  ] as const) {
    const clock = new FakeClock()
    let runs = 0
    const coalescer = coalescerOf(clock, () => {
      runs++
      clock.advance(takes)
    })
    coalescer.request()
    coalescer.request()
    t.equal(clock.nextDelay(), spacing, `after ${takes} ms`)
    coalescer.stop()
    t.equal(runs, 1)
  }
})

void t.test('a request made by the work itself comes later, not within', async (t) => {
  const clock = new FakeClock()
  let runs = 0
  const coalescer = coalescerOf(clock, () => {
    if (++runs < 3) coalescer.request()
  })
  coalescer.request()
  t.equal(runs, 1)
  clock.advance(spacingMinMs)
  t.equal(runs, 2)
  clock.advance(10 * spacingMinMs)
  t.equal(runs, 3)
})

void t.test('after stop nothing runs and no timer is left', async (t) => {
  const clock = new FakeClock()
  let runs = 0
  const coalescer = coalescerOf(clock, () => runs++)
  coalescer.request()
  coalescer.request()
  coalescer.stop()
  coalescer.request()
  t.equal(clock.pending, 0)
  clock.advance(10_000)
  t.equal(runs, 1)
})

void t.test('every request is followed by a run in time, and runs keep their distance', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 200 })), { maxLength: 40 }),
      (steps) => {
        const clock = new FakeClock()
        // Work takes time while no timer can fire: it only shifts what `now` says.
        let worked = 0
        const busy = { wall: () => 0, now: () => clock.now() + worked, setTimer: clock.setTimer.bind(clock) }
        const ends: number[] = []
        const starts: number[] = []
        let takes = 0
        const coalescer = coalescerOf(busy, () => {
          starts.push(busy.now())
          worked += takes
          ends.push(busy.now())
        })
        for (const [wait, cost] of steps) {
          clock.advance(wait)
          takes = cost
          const asked = busy.now()
          coalescer.request()
          const due = clock.nextDelay()
          if (starts.at(-1) !== asked && (due === undefined || due > spacingMaxMs)) return false
        }
        clock.advance(spacingMaxMs)
        return (
          clock.pending === 0 && starts.every((at, i) => i === 0 || at - (ends[i - 1] ?? 0) >= spacingMinMs - 0.001)
        )
      },
    ),
    { numRuns: 300 },
  )
})

void t.test('what waits can be had at once, and is then done', async (t) => {
  const clock = new FakeClock()
  let runs = 0
  const coalescer = coalescerOf(clock, () => runs++)
  coalescer.flush()
  t.equal(runs, 0, 'nothing waits')
  coalescer.request()
  coalescer.flush()
  t.equal(runs, 1, 'nor after it ran')
  coalescer.request()
  t.equal(runs, 1)
  coalescer.flush()
  t.equal(runs, 2)
  t.equal(clock.pending, 0)
  coalescer.request()
  coalescer.stop()
  coalescer.flush()
  t.equal(runs, 2, 'nothing runs after the end')
})

/** Work of three steps that says which it does and for how long. */
function stepped(takesMs = 0) {
  const clock = new FakeClock()
  const turns = new FakeTurns()
  const done: number[] = []
  const rig = { clock, turns, done, asked: undefined as (() => void) | undefined }
  const coalescer = createCoalescer(
    clock,
    function* () {
      for (const step of [1, 2, 3]) {
        if (step > 1) yield
        done.push(step)
        clock.advance(takesMs)
        rig.asked?.()
      }
    },
    turns.inTurn,
  )
  return { ...rig, rig, coalescer }
}

void t.test('each step has a turn of its own', async (t) => {
  const { coalescer, turns, done, clock } = stepped()
  coalescer.request()
  t.same(done, [], 'not even the first in that of whoever asks')
  for (const step of [1, 2, 3]) {
    t.ok(turns.next())
    t.equal(done.length, step)
  }
  t.equal(turns.all(), 0)
  t.equal(clock.pending, 0)
})

void t.test('asked for before it begins, it is done once; while it is under way, once more', async (t) => {
  const { coalescer, turns, done, clock } = stepped()
  coalescer.request()
  coalescer.request()
  turns.all()
  t.equal(clock.pending, 0)
  clock.advance(spacingMinMs)
  done.length = 0
  coalescer.request()
  turns.next()
  turns.next()
  coalescer.request()
  turns.all()
  t.same(done, [1, 2, 3])
  clock.advance(spacingMinMs)
  turns.all()
  t.same(done, [1, 2, 3, 1, 2, 3])
  t.equal(clock.pending, 0)
})

void t.test('what others do between its steps is not its own time', async (t) => {
  const { coalescer, turns, clock } = stepped(20)
  coalescer.request()
  while (turns.next()) clock.advance(400)
  coalescer.request()
  t.equal(clock.nextDelay(), 540 - 400, 'nine times three steps, the last of them 400 ms ago')
})

void t.test('the rest of it can be had at once, from anywhere', async (t) => {
  const { coalescer, turns, done, rig } = stepped()
  rig.asked = () => coalescer.flush()
  coalescer.request()
  turns.next()
  t.same(done, [1], 'a step that asks for the rest is not interrupted by it')
  coalescer.request()
  coalescer.flush()
  t.same(done, [1, 2, 3, 1, 2, 3], 'and what was asked for meanwhile')
  turns.all()
  t.equal(done.length, 6, 'the turns that were asked for have nothing to do')
  coalescer.request()
  coalescer.stop()
  turns.all()
  coalescer.flush()
  t.equal(done.length, 6)
})
