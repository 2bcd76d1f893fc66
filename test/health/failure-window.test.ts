import fc from 'fast-check'
import t from 'tap'
import { FailureWindow, isClearlyWorse, isTooHigh, rate, windowSlices } from '../../src/health/failure-window.ts'

void t.test('counts what is no older than the window, to a slice', async () => {
  const event = fc.record({
    afterMs: fc.oneof(fc.nat(300), fc.nat(5_000), fc.constant(100_000)),
    total: fc.nat(5),
    failures: fc.nat(5),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 10, max: 5_000 }), (events, windowMs) => {
      const window = new FailureWindow(windowMs)
      const sliceMs = windowMs / windowSlices
      const all: { at: number; total: number; failures: number }[] = []
      let now = 12_345
      for (const { afterMs, total, failures } of events) {
        now += afterMs
        window.add(now, total, failures)
        all.push({ at: now, total, failures })
        const counts = window.counts(now)
        const newest = Math.floor(now / sliceMs)
        const kept = all.filter(({ at }) => Math.floor(at / sliceMs) > newest - windowSlices)
        const expected = kept.reduce(
          (sum, each) => ({ total: sum.total + each.total, failures: sum.failures + each.failures }),
          { total: 0, failures: 0 },
        )
        if (counts.total !== expected.total || counts.failures !== expected.failures) return false
      }
      const later = window.counts(now + windowMs + sliceMs)
      return later.total === 0 && later.failures === 0
    }),
    { interruptAfterTimeLimit: 3_000 },
  )
})

void t.test('another length begins anew, the same one does not', async (t) => {
  const window = new FailureWindow(1_000)
  window.add(5_000, 4, 2)
  window.resize(1_000)
  t.same(window.counts(5_000), { total: 4, failures: 2 })
  window.resize(2_000)
  t.same(window.counts(5_000), { total: 0, failures: 0 })
  window.add(5_000, 1, 1)
  window.clear()
  t.same(window.counts(5_000), { total: 0, failures: 0 })
})

void t.test('shares', async (t) => {
  t.equal(rate({ total: 0, failures: 0 }), 0)
  t.equal(rate({ total: 4, failures: 1 }), 0.25)
  t.equal(rate({ total: 1, failures: 3 }), 1, 'an answer that was not counted makes no share above all')
  t.equal(isTooHigh({ total: 20, failures: 10 }, 0.5, 20), true)
  t.equal(isTooHigh({ total: 20, failures: 9 }, 0.5, 20), false)
  t.equal(isTooHigh({ total: 19, failures: 19 }, 0.5, 20), false)
  t.equal(isTooHigh({ total: 20, failures: 20 }, 0, 20), false)
  t.equal(isTooHigh({ total: 0, failures: 0 }, 0.5, 0), false)
})

void t.test('clearly worse: by 20 points, or twice', async (t) => {
  t.equal(isClearlyWorse(1, 1), false)
  t.equal(isClearlyWorse(1, 0.85), false)
  t.equal(isClearlyWorse(1, 0.75), true)
  t.equal(isClearlyWorse(0.1, 0.05), true)
  t.equal(isClearlyWorse(0.1, 0.06), false)
  t.equal(isClearlyWorse(0.5, 0), true)
  t.equal(isClearlyWorse(0, 0), false)
})
