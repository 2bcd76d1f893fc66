/** What part of the requests each of several services that share a route gets, on average, as {@link pickPart} chooses. Pure. */
import type { BoundPart } from '../live/runtime.ts'
import { sharesOf } from '../table/shares.ts'

/**
 * Of each in order, 0 to 1; what is missing from 1 nobody can answer, and so is what falls to one of `isolated` that cannot, where
 * nobody stands by. `able`: whether each can serve.
 */
export function partShares(
  parts: readonly Pick<BoundPart, 'weight' | 'isolated' | 'standby'>[],
  able: readonly boolean[],
): readonly number[] {
  const shares = sharesOf(parts.map(({ weight, isolated }, at) => ({ weight, counts: isolated || able[at] === true })))
  const standby = parts.findIndex((part, at) => part.standby && able[at] === true)
  if (standby < 0) return shares
  const kept = shares.map((share, at) => (able[at] === true ? share : 0))
  const left = 1 - kept.reduce((sum, share) => sum + share, 0)
  // What is left of rounding is nothing.
  return kept.with(standby, left < 1e-9 ? 0 : left)
}
