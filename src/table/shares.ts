/**
 * Shares of weights: what part of the whole each has. The one place where they are computed, whoever shows or compares them.
 * Pure.
 */

/** Something with a weight; `counts` false: it gets nothing, whatever it weighs. Default true. */
export interface Weighing {
  readonly weight: number
  readonly counts?: boolean
}

/** Of each in order, 0 to 1, together 1; all 0 where nobody who counts has a weight above 0. */
export function sharesOf(all: readonly Weighing[]): readonly number[] {
  const own = all.map(({ weight, counts = true }) => (counts && weight > 0 ? weight : 0))
  const total = own.reduce((sum, weight) => sum + weight, 0)
  return own.map((weight) => (total > 0 ? weight / total : 0))
}

/** Whether two weighings by name give everybody the same share, whatever their scales. */
export function sameShares(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  const names = [...new Set([...a.keys(), ...b.keys()])]
  const [left, right] = [a, b].map((of) => sharesOf(names.map((name) => ({ weight: of.get(name) ?? 0 }))))
  return names.every((_, at) => Math.abs((left?.[at] ?? 0) - (right?.[at] ?? 0)) < 1e-9)
}
