/**
 * What should get traffic: the types of a policy, whatever wrote it. Immutable. It says nothing of what is running.
 */
import type { Problem } from '../core/problem.ts'
import type { PipeliningOptions } from '../wire/pipelining.ts'
import type { TlsOptions } from '../wire/tls.ts'
import { type AddressCheck, defaultAddressCheck } from './addresses.ts'
import type { HostClaim } from './host-claims.ts'
import type { AccessPolicy, AffinityPolicy, HashPolicy, Redirect, ShapingPolicy, TrafficPolicy } from './traffic.ts'

export interface RoutePolicy {
  /** Names the route in logs and problems; unique in a policy: `config:routes[0]`, `tag:web:urlprefix-/x`. */
  readonly origin: string
  /** Lower-case host without port: exact (`shop.example.com`), wildcard (`*.example.com`), or '' for any. */
  readonly host: string
  /** Prefix on a segment boundary, starts with `/`, normalised as request paths are; `/` is every path. */
  readonly path: string
  /** '' with {@link redirect} alone. */
  readonly service: string
  /** Answers so, and leads to no service. */
  readonly redirect?: Redirect | undefined
  /** What it says for itself; what is undefined is its service's own. */
  readonly traffic?: Partial<TrafficPolicy> | undefined
  readonly shaping?: ShapingPolicy | undefined
  readonly access?: AccessPolicy | undefined
  /** Whether its service wants TLS, or wants none; undefined: it does not say. What the service's own policy says comes first. */
  readonly upstreamTls?: boolean | undefined
}

export interface ServiceTimeouts {
  /** Until a connection stands, ms. */
  readonly connectMs: number
  /** From the request being sent until the final answer's head is complete, ms. */
  readonly firstByteMs: number
  /** Between two bytes of an answer (or of an upload), ms. */
  readonly idleMs: number
}

export interface RetryPolicy {
  /** Attempts for one request, the first included; at least 1. */
  readonly attempts: number
  /** Retries allowed, as a share of requests in flight, 0 to 1. What was never sent spends none of it. */
  readonly budget: number
  /** Largest body kept for replay, bytes. */
  readonly bodyBytes: number
}

/** How instances are judged. Names are Envoy's where it has one ("Health checking", "Outlier detection"). */
export interface HealthPolicy {
  /** `observe`: says what it would eject and does nothing; `off`: judges nothing. */
  readonly mode: 'act' | 'observe' | 'off'
  /** Path of the periodic HTTP probe; also asked on suspicion. Undefined: no HTTP probe, and `HEAD /` on suspicion. */
  readonly http: string | undefined
  /** Whether connecting alone is the periodic probe. Only without `http`. */
  readonly tcp: boolean
  /** Between two periodic probes of one endpoint, ms. */
  readonly intervalMs: number
  /** A periodic probe without an answer for this long has failed, ms. */
  readonly timeoutMs: number
  /** Failed periodic probes in a row that eject. */
  readonly unhealthyThreshold: number
  /** Good ones in a row that restore. */
  readonly healthyThreshold: number
  /** Lower-case header of a probe's answer that must equal the Consul service id; undefined: not asked. */
  readonly identity: string | undefined
  /** Failures in a row (5xx, resets, timeouts) that eject; 0: none do. */
  readonly consecutiveFailures: number
  /** Share of failures in the window that ejects, 0 to 1; 0: none does. */
  readonly failureRate: number
  /** Least answers in the window for `failureRate` to be judged. */
  readonly requestVolume: number
  /** The window, ms. */
  readonly windowMs: number
  /** First hold-down after failures, ms; doubles with each ejection, up to `maxEjectionMs`. */
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  /** Share of a service's endpoints, 0 to 1: below it, all but the certainly dead get traffic. */
  readonly panicThreshold: number
  /** How long a new endpoint's weight rises from a tenth to all, ms; 0: at once. */
  readonly slowStartMs: number
}

/** What an endpoint that leaves (deregistered, in maintenance) may still take. */
export interface DrainPolicy {
  /** For requests under way, ms. */
  readonly deadlineMs: number
  /** For tunnels, ms. */
  readonly tunnelDeadlineMs: number
}

/** TLS towards the instances of a service. */
export interface ServiceTls extends TlsOptions {
  /** Paths of what `identity` holds; undefined: none. */
  readonly files: TlsFiles | undefined
}

