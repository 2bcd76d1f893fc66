/**
 * Smooth weighted round-robin: each pick gives every usable endpoint its weight as credit, takes the one with the most,
 * and charges it the sum. Weights 3:1 give a a b a, not a a a b. The credit stands in the endpoint's own state, so a table
 * swap moves nothing. An endpoint that cannot be used neither gains nor pays; the others keep their proportions.
 */
import type { BoundEndpoint, EndpointState } from '../live/runtime.ts'
import { effectiveWeight, isUsable } from './usable.ts'

/** Picks among the usable; undefined, and nothing changed, when there is none. Walks the list once, allocates nothing. */
export function pickRoundRobin(
  endpoints: readonly BoundEndpoint[],
  tried: readonly EndpointState[],
): BoundEndpoint | undefined {
  let total = 0
  let best: BoundEndpoint | undefined
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    const weight = effectiveWeight(candidate)
    candidate.state.credit += weight
    total += weight
    if (!best || candidate.state.credit > best.state.credit) best = candidate
  }
  if (best) best.state.credit -= total
  return best
}
