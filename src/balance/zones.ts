/**
 * Zone preference: how much of what comes goes to the proxy's own zone now. Which endpoint of a zone gets it is for the
 * algorithm to say. Asking changes nothing.
 * Source for the capacity: Envoy, "Priority levels", where the same is done with the inverse, an overprovisioning factor of 1.4.
 */
import type { BoundEndpoint, EndpointState, Zones } from '../live/runtime.ts'
import { effectiveWeight, isUsable } from './usable.ts'

/** Own endpoints are preferred until the least loaded of them has more than this times the load of another zone's. */
const loadRatioMax = 2

/** With less than this part of its weight available, the own zone passes on what is missing. */
const capacityMin = 0.7

/**
 * The share of requests that is for `own`, 0 to 1; the rest is for `others`. Whoever has nobody usable gets nothing.
 *
 * Capacity: all while at least 70 % of the weight that the catalog gives the own zone is available (what is ejected, drained or
 * still to ramp up is not), below that in proportion: half at 35 %.
 * Load, (in-flight + 1) / weight: none while the least loaded of the own has more than twice the load of another zone's. One
 * that is idle has room whatever its weight; else a small one would never get anything beside large ones that idle as well.
 */
export function ownShare({ own, others }: Zones, tried: readonly EndpointState[]): number {
  const capacity = capacityOf(own, tried)
  if (capacity === 0) return 0
  const elsewhere = leastLoad(others, tried)
  if (elsewhere === Infinity) return 1
  if (!hasIdle(own, tried) && leastLoad(own, tried) > loadRatioMax * elsewhere) return 0
  return Math.min(1, capacity / capacityMin)
}

/** The usable part of the weights, 0 to 1. */
function capacityOf(endpoints: readonly BoundEndpoint[], tried: readonly EndpointState[]): number {
  let usable = 0
  let all = 0
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate) continue
    all += candidate.endpoint.weight
    if (isUsable(candidate, tried)) usable += effectiveWeight(candidate)
  }
  return all === 0 ? 0 : usable / all
}

/** Infinity: nobody is usable. */
function leastLoad(endpoints: readonly BoundEndpoint[], tried: readonly EndpointState[]): number {
  let least = Infinity
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (candidate && isUsable(candidate, tried))
      least = Math.min(least, (candidate.state.inFlight + 1) / effectiveWeight(candidate))
  }
  return least
}

function hasIdle(endpoints: readonly BoundEndpoint[], tried: readonly EndpointState[]): boolean {
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (candidate?.state.inFlight === 0 && isUsable(candidate, tried)) return true
  }
  return false
}
