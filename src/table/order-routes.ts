/**
 * Brings routes into order of precedence and takes out those that an earlier one hides.
 */
import type { Problem } from '../core/problem.ts'
import type { RoutePolicy } from '../policy/policy.ts'
import { routePrefix } from './prefix.ts'

export interface OrderedRoutes {
  readonly routes: readonly RoutePolicy[]
  readonly problems: readonly Problem[]
}

/** A route as a person would write it: `shop.example.com/cart`, `/cart` for any host. */
const textOf = ({ host, path }: RoutePolicy): string => `${host}${path}`

/** The service, or where it redirects. */
const targetOf = ({ service, redirect, traffic }: RoutePolicy): string =>
  redirect?.to ?? traffic?.split?.map((part) => part.service ?? service).join(' and ') ?? service

/** 0 exact host, 1 wildcard, 2 any. */
const rank = (host: string): number => (host === '' ? 2 : host.startsWith('*.') ? 1 : 0)

function precedence(a: RoutePolicy, b: RoutePolicy): number {
  const ranks = rank(a.host) - rank(b.host)
  if (ranks !== 0) return ranks
  if (rank(a.host) === 1 && a.host.length !== b.host.length) return b.host.length - a.host.length
  return b.path.length - a.path.length
}

/**
 * Sorts: exact hosts, wildcards by length, any; then the longest path; then as given. Paths come out through
 * `routePrefix`. On the same host and path the earlier route stands and the other is a problem.
 */
export function orderRoutes(routes: readonly RoutePolicy[]): OrderedRoutes {
  const standing = new Map<string, RoutePolicy>()
  const problems: Problem[] = []
  for (const given of routes) {
    const path = routePrefix(given.path)
    const route = path === given.path ? given : { ...given, path }
    const text = textOf(route)
    const earlier = standing.get(text)
    if (!earlier) standing.set(text, route)
    else if (earlier.origin !== route.origin || earlier.service !== route.service)
      problems.push(
        Object.freeze({
          code: 'route-shadowed',
          where: route.origin,
          message: `${text} to ${targetOf(route)} has no effect: ${earlier.origin} comes before it and sends ${text} to ${targetOf(earlier)}`,
        }),
      )
  }
  return { routes: [...standing.values()].sort(precedence), problems }
}
