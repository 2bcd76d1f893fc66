/**
 * Ties a table to run-time state, once per swap, so that a request looks nothing up by name. Pure but for what the
 * registry makes on the way: a service whose table object is the very one of the binding before is taken over as it is.
 */
import { affinityToken, identityHash } from '../balance/identity.ts'
import { hashText } from '../balance/rendezvous.ts'
import { createMatcher } from '../table/match.ts'
import { bindParts } from './bind-parts.ts'
import { endLeaving } from './endpoint-state.ts'
import { zonesOf } from './zones-of.ts'
import { planOf } from '../table/plan.ts'
import { noService, type Route, type RouteTable, type ServiceTable, type VersionGroup } from '../table/table.ts'
import { newServiceStats, type Registry } from './registry.ts'
import type { BoundEndpoint, BoundGroup, BoundRoute, BoundService, BoundTable, Matcher } from './runtime.ts'

/** What a binding keeps for the next one: where each route stands. */
interface Memo {
  /** The proxy's own zone. */
  readonly zone: string
  readonly places: Matcher<number>
}

const memos = new WeakMap<BoundTable, Memo>()

function bindGroup({ name, policy }: ServiceTable, group: VersionGroup, registry: Registry, zone: string): BoundGroup {
  const endpoints: BoundEndpoint[] = []
  for (const endpoint of group.endpoints) {
    // Those with weight 0 have state too: a check that turns critical must not cost its counts and connections.
    const state = registry.endpoint(endpoint)
    state.endpoint = endpoint
    state.drain = policy.drain
    state.pool.useTls(policy.tls === 'off' ? undefined : policy.tls)
    state.draining = endpoint.status === 'maintenance'
    endLeaving(state)
    state.doubted = endpoint.agentLost || endpoint.held === true
    if (endpoint.weight <= 0) continue
    const token = policy.affinity ? affinityToken(endpoint) : ''
    endpoints.push({ endpoint, state, hash: identityHash(endpoint), token })
  }
  return {
    version: group.version,
    seed: hashText(group.version, 0),
    weight: group.weight,
    endpoints,
    zones: zonesOf(endpoints, zone),
    stats: registry.version(name, group.version),
  }
}

/** `known`: as it was bound before, in the same zone. Versions that did not change stay bound as they are. */
function bindService(
  table: ServiceTable,
  registry: Registry,
  zone: string,
  known: BoundService | undefined,
): BoundService {
  const { balance, affinity } = table.policy
  const kept = new Map<VersionGroup, BoundGroup>()
  if (known?.table.policy === table.policy)
    for (const [i, group] of known.table.groups.entries()) {
      const bound = known.groups[i]
      if (bound) kept.set(group, bound)
    }
  return {
    table,
    tied: balance === 'hash' || affinity !== undefined,
    groups: table.groups.map((group) => kept.get(group) ?? bindGroup(table, group, registry, zone)),
    stats: registry.service(table.name),
  }
}

/** `before`: as they were bound, in the same zone; the very map where nothing changed. */
function bindServices(
  table: RouteTable,
  registry: Registry,
  zone: string,
  before: ReadonlyMap<string, BoundService> | undefined,
): ReadonlyMap<string, BoundService> {
  const changed: ServiceTable[] = []
  let kept = 0
  for (const [name, service] of table.services) {
    const known = before?.get(name)
    if (known) kept++
    if (known?.table !== service) changed.push(service)
  }
  const sameNames = before !== undefined && kept === before.size && kept === table.services.size
  if (sameNames && changed.length === 0) return before
  const fresh = new Map(
    changed.map((service) => [service.name, bindService(service, registry, zone, before?.get(service.name))]),
  )
  const services = new Map(sameNames ? before : undefined)
  if (sameNames) for (const [name, service] of fresh) services.set(name, service)
  else
    for (const name of table.services.keys()) {
      const service = fresh.get(name) ?? before?.get(name)
      if (service) services.set(name, service)
    }
  return services
}

/** Where routes lead that only redirect. */
const nowhere: BoundService = { table: noService, tied: false, groups: [], stats: newServiceStats('') }

function bindRoute(route: Route, services: ReadonlyMap<string, BoundService>, zone: string): BoundRoute {
  const service = services.get(route.service.name) ?? nowhere
  const { weights } = route
  const groups = weights
    ? service.groups.map((group) => ({ ...group, weight: weights.get(group.version) ?? 0 }))
    : service.groups
  const plan = planOf(route)
  const bound: BoundRoute = { route, service, groups, plan, strict: plan?.fallback === 'none' }
  return route.parts && plan ? { ...bound, parts: bindParts(route.parts, bound, plan, services, zone) } : bound
}

const sameParts = ({ parts }: BoundRoute, services: ReadonlyMap<string, BoundService>): boolean =>
  parts === undefined || parts.every(({ service }) => services.get(service.table.name) === service)

function samePlaces(a: readonly Route[], b: readonly Route[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  return a.every((route, i) => route === b[i] || (route.host === b[i]?.host && route.path === b[i].path))
}

/**
 * Binds `table`. With `previous`, whatever did not change is the same object as there, and the matcher's index is
 * reused while the same hosts and paths stand in the same order. `zone` is where the proxy itself is, '' nowhere; another one
 * binds every service anew. Call {@link Registry.retain} once the result stands.
 */
export function bindTable(table: RouteTable, registry: Registry, previous?: BoundTable, zone = ''): BoundTable {
  const before = previous && memos.get(previous)
  const sameZone = before?.zone === zone
  if (previous?.table === table && sameZone) return previous
  const services = bindServices(table, registry, zone, sameZone ? previous?.services : undefined)
  const routes = table.routes.map((route, i): BoundRoute => {
    const known = sameZone ? previous?.routes[i] : undefined
    // The same route leads to the same service, which is bound as it was.
    return known?.route === route && sameParts(known, services) ? known : bindRoute(route, services, zone)
  })
  const places =
    before && previous && samePlaces(table.routes, previous.table.routes)
      ? before.places
      : createMatcher(table.routes.map(({ host, path }, value) => ({ host, path, value })))

  const bound: BoundTable = { table, services, routes, match: matcherOf(places, routes) }
  memos.set(bound, { zone, places })
  return bound
}

/** Made by a function of its own: a closure keeps alive all that others close over in its function, and there it was `previous`. */
function matcherOf(places: Matcher<number>, routes: readonly BoundRoute[]): BoundTable['match'] {
  return (host, path) => {
    const place = places(host, path)
    return place === undefined ? undefined : routes[place]
  }
}
