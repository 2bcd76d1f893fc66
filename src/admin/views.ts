/**
 * What the API shows of the table and of run-time state: plain values for JSON. It reads, at the moment of asking, what
 * the data plane holds; it changes nothing and keeps nothing.
 */
import { isoTime, type Milliseconds } from '../core/clock.ts'
import { nextTurn } from '../core/turn.ts'
import type { HealthView } from '../health/port.ts'
import type { BoundRoute, BoundService, BoundTable, EndpointState, OperatorOrder } from '../live/runtime.ts'
import type { WeightsLayer } from '../policy/policy.ts'
import { type Endpoint, routeText, type ServiceTable, servicesAt } from '../table/table.ts'
import { type MirroredView, mirroredView } from './mirror-view.ts'
import { loadOf, sharedRoutes } from './reckon.ts'
import { routeView } from './route-view.ts'
import {
  type MirroringView,
  mirrorings,
  type OwnWeightsView,
  ownWeights,
  type SharesView,
  sharesViews,
} from './shared-view.ts'
import { type SteeringView, steeringView } from './steering-view.ts'
import type { PipeliningTrouble } from '../wire/pipelining.ts'

/** Where views learn what health thinks. */
export interface HealthSource {
  /** Monotonic time, of the clock that health goes by. */
  readonly now: () => Milliseconds
  readonly stateOf: (state: EndpointState) => HealthView | undefined
  /** Run-time state also of endpoints that the catalog keeps from traffic; absent: theirs is not shown. */
  readonly find?: (endpoint: Endpoint) => EndpointState | undefined
}

/** Where a service's weights come from, the strongest first. */
export type WeightsSource = (service: string) => readonly WeightsLayer[]

/** An operator's order, as JSON shows it. */
export interface OrderView {
  readonly kind: 'drain' | 'eject'
  /** ISO 8601, UTC. Null: until it is restored. */
  readonly since: string
  readonly until: string | null
  /** '' when none was said. */
  readonly reason: string
  readonly by: string
  /** The document that orders it at every proxy, such as `kv:fairlead/drains/shop-1a2b3c4d`; null: this proxy alone does. */
  readonly document: string | null
}

export interface EndpointHealth {
  readonly state: string
  /** Of the last ejection; null: never ejected. */
  readonly cause: string | null
  /** For how long it has been in this state, ms. */
  readonly sinceMs: number
  /** Ejections in its life. */
  readonly ejections: number
  /** False: only observed; it gets traffic all the same. */
  readonly applied: boolean
}

export interface EndpointView {
  readonly handle: string
  /** The id it registered under. */
  readonly id: string
  readonly address: string
  readonly port: number
  readonly status: string
  readonly agentLost: boolean
  readonly weight: number
  readonly zone: string
  readonly inFlight: number
  readonly connections: { readonly open: number; readonly idle: number }
  /** Why nothing is pipelined to it for a while; null: it is, where its service wants that. */
  readonly pipeliningPause: PipeliningTrouble | null
  /** Null: health does not know it (yet). */
  readonly health: EndpointHealth | null
  /** What an operator has ordered; null: nothing. */
  readonly order: OrderView | null
}

export interface ServiceView {
  readonly name: string
  readonly inFlight: number
  readonly steering: SteeringView
  readonly policy: {
    readonly balance: string
    readonly versions: Readonly<Record<string, number>> | null
    readonly timeouts: ServiceTable['policy']['timeouts']
    readonly retry: ServiceTable['policy']['retry']
    readonly health: ServiceTable['policy']['health']
    readonly drain: ServiceTable['policy']['drain']
    /** Null: nothing is mirrored. */
    readonly mirror: ServiceTable['policy']['mirror'] | null
  }
  /** Routes that it shares with other services, or where others stand by for it. */
  readonly shared: readonly SharesView[]
  /** Routes to it alone whose weights are their own. */
  readonly ownWeights: readonly OwnWeightsView[]
  /** What is mirrored of the requests to it. */
  readonly mirrorings: readonly MirroringView[]
  readonly versions: readonly {
    readonly version: string
    readonly weight: number
    /** Of its requests that no rule decides, 0 to 1, as things stand; with fallback `none` also where nobody of it can answer. */
    readonly share: number
    readonly endpoints: readonly EndpointView[]
    /** Null: nothing was mirrored to it. */
    readonly mirrored: MirroredView | null
  }[]
}

export interface ServiceSummary {
  readonly name: string
  readonly inFlight: number
  readonly routes: readonly string[]
  readonly steering: SteeringView
  readonly versions: readonly {
    readonly version: string
    readonly weight: number
    /** Registered instances, and those of them that the catalog lets have traffic. */
    readonly registered: number
    readonly available: number
  }[]
}

/** What services are shown with of the routes that lead to them, by name. */
export interface RoutesOf {
  readonly shared: ReadonlyMap<string, readonly BoundRoute[]>
  readonly weighed: ReadonlyMap<string, readonly OwnWeightsView[]>
  readonly mirrored: ReadonlyMap<string, readonly MirroringView[]>
}

export function routesOf(bound: BoundTable): RoutesOf {
  return { shared: sharedRoutes(bound), weighed: ownWeights(bound), mirrored: mirrorings(bound) }
}

