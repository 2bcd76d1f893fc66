/** What a build needs to know of routes before any instance: their order, the services they lead to, and what of them asks for what. Pure. */
import type { Problem } from '../core/problem.ts'
import { type Policy, policyOf, type RoutePolicy } from '../policy/policy.ts'
import { withLastGood } from './last-good.ts'
import { orderRoutes, type OrderedRoutes } from './order-routes.ts'
import { sharingServices } from './parts.ts'
import { mirrorOf, rulesOf, servicesOf } from './rule-targets.ts'
import { unreadProblems } from './unread.ts'
import { type Schemes, schemesOf } from './upstream-scheme.ts'

export interface Arrangement {
  readonly given: readonly RoutePolicy[]
  /** They and the defaults, which come with them, may have rules that lead to other services. */
  readonly policies: Policy['services']
  /** Last good ones, behind those that were given. */
  readonly kept: readonly RoutePolicy[]
  /** Who says how requests of services are shared. */
  readonly sayers: Pick<Policy, 'weights' | 'defaults'>
  readonly ordered: OrderedRoutes
  readonly schemes: Schemes
  /** First route of each service, by service name in order of names. */
  readonly needed: ReadonlyMap<string, RoutePolicy>
  /** Places, among the ordered, of the routes that each service matters to. */
  readonly places: ReadonlyMap<string, readonly number[]>
  /** Places of those that have rules or a mirror, in order. */
  readonly ruled: readonly number[]
  /** Services that have the first route that leads to them together with others. */
  readonly sharing: ReadonlySet<string>
  /** See `withLastGood`. */
  readonly shared: readonly Problem[] | undefined
  /** Of documents that nothing reads. */
  readonly unread: readonly Problem[]
}

export function arrange(policy: Policy, kept: readonly RoutePolicy[]): Arrangement {
  const { routes, shared } = withLastGood(policy, kept)
  const ordered = orderRoutes(routes)
  const first = new Map<string, RoutePolicy>()
  const places = new Map<string, number[]>()
  const ruled: number[] = []
  for (const [place, route] of ordered.routes.entries()) {
    for (const name of servicesOf(route, policy)) {
      const known = first.get(name)
      if (!known || (known.service !== name && route.service === name)) first.set(name, route)
      const at = places.get(name)
      if (!at) places.set(name, [place])
      else if (at.at(-1) !== place) at.push(place)
    }
    const own = policyOf(policy, route.service)
    if (rulesOf(route, own).length > 0 || mirrorOf(route, own)) ruled.push(place)
  }
  const sharing = new Set<string>()
  const partners = new Map<RoutePolicy, ReadonlySet<string>>()
  for (const [name, route] of first) {
    const all = partners.get(route) ?? sharingServices(route, policyOf(policy, route.service))
    partners.set(route, all)
    if (all.has(name)) sharing.add(name)
  }
  const needed = new Map([...first].sort(([a], [b]) => (a < b ? -1 : 1)))
  const schemes = schemesOf(ordered.routes)
  const unread = unreadProblems(policy, needed)
  const { routes: given, services: policies, weights, defaults } = policy
  const told = { sharing, shared, unread }
  return { given, policies, kept, sayers: { weights, defaults }, ordered, schemes, needed, places, ruled, ...told }
}
