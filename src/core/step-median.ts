/**
 * A running median in one number: each value moves it one step towards itself, however far away that is, so that one in a
 * thousand that is huge moves nothing. Pure.
 */

/** How far one value moves it: a factor, so that it finds any scale within some dozens of values. */
const step = 1.05
/** What is below counts as this much. */
const least = 0.1

/** The median after `value`; 0 is none yet. Both in any unit, such as ms. */
export function stepMedian(median: number, value: number): number {
  if (median === 0) return Math.max(least, value)
  if (value > median) return median * step
  return median > least ? median / step : median
}
