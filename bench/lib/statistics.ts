/**
 * The arithmetic of a comparison: medians, spreads, paired ratios and the rule that turns them into a verdict.
 * Pure; it knows nothing of processes or proxies.
 */

/** The middle of a set of figures, with its extremes. All NaN when there is none. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The median; between the two middle values for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  if (sorted.length === 0) return Number.NaN
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** The value that a share of them (0 to 1) does not exceed, by nearest rank. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { median: Number.NaN, min: Number.NaN, max: Number.NaN }
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** `a[i] / b[i]` for each round both were measured in: what drifts over a run touches both of a pair alike. */
export function pairedRatios(a: readonly number[], b: readonly number[]): readonly number[] {
  const ratios: number[] = []
  for (const [index, value] of a.entries()) {
    const other = b[index]
    if (other !== undefined && other > 0 && value > 0) ratios.push(value / other)
  }
  return ratios
}

/** The value below which a share of a sorted set lies, 0 to 1, between two neighbours in proportion. NaN for none. */
function interpolated(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

/** Rounds without which nothing is known of how far a ratio's values lie apart. */
export const leastRounds = 3
/** The most that the interquartile range of a ratio may be of its median: wider says more of the machine than of the code. */
export const widestSpread = 0.15

/** A ratio that may be told, or why it may not. */
export type Ratio =
  | { readonly told: true; readonly spread: Spread }
  | { readonly told: false; readonly why: 'too noisy' | 'too few rounds' | 'not measured' }

/**
 * The rule of every ratio the bench prints, on the paired ratios of its rounds: at least {@link leastRounds} of them, and
 * the middle half within {@link widestSpread} of the median in all (interquartile range, interpolated between neighbours).
 */
export function ratioOf(ratios: readonly number[]): Ratio {
  if (ratios.length === 0) return { told: false, why: 'not measured' }
  if (ratios.length < leastRounds) return { told: false, why: 'too few rounds' }
  const sorted = ratios.toSorted((a, b) => a - b)
  const range = interpolated(sorted, 0.75) - interpolated(sorted, 0.25)
  if (!(range <= widestSpread * median(sorted))) return { told: false, why: 'too noisy' }
  return { told: true, spread: spreadOf(ratios) }
}

export interface Interval {
  readonly low: number
  readonly high: number
  /** The chance that the true median lies inside, 0 to 1, whatever the distribution is. */
  readonly confidence: number
}

function binomialTail(n: number, k: number): number {
  // P(X <= k) for X ~ Binomial(n, 1/2)
  let term = 0.5 ** n
  let sum = 0
  for (let i = 0; i <= k; i++) {
    sum += term
    term = (term * (n - i)) / (i + 1)
  }
  return sum
}

/**
 * The sign test's interval for the median: the narrowest pair of order statistics that holds it with at least 95 %.
 * With 6 to 8 values these are the extremes, with 9 the second of each end. Fewer than 6 cannot reach 95 %: undefined.
 */
export function medianInterval(values: readonly number[]): Interval | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const n = sorted.length
  let found: Interval | undefined
  for (let skip = 0; skip < n / 2; skip++) {
    const confidence = 1 - 2 * binomialTail(n, skip)
    if (confidence < 0.95) break
    found = { low: sorted[skip] ?? Number.NaN, high: sorted[n - 1 - skip] ?? Number.NaN, confidence }
  }
  return found
}

export type Verdict = 'faster' | 'slower' | 'cannot tell'

/** Differences smaller than this are not called, however sure: the same code measured twice differs by so much. */
export const noiseBand = 0.02

/**
 * The rule of the guard, on ratios new / old of CPU per request, one per round. Slower: the whole 95 % interval of
 * the median is above 1, and the median above 1.02. Faster: the whole interval below 1, and the median below 0.98.
 * Anything else, and fewer than 6 rounds: cannot tell.
 */
export function verdictOf(ratios: readonly number[], band: number = noiseBand): Verdict {
  const interval = medianInterval(ratios)
  const middle = median(ratios)
  if (interval === undefined) return 'cannot tell'
  if (interval.low > 1 && middle > 1 + band) return 'slower'
  if (interval.high < 1 && middle < 1 - band) return 'faster'
  return 'cannot tell'
}