export function serviceView(
  service: BoundService,
  health: HealthSource | undefined,
  weights: WeightsSource,
  { shared, weighed, mirrored }: RoutesOf,
): ServiceView {
  const states = new Map<string, EndpointState>()
  for (const group of service.groups) for (const { endpoint, state } of group.endpoints) states.set(endpoint.key, state)
  const stats = new Map(service.groups.map(({ version, stats }) => [version, stats.mirrored]))
  const { policy } = service.table
  const { versions: shares } = loadOf(service.groups, policy.fallback === 'none')
  return {
    name: service.table.name,
    inFlight: service.stats.inFlight,
    steering: steeringView(service.table, weights(service.table.name)),
    policy: {
      balance: policy.balance,
      versions: policy.versions ? Object.fromEntries(policy.versions) : null,
      timeouts: policy.timeouts,
      retry: policy.retry,
      health: policy.health,
      drain: policy.drain,
      mirror: policy.mirror ?? null,
    },
    shared: sharesViews(shared.get(service.table.name) ?? []),
    ownWeights: weighed.get(service.table.name) ?? [],
    mirrorings: mirrored.get(service.table.name) ?? [],
    versions: service.table.groups.map((group, at) => ({
      version: group.version,
      weight: group.weight,
      share: shares[at] ?? 0,
      endpoints: group.endpoints.map((endpoint) => {
        return endpointView(endpoint, states.get(endpoint.key) ?? health?.find?.(endpoint), health)
      }),
      mirrored: mirroredView(stats.get(group.version)),
    })),
  }
}

export function endpointView(
  endpoint: Endpoint,
  state: EndpointState | undefined,
  health: HealthSource | undefined,
): EndpointView {
  return {
    handle: endpoint.handle,
    id: endpoint.id,
    address: endpoint.address,
    port: endpoint.port,
    status: endpoint.status,
    agentLost: endpoint.agentLost,
    weight: endpoint.weight,
    zone: endpoint.zone,
    ...useOf(state),
    pipeliningPause: state?.pool.pipeliningPause?.reason ?? state?.elsewhere?.pipeliningPause ?? null,
    health: state && health ? healthView(state, health) : null,
    order: state?.order ? orderView(state.order) : null,
  }
}

function useOf(state: EndpointState | undefined): Pick<EndpointView, 'inFlight' | 'connections'> {
  const { inFlight, open, idle } = state?.elsewhere ?? { inFlight: 0, open: 0, idle: 0 }
  const pool = state?.pool ?? { open: 0, idle: 0 }
  return {
    inFlight: inFlight + (state?.inFlight ?? 0),
    connections: { open: open + pool.open, idle: idle + pool.idle },
  }
}

function orderView({ kind, sinceMs, untilMs, wallMs, reason, by, document }: OperatorOrder): OrderView {
  const until = untilMs === Infinity ? null : isoTime(wallMs + (untilMs - sinceMs))
  return { kind, since: isoTime(wallMs), until, reason, by, document: document ?? null }
}

function healthView(of: EndpointState, { now, stateOf }: HealthSource): EndpointHealth | null {
  const known = stateOf(of)
  if (!known) return null
  const { state, cause = null, sinceMs, ejections, applied } = known
  return { state, cause, sinceMs: Math.max(0, Math.round(now() - sinceMs)), ejections, applied }
}

export function serviceSummaries(bound: BoundTable, weights: WeightsSource): readonly ServiceSummary[] {
  const routes = new Map<string, string[]>()
  for (const route of bound.table.routes) {
    for (const name of servicesAt(route)) {
      const known = routes.get(name)
      if (known) known.push(routeText(route))
      else routes.set(name, [routeText(route)])
    }
  }
  return [...bound.services.values()].map(({ table, stats }) => ({
    name: table.name,
    inFlight: stats.inFlight,
    routes: routes.get(table.name) ?? [],
    steering: steeringView(table, weights(table.name)),
    versions: table.groups.map(({ version, weight, endpoints }) => ({
      version,
      weight,
      registered: endpoints.length,
      available: endpoints.filter((endpoint) => endpoint.weight > 0).length,
    })),
  }))
}

/** The routes that lead to a service, in order of precedence. */
export function routesTo(bound: BoundTable, service: string): readonly string[] {
  return bound.table.routes.filter((route) => servicesAt(route).includes(service)).map(routeText)
}

/**
 * `head`, the items as JSON with commas between them, and `]}`; with a turn of the event loop after each `atOnce` items: what
 * is long is megabytes, and requests must not wait while it is written out.
 */
export async function* jsonList<T>(
  head: string,
  items: Iterable<T>,
  view: (item: T) => unknown,
  atOnce: number,
): AsyncGenerator<string> {
  yield head
  let count = 0
  for (const item of items) {
    yield `${count === 0 ? '' : ','}${JSON.stringify(view(item))}`
    if (++count % atOnce === 0) await nextTurn()
  }
  yield ']}\n'
}

/** The whole table as JSON text, in pieces: a service each. `problems`: how many there are to mend, of whatever kind. */
export function tableJson(
  bound: BoundTable,
  health: HealthSource | undefined,
  weights: WeightsSource,
  problems: number,
): AsyncGenerator<string> {
  const { table } = bound
  const routes = table.routes.map((route) => routeView(route, table.services))
  const { version } = table
  const head = `{"version":${version},"problems":${problems},"routes":${JSON.stringify(routes)},"services":[`
  const found = routesOf(bound)
  return jsonList(head, bound.services.values(), (service) => serviceView(service, health, weights, found), 1)
}
