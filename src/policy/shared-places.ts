/**
 * Several services whose tags name one host and path: fabio makes one route of them, whose targets are the instances of all. So
 * does this: one route with a split by instances. What a tag says of its route is of its own service's part. Such a route can be
 * taken apart again. Pure.
 */
import type { Problem } from '../core/problem.ts'
import { routePrefix } from '../table/prefix.ts'
import { sameData } from '../core/same.ts'
import { type Policy, policyOf, type RoutePolicy } from './policy.ts'
import type { SplitPart, TrafficPolicy } from './traffic.ts'

export interface SharedPlaces {
  readonly routes: readonly RoutePolicy[]
  /** A notice for each place that is shared: who meant it knows, and who did not has to. */
  readonly problems: readonly Problem[]
}

const placeOf = ({ host, path }: RoutePolicy): string => `${host}${routePrefix(path)}`

/**
 * `routes` of tags in order of services. Those that `base` has a route for stay as they are, as do redirects: there the first
 * has the place, and a build says so.
 */
export function sharePlaces(routes: readonly RoutePolicy[], base: Policy): SharedPlaces {
  const taken = new Set(base.routes.map(placeOf))
  const places = Map.groupBy(
    routes.filter((route) => !route.redirect && !taken.has(placeOf(route))),
    placeOf,
  )
  const merged = new Map<RoutePolicy, RoutePolicy | undefined>()
  const problems: Problem[] = []
  for (const [place, sharing] of places) {
    const [first, ...others] = sharing
    if (!first || others.length === 0) continue
    merged.set(first, shared(first, sharing, base))
    for (const other of others) merged.set(other, undefined)
    problems.push(told(place, first.origin, sharing))
  }
  if (merged.size === 0) return { routes, problems }
  return { routes: routes.flatMap((route) => (merged.has(route) ? (merged.get(route) ?? []) : route)), problems }
}

function shared(first: RoutePolicy, sharing: readonly RoutePolicy[], base: Policy): RoutePolicy {
  const { origin, host, path, service, shaping, access } = first
  // What all say is the route's, the rest its service's part's.
  const sameShaping = sharing.every((one) => sameData(one.shaping, shaping))
  const sameAccess = sharing.every((one) => sameData(one.access, access))
  const split = sharing.map((one): SplitPart =>
    Object.freeze({
      service: one.service,
      version: undefined,
      weight: undefined,
      ...(sameShaping ? {} : { shaping: one.shaping }),
      ...(sameAccess ? {} : { access: one.access }),
      ...(one.upstreamTls === undefined ? {} : { upstreamTls: one.upstreamTls }),
    }),
  )
  // Nobody's rules are more the place's than another's: those hold that all have, and that lead past nobody's allow and deny.
  const policies = sharing.map(({ service }) => policyOf(base, service))
  const agreed = <K extends 'rules' | 'sticky'>(key: K): TrafficPolicy[K] | undefined => {
    const said = policies[0]?.[key]
    return policies.every((policy) => sameData(policy[key], said)) ? said : undefined
  }
  const rules = agreed('rules') ?? []
  const traffic: Partial<TrafficPolicy> = Object.freeze({
    split: Object.freeze(split),
    failover: Object.freeze([]),
    rules: sameAccess && rules.every(({ action }) => action.kind !== 'version') ? rules : Object.freeze([]),
    sticky: agreed('sticky'),
    fallback: 'others',
    mirror: undefined,
  })
  return Object.freeze({
    origin,
    host,
    path,
    service,
    traffic,
    ...(sameShaping && shaping ? { shaping } : {}),
    ...(sameAccess && access ? { access } : {}),
  })
}

/** The routes that {@link sharePlaces} made one of, as they were; one that nobody shares is the only one. */
export function takenApart(route: RoutePolicy): readonly RoutePolicy[] {
  const { origin, host, path, service, traffic, shaping, access } = route
  if (!traffic?.split) return [route]
  // Their origins differ in the name of the service alone.
  const tag = origin.slice(originOf(service, '').length)
  return traffic.split.map((part) => {
    const { service: name = service, upstreamTls } = part
    const own = {
      shaping: 'shaping' in part ? part.shaping : shaping,
      access: 'access' in part ? part.access : access,
      upstreamTls,
    }
    const said = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
    return Object.freeze({ origin: originOf(name, tag), host, path, ...said, service: name })
  })
}

/** Names the route that a tag of `service` makes; `tag` is as it is written, without options where it is understood. */
export function originOf(service: string, tag: string): string {
  return `tag:${service}:${tag}`
}

/** The service whose tag makes `route`, a redirect's too, which leads to none. */
export function tagOwner({ origin, host, path }: RoutePolicy, prefix: string): string {
  return origin.slice(originOf('', '').length - 1, -`:${prefix}${host}${path}`.length)
}

function told(place: string, where: string, sharing: readonly RoutePolicy[]): Problem {
  const names = sharing.map(({ service }) => service)
  return Object.freeze({
    code: 'place-shared',
    notice: true,
    where,
    message: `services ${names.join(' and ')} have tags for ${place}: their instances share its requests`,
  })
}
