/**
 * Which services are reached by TLS because routes ask for it: a pool is an endpoint's, so that all routes of a service go
 * the same way. What the policy of the service says comes first; else one route that asks for TLS is enough, since what
 * wants to be secret must not travel plain for another's sake. Pure.
 */
import type { Problem } from '../core/problem.ts'
import { defaultTls, type RoutePolicy, type ServicePolicy } from '../policy/policy.ts'

export interface Schemes {
  /** Names of services of which a route asks for TLS. */
  readonly secure: ReadonlySet<string>
  /** Those of which another route asks for the opposite: that route's origin, by name of the service. */
  readonly disputed: ReadonlyMap<string, string>
}

const none: Schemes = { secure: new Set(), disputed: new Map() }

/** What `routes` ask for. */
export function schemesOf(routes: readonly RoutePolicy[]): Schemes {
  const secure = new Set<string>()
  const plain = new Map<string, string>()
  const asks = (service: string, upstreamTls: boolean | undefined, origin: string): void => {
    if (upstreamTls === true) secure.add(service)
    // A tag says which of the two it means, if by saying nothing; a route of the configuration leaves it to its service.
    else if ((upstreamTls === false || origin.startsWith('tag:')) && !plain.has(service)) plain.set(service, origin)
  }
  for (const route of routes) {
    const shared = route.origin.startsWith('tag:') ? route.traffic?.split : undefined
    if (shared) for (const { service = route.service, upstreamTls } of shared) asks(service, upstreamTls, route.origin)
    else asks(route.service, route.upstreamTls, route.origin)
  }
  if (secure.size === 0) return none
  return { secure, disputed: new Map([...plain].filter(([name]) => secure.has(name))) }
}

const secured = new WeakMap<ServicePolicy, ServicePolicy>()

/** `policy` as it is for service `name`: the very object where routes ask for nothing, or it says for itself. */
export function withScheme(name: string, policy: ServicePolicy, { secure }: Schemes): ServicePolicy {
  if (policy.tls !== undefined || !secure.has(name)) return policy
  let made = secured.get(policy)
  if (!made) secured.set(policy, (made = Object.freeze({ ...policy, tls: defaultTls })))
  return made
}

/** What of it is not done as it was asked; `policy` is the service's own. */
export function schemeProblems(name: string, policy: ServicePolicy, { secure, disputed }: Schemes): readonly Problem[] {
  if (!secure.has(name)) return []
  if (policy.tls === 'off')
    return [
      problem(name, `service:${name}`, 'a route asks for https, and the configuration says tls: off: it is plain'),
    ]
  const origin = disputed.get(name)
  if (origin === undefined) return []
  return [problem(name, origin, 'this route asks for plain http, another of the same service for https: it is https')]
}

const problem = (name: string, where: string, what: string): Problem =>
  Object.freeze({
    code: 'mixed-upstream-scheme',
    where,
    message: `${what} for all routes of ${name}; say tls in services.${name} of the configuration, or make the tags agree`,
  })
