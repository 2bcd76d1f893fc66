/**
 * The choice among the services that share a route, before that of a version: by weight, or by a key, among those that can answer
 * now; then those that stand by, in order. One draw; changes nothing.
 */
import type { BoundPart } from '../live/runtime.ts'
import { pairHash, rank } from './rendezvous.ts'
import { isUsable } from './usable.ts'

/** Whether some instance may be had. */
export function canServe({ groups }: Pick<BoundPart, 'groups'>): boolean {
  return groups.some(({ weight, endpoints }) => weight > 0 && endpoints.some((one) => isUsable(one, [])))
}

/** Where it falls on one that cannot answer, as it may with `isolated`, who stands by is asked as well. */
const orStandby = (parts: readonly BoundPart[], picked: BoundPart | undefined): BoundPart | undefined =>
  picked && canServe(picked) ? picked : parts.find((part) => part.standby && canServe(part))

function takesPart(part: BoundPart): boolean {
  return part.weight > 0 && (part.isolated || canServe(part))
}

/** For `random` in [0, 1); undefined: none can answer, or the one that it fell on cannot and is isolated. */
export function pickPart(parts: readonly BoundPart[], random: number): BoundPart | undefined {
  const able = parts.filter(takesPart)
  return orStandby(parts, pickWeighted(able, random))
}

/** The part for a sticky `key`; else as {@link pickPart}. */
export function pickStickyPart(parts: readonly BoundPart[], key: string): BoundPart | undefined {
  let best: BoundPart | undefined
  let highest = -1
  for (const part of parts) {
    if (!takesPart(part)) continue
    const score = rank(pairHash(key, part.seed), part.weight)
    if (score <= highest) continue
    highest = score
    best = part
  }
  return orStandby(parts, best)
}

/** By weight alone. */
export function pickWeighted<T extends { readonly weight: number }>(
  items: readonly T[],
  random: number,
): T | undefined {
  let left = random * items.reduce((sum, { weight }) => sum + weight, 0)
  for (const item of items) {
    left -= item.weight
    if (left < 0) return item
  }
  return items.at(-1)
}
