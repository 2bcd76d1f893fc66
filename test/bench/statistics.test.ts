import t from 'tap'
import fc from 'fast-check'
import {
  median,
  medianInterval,
  pairedRatios,
  quantile,
  ratioOf,
  spreadOf,
  verdictOf,
} from '../../bench/lib/statistics.ts'

t.test('the median is the middle, or between the two middles', (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.equal(median([7]), 7)
  t.ok(Number.isNaN(median([])))
  t.same(spreadOf([5, 9, 7]), { median: 7, min: 5, max: 9 })
  t.ok(Number.isNaN(spreadOf([]).median))
  t.end()
})

t.test('a quantile is the nearest rank', (t) => {
  const values = [50, 20, 10, 40, 30]
  t.equal(quantile(values, 0), 10)
  t.equal(quantile(values, 0.2), 10)
  t.equal(quantile(values, 0.21), 20)
  t.equal(quantile(values, 0.95), 50)
  t.equal(quantile(values, 1), 50)
  t.ok(Number.isNaN(quantile([], 0.5)))
  t.end()
})

t.test('ratios are paired by round, and a round that one side missed counts for neither', (t) => {
  t.same(pairedRatios([2, 9, 8], [1, 3, 4]), [2, 3, 2])
  t.same(pairedRatios([2, 9], [1]), [2])
  t.same(pairedRatios([2, Number.NaN, 0], [0, 3, 4]), [])
  t.end()
})

t.test('a ratio is told when the middle half of its rounds lies within 15 % of the median', (t) => {
  const told = (...ratios: readonly number[]): unknown => {
    const ratio = ratioOf(ratios)
    return ratio.told ? ratio.spread.median : ratio.why
  }
  t.equal(told(), 'not measured')
  t.equal(told(1, 1), 'too few rounds')
  t.equal(told(1, 1, 1), 1)
  t.equal(told(0.93, 1, 1.07), 1, 'quartiles at 0.965 and 1.035')
  t.equal(told(0.84, 1, 1.16), 'too noisy', 'quartiles at 0.92 and 1.08')
  t.equal(told(1.16, 0.84, 1), 'too noisy', 'order does not matter')
  t.equal(told(4 * 0.93, 4, 4 * 1.07), 4, 'it is relative')
  t.equal(told(1, 1, 1, 1, 9), 1, 'one round that went wrong is no reason')
  t.equal(told(1, 1, 1, 9, 9), 'too noisy', 'two of five are')
  t.match(ratioOf([1.1, 1, 1.05, 1.02]), { told: true, spread: { min: 1, max: 1.1 } })
  t.equal(told(-1, 0, 1), 'too noisy')
  t.end()
})

t.test('the interval of the median follows the sign test', (t) => {
  const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1)
  t.equal(medianInterval(upTo(5)), undefined, 'five values cannot reach 95 %')
  t.same(medianInterval(upTo(6)), { low: 1, high: 6, confidence: 1 - 2 / 64 })
  t.same(medianInterval(upTo(8)), { low: 1, high: 8, confidence: 1 - 2 / 256 })
  t.match(medianInterval(upTo(9).reverse()), { low: 2, high: 8 }, 'order does not matter')
  t.match(medianInterval(upTo(9)), { confidence: 1 - (2 * (1 + 9)) / 512 })
  t.match(medianInterval(upTo(15)), { low: 4, high: 12 })
  t.end()
})

t.test('the interval holds the median of what it was made from, at 95 % or more', (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 6, maxLength: 40 }), (values) => {
      const interval = medianInterval(values)
      const middle = median(values)
      return interval !== undefined && interval.confidence >= 0.95 && interval.low <= middle && middle <= interval.high
    }),
    { numRuns: 300 },
  )
  t.end()
})

t.test('the verdict', (t) => {
  const cases: readonly [string, readonly number[], string][] = [
    ['all rounds 10 % more', [1.1, 1.09, 1.11, 1.1, 1.12, 1.1, 1.1], 'slower'],
    ['all rounds 10 % less', [0.9, 0.91, 0.89, 0.9, 0.88, 0.9, 0.9], 'faster'],
    ['the same', [1, 1.01, 0.99, 1, 1, 0.99, 1.01], 'cannot tell'],
    ['surely more, but within the noise band', [1.01, 1.012, 1.015, 1.01, 1.011, 1.013, 1.019], 'cannot tell'],
    ['surely less, but within the noise band', [0.99, 0.985, 0.99, 0.982, 0.99, 0.99, 0.99], 'cannot tell'],
    ['more at the median, one of seven below 1', [1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 0.99], 'cannot tell'],
    ['more at the median, one of nine below 1', [1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 0.99], 'slower'],
    ['less at the median, one of nine above 1', [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.3], 'faster'],
    ['too few rounds, however clear', [1.5, 1.5, 1.5, 1.5, 1.5], 'cannot tell'],
    ['nothing measured', [], 'cannot tell'],
  ]
  for (const [name, ratios, expected] of cases) t.equal(verdictOf(ratios), expected, name)
  t.end()
})
