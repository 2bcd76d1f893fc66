/**
 * Ties a table to run-time state, once per swap, so that a request looks nothing up by name. Pure but for what the
 * registry makes on the way: a service whose table object is the very one of the binding before is taken over as it is.
 */
import { hashText } from '../balance/rendezvous.ts'
import { createMatcher } from '../table/match.ts'
import { planOf } from '../table/plan.ts'
import { noService, type Route, type RouteTable, type ServiceTable, type VersionGroup } from '../table/table.ts'
import { newServiceStats, type Registry } from './registry.ts'
import type { BoundEndpoint, BoundGroup, BoundRoute, BoundService, BoundTable, Matcher } from './runtime.ts'

/** What a binding keeps for the next one: where each route stands, and the routes in that order. */
interface Memo {
  readonly places: Matcher<number>
  readonly routes: readonly BoundRoute[]
}

const memos = new WeakMap<BoundTable, Memo>()

function bindGroup({ name, policy }: ServiceTable, group: VersionGroup, registry: Registry): BoundGroup {
  const endpoints: BoundEndpoint[] = []
  for (const endpoint of group.endpoints) {
    // Those with weight 0 have state too: a check that turns critical must not cost its counts and connections.
    const state = registry.endpoint(endpoint)
    state.endpoint = endpoint
    state.drain = policy.drain
    state.pool.useTls(policy.tls === 'off' ? undefined : policy.tls)
    state.draining = endpoint.status === 'maintenance'
    state.doubted = endpoint.agentLost || endpoint.held === true
    if (endpoint.weight > 0) endpoints.push({ endpoint, state })
  }
  return {
    version: group.version,
    seed: hashText(group.version, 0),
    weight: group.weight,
    endpoints,
    stats: registry.version(name, group.version),
  }
}

function bindService(table: ServiceTable, registry: Registry): BoundService {
  return {
    table,
    groups: table.groups.map((group) => bindGroup(table, group, registry)),
    stats: registry.service(table.name),
  }
}

/** Where routes lead that only redirect. */
const nowhere: BoundService = { table: noService, groups: [], stats: newServiceStats('') }

function bindRoute(route: Route, service: BoundService): BoundRoute {
  const { weights } = route
  const groups = weights
    ? service.groups.map((group) => ({ ...group, weight: weights.get(group.version) ?? 0 }))
    : service.groups
  const plan = planOf(route)
  return { route, service, groups, plan, strict: plan?.fallback === 'none' }
}

function samePlaces(a: readonly Route[], b: readonly Route[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  return a.every((route, i) => route === b[i] || (route.host === b[i]?.host && route.path === b[i].path))
}

/**
 * Binds `table`. With `previous`, whatever did not change is the same object as there, and the matcher's index is
 * reused while the same hosts and paths stand in the same order. Call {@link Registry.retain} once the result stands.
 */
export function bindTable(table: RouteTable, registry: Registry, previous?: BoundTable): BoundTable {
  if (previous?.table === table) return previous
  const services = new Map<string, BoundService>()
  for (const [name, service] of table.services) {
    const known = previous?.services.get(name)
    services.set(name, known?.table === service ? known : bindService(service, registry))
  }

  const before = previous && memos.get(previous)
  const routes = table.routes.map((route, i): BoundRoute => {
    const known = before?.routes[i]
    if (known?.route === route && known.service === (services.get(route.service.name) ?? nowhere)) return known
    return bindRoute(route, services.get(route.service.name) ?? nowhere)
  })
  const places =
    before && previous && samePlaces(table.routes, previous.table.routes)
      ? before.places
      : createMatcher(table.routes.map(({ host, path }, value) => ({ host, path, value })))

  const bound: BoundTable = {
    table,
    services,
    match(host, path) {
      const place = places(host, path)
      return place === undefined ? undefined : routes[place]
    },
  }
  memos.set(bound, { places, routes })
  return bound
}
