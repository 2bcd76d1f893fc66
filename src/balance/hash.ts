/**
 * Consistent hashing with bounded loads: weighted rendezvous hashing gives each key an order of all endpoints, and the first in
 * it that has room is taken. One that goes moves only its own keys, one that comes gets its share and moves no others; an endpoint
 * that is loaded passes on what is too much. Keeps no state.
 * Sources: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016); `rendezvous.ts`.
 */
import type { BoundEndpoint, EndpointState } from '../live/runtime.ts'
import { mixedHash, rank } from './rendezvous.ts'
import { effectiveWeight, isUsable } from './usable.ts'

/**
 * Picks among the usable for a key that hashes so; undefined when there is none. None gets more than `loadFactor` (at least 1)
 * times its share, by weight, of what is in flight with this request, rounded up: somebody always has room, since those shares
 * sum up to more than what is in flight. Walks the list twice, allocates nothing.
 */
export function pickHash(
  endpoints: readonly BoundEndpoint[],
  keyHash: number,
  loadFactor: number,
  tried: readonly EndpointState[],
): BoundEndpoint | undefined {
  let inFlight = 1
  let weights = 0
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    inFlight += candidate.state.inFlight
    weights += effectiveWeight(candidate)
  }
  const perWeight = (loadFactor * inFlight) / weights

  let best: BoundEndpoint | undefined
  let highest = -1
  for (let i = 0; i < endpoints.length; i++) {
    const candidate = endpoints[i]
    if (!candidate || !isUsable(candidate, tried)) continue
    const weight = effectiveWeight(candidate)
    if (candidate.state.inFlight + 1 > Math.ceil(perWeight * weight)) continue
    const score = rank(mixedHash(keyHash, candidate.hash), weight)
    if (score <= highest) continue
    highest = score
    best = candidate
  }
  return best
}