/** PEM files; `cert` and `key` both, or neither. */
export interface TlsFiles {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

export type BalanceAlgorithm = 'least-request' | 'round-robin' | 'hash'

export interface ServicePolicy extends TrafficPolicy {
  readonly balance: BalanceAlgorithm
  /** What `balance: 'hash'` goes by. */
  readonly hash: HashPolicy
  readonly affinity: AffinityPolicy | undefined
  readonly timeouts: ServiceTimeouts
  readonly retry: RetryPolicy
  readonly health: HealthPolicy
  readonly drain: DrainPolicy
  /** Undefined: none, unless a route asks for it; `off`: none, whatever routes ask for. */
  readonly tls: ServiceTls | 'off' | undefined
  /** Undefined: each request has a connection for itself. */
  readonly pipelining: PipeliningOptions | undefined
}

/** Where an instance's version is looked for, in order: `meta.KEY` or a tag `KEY=…`. */
export interface VersionFrom {
  readonly metaKey: string
  readonly tagPrefix: string
}

/** One place that says how the requests of a service are shared; what is undefined it does not say. */
export interface WeightsLayer {
  /** Such as `kv:fairlead/services/web`, `config:services.web`, `config-entries/service-splitter/web`, `config:defaults`. */
  readonly origin: string
  readonly versions?: ReadonlyMap<string, number> | undefined
  readonly split?: ServicePolicy['split']
  readonly failover?: ServicePolicy['failover'] | undefined
  /** Of a document in the KV: who wrote it last, and which revision that is. */
  readonly written?: { readonly by: string; readonly revision: number }
}

export interface Policy {
  /** Routes in order of precedence among equals: earlier wins on the same host and path. */
  readonly routes: readonly RoutePolicy[]
  /** By service name; a service that is absent has {@link Policy.defaults}. */
  readonly services: ReadonlyMap<string, ServicePolicy>
  readonly defaults: ServicePolicy
  readonly versionFrom: VersionFrom
  /** Catalog tags that start with this make routes; undefined: none do. */
  readonly tagPrefix: string | undefined
  /** Which services' tags may route which hosts; undefined: all may route any. */
  readonly claims: readonly HostClaim[] | undefined
  /** Which addresses must not be routed to; another function is another rule. */
  readonly checkAddress: AddressCheck
  /** Where a service's settings come from, the strongest first; a service that is absent has the defaults. */
  readonly origins: ReadonlyMap<string, readonly string[]>
  /** The same of its weights by version, its split and its failover, but for the defaults'; see `weights.ts`. */
  readonly weights: ReadonlyMap<string, readonly WeightsLayer[]>
  readonly problems: readonly Problem[]
}

/** TLS as it is where nothing more is said. */
export const defaultTls: ServiceTls = Object.freeze({
  verify: true,
  serverName: undefined,
  identity: undefined,
  files: undefined,
})

/** Pipelining as it is where nothing more is said than that it is wanted. */
export const defaultPipelining: PipeliningOptions = Object.freeze({ requests: 8, waitMs: 20 })

export const defaultServicePolicy: ServicePolicy = Object.freeze({
  versions: undefined,
  split: undefined,
  failover: Object.freeze([]),
  rules: Object.freeze([]),
  sticky: undefined,
  fallback: 'others',
  mirror: undefined,
  balance: 'least-request',
  hash: Object.freeze({ key: Object.freeze({ from: 'client' }), loadFactor: 1.25 }),
  affinity: undefined,
  timeouts: Object.freeze({ connectMs: 1_000, firstByteMs: 60_000, idleMs: 60_000 }),
  retry: Object.freeze({ attempts: 3, budget: 0.2, bodyBytes: 65_536 }),
  health: Object.freeze({
    mode: 'act',
    http: undefined,
    tcp: false,
    intervalMs: 2_000,
    timeoutMs: 500,
    unhealthyThreshold: 2,
    healthyThreshold: 1,
    identity: undefined,
    consecutiveFailures: 5,
    failureRate: 0.5,
    requestVolume: 20,
    windowMs: 10_000,
    baseEjectionMs: 1_000,
    maxEjectionMs: 60_000,
    panicThreshold: 0.5,
    slowStartMs: 5_000,
  }),
  drain: Object.freeze({ deadlineMs: 30_000, tunnelDeadlineMs: 300_000 }),
  tls: undefined,
  pipelining: undefined,
})

export const defaultVersionFrom: VersionFrom = Object.freeze({ metaKey: 'version', tagPrefix: 'version=' })

export const emptyPolicy: Policy = Object.freeze({
  routes: Object.freeze([]),
  services: new Map(),
  defaults: defaultServicePolicy,
  versionFrom: defaultVersionFrom,
  tagPrefix: undefined,
  claims: undefined,
  checkAddress: defaultAddressCheck,
  origins: new Map(),
  weights: new Map(),
  problems: Object.freeze([]),
})

/** What holds for a service, named or not. */
export function policyOf({ services, defaults }: Pick<Policy, 'services' | 'defaults'>, name: string): ServicePolicy {
  return services.get(name) ?? defaults
}
