/**
 * Where a request goes next after an endpoint failed it: read from the table of that moment, since the successor of a killed
 * container is only in the new one. It keeps the request's version where that still has somebody. Changes nothing.
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import { pickGroup } from '../balance/pick-group.ts'
import type { Random } from '../core/random.ts'
import type { BoundEndpoint, BoundGroup, BoundService, BoundTable, EndpointState } from '../live/runtime.ts'

/** What a request was routed to; a bound route is one. */
export interface Aim {
  readonly service: BoundService
  /** The service's own, or those with a route's weights. */
  readonly groups: readonly BoundGroup[]
  /** Its version or none: another one's instance is no answer. */
  readonly strict: boolean
}

export interface NextEndpoint {
  readonly group: BoundGroup
  readonly endpoint: BoundEndpoint
}

/** The aim's groups as they are now, with the weights that the request was routed by. */
function groupsNow(service: BoundService, aim: Aim): readonly BoundGroup[] {
  if (aim.groups === aim.service.groups) return service.groups
  return service.groups.map((group) => {
    const routed = aim.groups.find(({ version }) => version === group.version)
    return { ...group, weight: routed?.weight ?? 0 }
  })
}

/**
 * Never one in `tried`; undefined: there is none. `aim`: what the request was routed to at first. With a `keyHash` it is the key's
 * next choice.
 */
export function nextEndpoint(
  bound: BoundTable,
  random: Random,
  aim: Aim,
  version: string | undefined,
  tried: readonly EndpointState[],
  keyHash?: number,
): NextEndpoint | undefined {
  const service = bound.services.get(aim.service.table.name) ?? aim.service
  const { policy } = service.table
  const same = service.groups.find((candidate) => candidate.version === version)
  const sibling = same && pickEndpoint(same, random, tried, policy, keyHash)
  if (same && sibling) return { group: same, endpoint: sibling }
  if (aim.strict) return undefined
  const group = pickGroup(groupsNow(service, aim), random(), tried)
  const endpoint = group && pickEndpoint(group, random, tried, policy, keyHash)
  return group && endpoint ? { group, endpoint } : undefined
}
