/**
 * The better of two: draws two endpoints among those that can be used and takes the one with less to do for its weight
 * (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"). Keeps no state of its own.
 */
import type { Random } from '../core/random.ts'
import type { BoundEndpoint, EndpointState } from '../live/runtime.ts'
import { effectiveWeight, isUsable } from './usable.ts'

/** The `nth` (from 0) usable endpoint; there are more than `nth`. */
function usableAt(
  endpoints: readonly BoundEndpoint[],
  tried: readonly EndpointState[],
  nth: number,
): BoundEndpoint | undefined {
  let left = nth
  let last: BoundEndpoint | undefined
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    last = candidate
    if (left-- <= 0) break
  }
  return last
}

/** The usable endpoint in whose stretch of the line of weights `at` falls. */
function usableAtWeight(
  endpoints: readonly BoundEndpoint[],
  tried: readonly EndpointState[],
  at: number,
): BoundEndpoint | undefined {
  let left = at
  let last: BoundEndpoint | undefined
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    last = candidate
    left -= effectiveWeight(candidate)
    if (left < 0) break
  }
  return last
}

/**
 * Picks among the usable (available, weight above 0, not in `tried`); undefined when there is none.
 *
 * Equal weights: two different ones are drawn and the one with fewer requests in flight is taken. Unequal weights: both
 * draws are by weight, and in-flight per weight decides; where that is equal, as when all are idle, the first draw
 * stands, so that the shares are the weights'. (Comparing (in-flight + 1) / weight would give every request that comes
 * to idle endpoints to the heaviest; for equal weights it is the same order.) Walks the list two or three times, allocates
 * nothing.
 */
export function pickLeastRequest(
  endpoints: readonly BoundEndpoint[],
  random: Random,
  tried: readonly EndpointState[],
): BoundEndpoint | undefined {
  let usable = 0
  let total = 0
  let equal = true
  let only: BoundEndpoint | undefined
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    if (only && effectiveWeight(candidate) !== effectiveWeight(only)) equal = false
    usable++
    total += effectiveWeight(candidate)
    only = candidate
  }
  if (usable < 2) return only

  let first: BoundEndpoint | undefined
  let second: BoundEndpoint | undefined
  if (equal) {
    const a = Math.floor(random() * usable)
    const b = Math.floor(random() * (usable - 1))
    first = usableAt(endpoints, tried, a)
    second = usableAt(endpoints, tried, b < a ? b : b + 1)
  } else {
    first = usableAtWeight(endpoints, tried, random() * total)
    second = usableAtWeight(endpoints, tried, random() * total)
  }
  if (!first || !second) return first
  const better = second.state.inFlight / effectiveWeight(second) < first.state.inFlight / effectiveWeight(first)
  return better ? second : first
}
