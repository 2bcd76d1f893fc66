/** Ties the parts of a route that several services share to their services. Pure. */
import { hashText } from '../balance/rendezvous.ts'
import type { Plan } from '../table/plan.ts'
import type { RoutePart } from '../table/table.ts'
import type { BoundEndpoint, BoundGroup, BoundPart, BoundRoute, BoundService } from './runtime.ts'
import { zonesOf } from './zones-of.ts'

/** Those whose service is in the table, in order. */
export function bindParts(
  parts: readonly RoutePart[],
  route: BoundRoute,
  plan: Plan,
  services: ReadonlyMap<string, BoundService>,
  zone: string,
): readonly BoundPart[] {
  const bound: BoundPart[] = []
  for (const [at, part] of parts.entries()) {
    const service = services.get(part.service)
    if (!service) continue
    const isOwn = service === route.service
    const { policy } = service.table
    // Where instances decide, each service keeps its own word.
    const byInstances = part.said !== undefined && part.said.weight === undefined
    bound.push({
      service,
      groups: groupsOf(part, isOwn ? route.groups : service.groups, zone),
      strict: isOwn && !byInstances ? route.strict : policy.fallback === 'none',
      weight: part.weight,
      seed: seedOf(part, isOwn),
      standby: part.standby,
      isolated: plan.fallback === 'none',
      shape: plan.parts[at]?.shape,
      admits: plan.parts[at]?.admits,
      sticky: isOwn && !byInstances ? undefined : policy.sticky,
      mirror: byInstances ? policy.mirror : isOwn ? plan.mirror : undefined,
      parts: bound,
    })
  }
  return bound
}

/**
 * A version of the route's own service is named as it is among weights by version: who writes a split in their place moves no user
 * but to the new parts. The rest cannot be the name of a version.
 */
function seedOf({ service, version }: RoutePart, isOwn: boolean): number {
  return hashText(isOwn && version !== undefined ? version : `${service}\n${version ?? ''}`, 0)
}

function groupsOf(
  { version, weights, endpoints }: RoutePart,
  groups: readonly BoundGroup[],
  zone: string,
): readonly BoundGroup[] {
  if (version === undefined && !weights && !endpoints) return groups
  return groups.map((group): BoundGroup => {
    const weight =
      version === undefined ? (weights?.get(group.version) ?? group.weight) : Number(group.version === version)
    if (!endpoints) return { ...group, weight }
    const own = group.endpoints.map((one): BoundEndpoint => {
      const part = endpoints.get(one.endpoint.key) ?? one.endpoint.weight
      return { ...one, endpoint: { ...one.endpoint, weight: part } }
    })
    return { ...group, weight, endpoints: own, zones: zonesOf(own, zone) }
  })
}
