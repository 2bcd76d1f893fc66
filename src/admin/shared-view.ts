/**
 * How the routes of a service are shared with others as things stand, which have weights of their own, and what they mirror, as
 * JSON shows it. Pure.
 */
import { sameData } from '../core/same.ts'
import type { BoundRoute, BoundTable } from '../live/runtime.ts'
import type { MirrorPolicy } from '../policy/traffic.ts'
import { routeText } from '../table/table.ts'
import { loadOf, loadOfParts, namedParts } from './reckon.ts'

/** Routes with the same shares. */
export interface SharesView {
  /** Such as `shop.example.com/cart`; `/` for any host. */
  readonly routes: readonly string[]
  /** In order; each gets a part of the requests that no rule decides, 0 to 1, as things stand. */
  readonly parts: readonly {
    readonly service: string
    /** Null: by the service's weights. */
    readonly version: string | null
    /** Only where no other can answer. */
    readonly standby: boolean
    readonly share: number
  }[]
  /** Nobody can answer them. */
  readonly unanswered: number
}

/** Routes of one service whose weights are their own, and not the service's. */
export interface OwnWeightsView {
  readonly routes: readonly string[]
  /** Of the requests that no rule decides, 0 to 1, as things stand. */
  readonly versions: readonly { readonly version: string; readonly share: number }[]
}

/** Where a share of the safe requests of some routes goes as well. */
export interface MirroringView {
  readonly routes: readonly string[]
  readonly version: string
  /** 0 to 1. */
  readonly share: number
}

export function sharesViews(routes: readonly BoundRoute[]): readonly SharesView[] {
  return grouped(routes, (bound) => {
    const parts = namedParts(bound)
    const load = loadOfParts(parts)
    return {
      parts: parts.map(({ service, version, standby }, at) => ({
        service: service.table.name,
        version,
        standby,
        share: load.parts[at]?.share ?? 0,
      })),
      unanswered: load.unanswered,
    }
  })
}

/** By service; routes that several services share tell theirs in {@link sharesViews}. */
export function ownWeights({ routes }: Pick<BoundTable, 'routes'>): ReadonlyMap<string, readonly OwnWeightsView[]> {
  const own = routes.filter(({ route, parts }) => route.weights !== undefined && !parts)
  const viewOf = ({ service, groups }: BoundRoute) => {
    const { versions } = loadOf(groups, service.table.policy.fallback === 'none')
    return { versions: groups.map(({ version }, at) => ({ version, share: versions[at] ?? 0 })) }
  }
  const byService = Map.groupBy(own, ({ service }) => service.table.name)
  return new Map([...byService].map(([name, found]) => [name, grouped(found, viewOf)]))
}

/** By the service whose requests are mirrored. */
export function mirrorings({ routes }: Pick<BoundTable, 'routes'>): ReadonlyMap<string, readonly MirroringView[]> {
  const all = routes.flatMap(
    (bound): readonly { readonly name: string; readonly bound: BoundRoute; readonly mirror: MirrorPolicy }[] => {
      const of = (name: string, mirror: MirrorPolicy | undefined) => (mirror ? [{ name, bound, mirror }] : [])
      if (!bound.parts) return of(bound.service.table.name, bound.plan?.mirror)
      const byName = new Map(bound.parts.map(({ service, mirror }) => [service.table.name, mirror]))
      return [...byName].flatMap(([name, mirror]) => of(name, mirror))
    },
  )
  const views = [...Map.groupBy(all, ({ name }) => name)].map(([name, found]) => {
    const mirrors = new Map(found.map(({ bound, mirror }) => [bound, mirror]))
    const of = (bound: BoundRoute) => {
      const { version = '', share = 0 } = mirrors.get(bound) ?? {}
      return { version, share }
    }
    return [name, grouped([...mirrors.keys()], of)] as const
  })
  return new Map(views)
}

/** One view for all routes of which it says the same, in the order of the first of each. */
export function grouped<V extends object>(
  routes: readonly BoundRoute[],
  viewOf: (bound: BoundRoute) => V,
): readonly (V & { readonly routes: readonly string[] })[] {
  const found: { readonly view: V; readonly routes: string[] }[] = []
  for (const bound of routes) {
    const view = viewOf(bound)
    const same = found.find((one) => sameData(one.view, view))
    if (same) same.routes.push(routeText(bound.route))
    else found.push({ view, routes: [routeText(bound.route)] })
  }
  return found.map(({ view, routes: named }) => ({ routes: named, ...view }))
}
