/**
 * The one question asked of an endpoint before it may be picked. Asking changes nothing. What health decides will be
 * read here; deciding it is not this folder's job.
 */
import type { EndpointState } from '../live/runtime.ts'

/** True when the endpoint may get a new request now. */
export function isAvailable(state: EndpointState): boolean {
  return state.open
}
