/**
 * Where a request goes next after an endpoint failed it: read from the table of that moment, since the successor of a killed
 * container is only in the new one. It keeps the request's version where that still has somebody. Changes nothing.
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import { pickGroup } from '../balance/pick-group.ts'
import { pickWeighted } from '../balance/pick-part.ts'
import type { Random } from '../core/random.ts'
import type { BoundEndpoint, BoundGroup, BoundPart, BoundService, BoundTable, EndpointState } from '../live/runtime.ts'
import type { Shape } from '../table/plan.ts'

/** What a request was routed to; a bound route is one. */
export interface Aim {
  readonly service: BoundService
  /** The service's own, or those with a route's weights. */
  readonly groups: readonly BoundGroup[]
  /** Its version or none: another one's instance is no answer. */
  readonly strict: boolean
  /** The services that share the route; undefined: it is for one alone. */
  readonly parts?: readonly BoundPart[] | undefined
  /** Of one of those: the others do not get its share; who stands by does. Default false. */
  readonly isolated?: boolean
  /** Of one of those: what changes on the way there. */
  readonly shape?: Shape | undefined
  /** Of one of those: its own mark among them. */
  readonly seed?: number
}

export interface NextEndpoint {
  /** What it was asked for, or another part of the same route. */
  readonly aim: Aim
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
 * next choice. Where several services share the route and nobody of its own is left, another of them takes it.
 */
export function nextEndpoint(
  bound: BoundTable,
  random: Random,
  aim: Aim,
  version: string | undefined,
  tried: readonly EndpointState[],
  keyHash?: number,
): NextEndpoint | undefined {
  const own = within(bound, random, aim, version, tried, keyHash)
  return own ?? (aim.parts ? elsewhere(bound, random, aim, aim.parts, tried) : undefined)
}

function within(
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
  if (same && sibling) return { aim, group: same, endpoint: sibling }
  // Who comes from another service has no version here yet.
  if (aim.strict && version !== undefined) return undefined
  const group = pickGroup(groupsNow(service, aim), random(), tried)
  const endpoint = group && pickEndpoint(group, random, tried, policy, keyHash)
  return group && endpoint ? { aim, group, endpoint } : undefined
}

/** By weight among the other parts, as the table has them now; then those that stand by. */
function elsewhere(
  bound: BoundTable,
  random: Random,
  { service: from, seed: own, strict, isolated = false }: Aim,
  parts: readonly BoundPart[],
  tried: readonly EndpointState[],
): NextEndpoint | undefined {
  const others = parts.filter(({ service, seed }) => service !== from || seed !== own)
  let left = isolated || strict ? [] : others.filter(({ weight }) => weight > 0)
  while (left.length > 0) {
    const part = pickWeighted(left, random())
    const next = part && within(bound, random, part, undefined, tried)
    if (next) return next
    left = left.filter((one) => one !== part)
  }
  for (const part of others) {
    const next = part.standby ? within(bound, random, part, undefined, tried) : undefined
    if (next) return next
  }
  return undefined
}
