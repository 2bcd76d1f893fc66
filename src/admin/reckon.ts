/**
 * What part of the requests that no rule decides each version, endpoint and service gets, by weight: as things stand, or were some
 * endpoints gone. A hash key, affinity, zones, who is busy and whom a service admits may lead elsewhere. Pure.
 */
import { partShares } from '../balance/part-shares.ts'
import { effectiveWeight, isUsable } from '../balance/usable.ts'
import type { BoundEndpoint, BoundGroup, BoundPart, BoundRoute, BoundTable } from '../live/runtime.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import { sharesOf } from '../table/shares.ts'
import { servicesAt } from '../table/table.ts'

/** Of all, 0 to 1. */
export interface Load {
  /** Of each group, in order. */
  readonly versions: readonly number[]
  /** By handle. */
  readonly endpoints: ReadonlyMap<string, number>
  /** Nobody is there for them: they would be answered 503. */
  readonly unanswered: number
}

/** What is gone besides what cannot be used now. */
export type IsGone = (one: BoundEndpoint) => boolean

const nobody: IsGone = () => false

const rounded = (share: number): number => (share < 1e-9 ? 0 : share)

/** Of a service alone. `strict`: a version that cannot answer leaves its share to nobody. */
export function loadOf(groups: readonly BoundGroup[], strict: boolean, isGone: IsGone = nobody): Load {
  const usable = groups.map(({ endpoints }) => endpoints.filter((one) => !isGone(one) && isUsable(one, [])))
  const versions = sharesOf(
    groups.map(({ weight }, at) => ({ weight, counts: strict || (usable[at]?.length ?? 0) > 0 })),
  )
  const endpoints = new Map<string, number>()
  let answered = 0
  for (const [at, share] of versions.entries()) {
    const able = usable[at] ?? []
    if (able.length > 0) answered += share
    const parts = sharesOf(able.map((one) => ({ weight: effectiveWeight(one) })))
    for (const [i, { endpoint }] of able.entries()) endpoints.set(endpoint.handle, share * (parts[i] ?? 0))
  }
  return { versions, endpoints, unanswered: rounded(1 - answered) }
}

/** What a part is reckoned by. */
export interface ReckonedPart extends Pick<BoundPart, 'groups' | 'strict' | 'weight' | 'standby' | 'isolated'> {
  readonly service: { readonly table: { readonly name: string; readonly policy: Pick<ServicePolicy, 'fallback'> } }
  /** What it has is not known; it is taken as able to answer. */
  readonly assumed?: boolean
}

export interface PartsLoad {
  /** Of each part in order, its share of all, and what it has of that for its own. */
  readonly parts: readonly { readonly share: number; readonly load: Load }[]
  readonly unanswered: number
}

/** Of a route that several services share. */
export function loadOfParts(parts: readonly ReckonedPart[], isGone: IsGone = nobody): PartsLoad {
  const loads = parts.map(({ groups, strict, assumed }) => {
    const load = loadOf(groups, strict, isGone)
    return assumed ? { ...load, unanswered: 0 } : load
  })
  const able = parts.map(
    ({ groups, assumed = false }) =>
      assumed ||
      groups.some(({ weight, endpoints }) => weight > 0 && endpoints.some((one) => !isGone(one) && isUsable(one, []))),
  )
  const shares = partShares(parts, able)
  const reckoned = loads.map((load, at) => ({ share: shares[at] ?? 0, load }))
  const answered = reckoned.reduce((sum, { share, load }) => sum + share * (1 - load.unanswered), 0)
  return { parts: reckoned, unanswered: rounded(1 - answered) }
}

export interface NamedPart extends ReckonedPart {
  /** Null: by the service's weights. */
  readonly version: string | null
}

/** The parts of a route. Those whose service is in the table are bound, in order. */
export function namedParts({ route, parts = [] }: BoundRoute): readonly NamedPart[] {
  const said = (route.parts ?? []).filter((one) => parts.some(({ service }) => service.table.name === one.service))
  return parts.map((part, at) => ({ ...part, version: said[at]?.version ?? null }))
}

/** Routes that several services share, or where others stand by, by each of those services. */
export function sharedRoutes({ routes }: Pick<BoundTable, 'routes'>): ReadonlyMap<string, readonly BoundRoute[]> {
  const shared = new Map<string, BoundRoute[]>()
  for (const bound of routes) {
    if (!bound.parts) continue
    for (const name of servicesAt(bound.route)) {
      const known = shared.get(name)
      if (known) known.push(bound)
      else shared.set(name, [bound])
    }
  }
  return shared
}
