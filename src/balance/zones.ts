/**
 * Zone preference: whether the endpoints of the proxy's own zone have room for one more request, or it goes to the others. Which
 * endpoint of the zone gets it is for the algorithm to say. Asking changes nothing.
 */
import type { BoundEndpoint, EndpointState } from '../live/runtime.ts'
import { effectiveWeight, isUsable } from './usable.ts'

/** Own endpoints are preferred until the least loaded of them has more than this times the load of another zone's. */
const loadRatioMax = 2

/**
 * True while a usable one of `own` is idle, or the least loaded has at most twice the load of each of `others`; load is (in-flight
 * + 1) / weight. An idle one has room whatever its weight: else a small one would never get anything beside large ones that
 * are idle as well. False when none of `own` is usable.
 */
export function hasRoom(
  own: readonly BoundEndpoint[],
  others: readonly BoundEndpoint[],
  tried: readonly EndpointState[],
): boolean {
  let least = Infinity
  let some = false
  for (let i = 0; i < own.length; i++) {
    const candidate = own[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    if (candidate.state.inFlight === 0) return true
    some = true
    least = Math.min(least, loadOf(candidate))
  }
  if (!some) return false
  for (let i = 0; i < others.length; i++) {
    const candidate = others[i]
    if (candidate && isUsable(candidate, tried) && least > loadRatioMax * loadOf(candidate)) return false
  }
  return true
}

function loadOf(candidate: BoundEndpoint): number {
  return (candidate.state.inFlight + 1) / effectiveWeight(candidate)
}
