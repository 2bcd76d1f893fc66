/**
 * What every algorithm filters by before it weighs: available, allowed by the catalog, and not tried for this request.
 * Asking changes nothing.
 */
import type { BoundEndpoint, EndpointState } from '../live/runtime.ts'
import { isAvailable } from './available.ts'

/** What a pick weighs it by: its weight in the table, as far as it has ramped up. */
export function effectiveWeight({ endpoint, state }: BoundEndpoint): number {
  return endpoint.weight * state.ramp
}

/** True when `candidate` may be picked; `tried` are the states that this request has had. */
export function isUsable(candidate: BoundEndpoint, tried: readonly EndpointState[]): boolean {
  return (
    candidate.endpoint.weight > 0 &&
    isAvailable(candidate.state) &&
    (tried.length === 0 || !tried.includes(candidate.state))
  )
}
