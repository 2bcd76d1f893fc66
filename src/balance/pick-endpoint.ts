/**
 * The door of endpoint choice: filter, then weigh what is left, by the service's algorithm. It decides no health and
 * waits for nothing.
 */
import type { Random } from '../core/random.ts'
import type { BoundEndpoint, EndpointState } from '../live/runtime.ts'
import type { BalanceAlgorithm } from '../policy/policy.ts'
import { pickLeastRequest } from './least-request.ts'
import { pickRoundRobin } from './round-robin.ts'

/**
 * The endpoint for the next attempt, never one in `tried` and never one that is leaving; undefined when none is left.
 * Changes nothing but round-robin's credit, and that only when it picks; the caller counts `inFlight`.
 */
export function pickEndpoint(
  endpoints: readonly BoundEndpoint[],
  random: Random,
  tried: readonly EndpointState[],
  algorithm: BalanceAlgorithm = 'least-request',
): BoundEndpoint | undefined {
  return algorithm === 'round-robin' ? pickRoundRobin(endpoints, tried) : pickLeastRequest(endpoints, random, tried)
}
