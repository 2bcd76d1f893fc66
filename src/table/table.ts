/**
 * The route table: plain, frozen data that says which service answers for a host and path, which versions it has and
 * where their instances are. Built by `build.ts`, read by everything, changed by nobody. No clock, no logger, no I/O.
 */
import type { Problem } from '../core/problem.ts'
import type { InstanceStatus } from '../catalog/snapshot.ts'
import type { SplitPart } from '../policy/traffic.ts'
import { defaultServicePolicy, type RoutePolicy, type ServicePolicy } from '../policy/policy.ts'

/** One address that can answer for a service: a catalog instance, seen by the data path. */
export interface Endpoint {
  /** The instance's identity (see `instanceKey`); keys the run-time state that survives table swaps. */
  readonly key: string
  /** Short name that survives shells and URLs: `web-3f2a9c1d`. Unique in a table. */
  readonly handle: string
  /** CreateIndex of the registration; another value under the same key is a new life. */
  readonly life: number
  readonly service: string
  /** The id it registered under (Consul's ServiceID). */
  readonly id: string
  /** '' when the instance names none. */
  readonly version: string
  readonly address: string
  readonly port: number
  readonly status: InstanceStatus
  /** Nothing but its node's lost agent makes it critical. */
  readonly agentLost: boolean
  /**
   * Consul's weight for its status; 0 when the catalog says it must get nothing (critical, maintenance). With
   * {@link agentLost} that of a passing one: whether it lives is for our own health to say.
   */
  readonly weight: number
  readonly zone: string
  /** It stays with its last good form although the catalog has it no longer, or as critical (`control/brake.ts`). */
  readonly held?: true
  /** The weight is a part that its tags ask for (`policy/tag-weights.ts`). */
  readonly byTag?: true
}

/** The instances of one version. */
export interface VersionGroup {
  /** '' groups the instances that name no version. */
  readonly version: string
  /** The version's share against the other groups of its service, any scale; 0: none but by rule. */
  readonly weight: number
  /** All that are registered, those with weight 0 included. Sorted by key. */
  readonly endpoints: readonly Endpoint[]
}

export interface ServiceTable {
  readonly name: string
  readonly policy: ServicePolicy
  /** Sorted by version. Empty when no instance is registered: its routes answer 503. */
  readonly groups: readonly VersionGroup[]
}

/** Where a route shares its requests among several services, one of them. */
export interface RoutePart {
  readonly service: string
  /** This version alone; undefined: by weights. */
  readonly version: string | undefined
  /** Against the other parts, any scale; 0: nothing. */
  readonly weight: number
  /** Only where no part with a weight can answer; those before it first. */
  readonly standby: boolean
  /** Weights by version, where they are not those of its service. */
  readonly weights: ReadonlyMap<string, number> | undefined
  /** Weights of endpoints by key, where they are not those of its service. */
  readonly endpoints: ReadonlyMap<string, number> | undefined
  /** What it was made of; undefined: the route's own service, where something stands by for it. */
  readonly said: SplitPart | undefined
}

export interface Route {
  readonly origin: string
  /** '' any, exact, or `*.suffix`. */
  readonly host: string
  readonly path: string
  /** {@link noService} with a redirect. */
  readonly service: ServiceTable
  /** What it was made of. */
  readonly policy: RoutePolicy
  /** Where the route has weights of its own: by version, as the groups of its service have theirs. */
  readonly weights: ReadonlyMap<string, number> | undefined
  /** Where its requests are shared among several services, or others stand by; undefined: all are for its service. */
  readonly parts?: readonly RoutePart[] | undefined
}

/** The services that a route sends requests to before any rule, each once, its own first where it is one of them. */
export function servicesAt({ service, parts }: Pick<Route, 'service' | 'parts'>): readonly string[] {
  return parts ? [...new Set(parts.map((part) => part.service))] : [service.name]
}

/** A route as a person writes it: `shop.example.com/cart`, `/` for any host. */
export const routeText = ({ host, path }: Pick<Route, 'host' | 'path'>): string => `${host}${path}`

/** What leads nowhere: the service of a route that is a redirect. */
export const noService: ServiceTable = Object.freeze({
  name: '',
  policy: defaultServicePolicy,
  groups: Object.freeze([]),
})

export interface RouteTable {
  /** Rises by one with every build that changed anything; 0 is the empty table before the first. */
  readonly version: number
  /** In order of precedence: exact hosts, wildcards by length, any; then longest path; then the policy's order. */
  readonly routes: readonly Route[]
  readonly services: ReadonlyMap<string, ServiceTable>
  readonly problems: readonly Problem[]
}
