/**
 * Where a request goes next after an endpoint failed it: read from the table of that moment, since the successor of a killed
 * container is only in the new one. It keeps the request's version where that still has somebody. Changes nothing.
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import { pickGroup } from '../balance/pick-group.ts'
import type { Random } from '../core/random.ts'
import type { BoundEndpoint, BoundGroup, BoundService, BoundTable, EndpointState } from '../live/runtime.ts'

export interface NextEndpoint {
  readonly group: BoundGroup
  readonly endpoint: BoundEndpoint
}

/** Never one in `tried`; undefined: there is none. `before`: what the request was routed to at first. */
export function nextEndpoint(
  bound: BoundTable,
  random: Random,
  before: BoundService,
  version: string | undefined,
  tried: readonly EndpointState[],
): NextEndpoint | undefined {
  const service = bound.services.get(before.table.name) ?? before
  const { balance } = service.table.policy
  const same = service.groups.find((candidate) => candidate.version === version)
  const sibling = same && pickEndpoint(same.endpoints, random, tried, balance)
  if (same && sibling) return { group: same, endpoint: sibling }
  const group = pickGroup(service, random(), tried)
  const endpoint = group && pickEndpoint(group.endpoints, random, tried, balance)
  return group && endpoint ? { group, endpoint } : undefined
}
