import fc from 'fast-check'
import t from 'tap'
import { createCoalescer, spacingMaxMs, spacingMinMs } from '../../src/control/coalesce.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

void t.test('the first after quiet runs at once, a storm every so often, the last one surely', async (t) => {
  const clock = new FakeClock()
  const runs: number[] = []
  const start = clock.now()
  const coalescer = createCoalescer(clock, () => runs.push(clock.now() - start))
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
    const coalescer = createCoalescer(clock, () => {
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
  const coalescer = createCoalescer(clock, () => {
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
  const coalescer = createCoalescer(clock, () => runs++)
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
        const coalescer = createCoalescer(busy, () => {
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
  const coalescer = createCoalescer(clock, () => runs++)
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
