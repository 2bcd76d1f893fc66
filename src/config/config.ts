/**
 * The configuration as the program uses it: resolved, validated, with units in the names and nothing left to default.
 * Types only. What may be written, its bounds and its defaults stand in `schema.ts`; `load.ts` makes one of the other.
 */
import type { ConsulOptions } from '../catalog/consul/options.ts'
import type { HostClaim } from '../policy/host-claims.ts'
import type { BalanceAlgorithm, HealthPolicy } from '../policy/policy.ts'
import type {
  AccessPolicy,
  AffinityPolicy,
  HashPolicy,
  MirrorPolicy,
  Redirect,
  Rule,
  ShapingPolicy,
  SplitPart,
  SplitTarget,
  StickyPolicy,
  TrafficPolicy,
} from '../policy/traffic.ts'
import type { ListenerOptions } from '../proxy/options.ts'
import type { WireLimits } from '../wire/limits.ts'
import type { Workers } from './workers.ts'

/** Where a server listens: a TCP port (0 lets the system choose) or a Unix socket. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** What the Consul source takes, the environment's `CONSUL_*` variables brought in; never log its tokens. */
export interface ConsulConfig extends ConsulOptions {
  readonly kind: 'consul'
  /** Unique among the sources. */
  readonly name: string
  /** `http://host:port`, `https://host:port` (a path prefix may follow) or `unix:/path`. */
  readonly address: string
}

export interface FileCatalogConfig {
  readonly kind: 'file'
  readonly name: string
  readonly path: string
}

export interface EmbeddedCatalogConfig {
  readonly kind: 'embedded'
  readonly name: string
  /** Where its HTTP API listens. */
  readonly address: { readonly host: string; readonly port: number }
  /** Undefined: nothing outlives the process. */
  readonly stateDir: string | undefined
}

export type CatalogConfig = ConsulConfig | FileCatalogConfig | EmbeddedCatalogConfig

/** How the proxy registers itself in Consul, so that what stands in front can find it. */
export interface RegisterConfig {
  /** Name of the consul or embedded source to register in. */
  readonly source: string
  readonly service: string
  /** Undefined: made of the service's name, the host's name and the port. */
  readonly id: string | undefined
  /** Undefined: the agent's own address. */
  readonly address: string | undefined
  /** 0: the one the system chose for the first listener. */
  readonly port: number
  readonly tags: readonly string[]
  readonly meta: ReadonlyMap<string, string>
  /** The registration turns critical when the proxy has not said for this long that it is ready, ms. */
  readonly ttlMs: number
  /** And is removed after being critical for this long, ms. */
  readonly deregisterAfterMs: number
}

export interface RouteConfig {
  /** Lower case; exact, `*.example.com`, or '' for any. */
  readonly host: string
  /** Normalised, begins with `/`, ends with none (save `/` itself). */
  readonly path: string
  /** '' with {@link redirect}. */
  readonly service: string
  readonly redirect: Redirect | undefined
  /** What is undefined is the service's own. */
  readonly traffic: TrafficSettings
  readonly shaping: ShapingPolicy | undefined
  readonly access: AccessPolicy | undefined
}

/** What a service or a route says of versions; `off` is said where something would be inherited. */
export interface TrafficSettings {
  readonly versions?: ReadonlyMap<string, number> | undefined
  readonly split?: readonly SplitPart[] | undefined
  readonly failover?: readonly SplitTarget[] | undefined
  readonly rules?: readonly Rule[] | undefined
  readonly sticky?: StickyPolicy | 'off' | undefined
  readonly fallback?: TrafficPolicy['fallback'] | undefined
  readonly mirror?: MirrorPolicy | 'off' | undefined
}

/** One service's settings as far as they were written; what is undefined falls to `defaults`, then to the built-in. */
export interface ServiceSettings extends TrafficSettings {
  readonly hash?: HashPolicy | undefined
  readonly affinity?: AffinityPolicy | 'off' | undefined
  readonly balance?: BalanceAlgorithm | undefined
  readonly timeouts?: TimeoutSettings | undefined
  readonly retry?: RetrySettings | undefined
  readonly health?: HealthSettings | undefined
  readonly drain?: DrainSettings | undefined
  readonly tls?: TlsSettings | 'off' | undefined
  readonly pipelining?: PipeliningSettings | 'off' | undefined
}

export interface PipeliningSettings {
  readonly requests?: number | undefined
  /** Milliseconds. */
  readonly wait?: number | undefined
}

/** As {@link HealthPolicy}; durations in ms, shares 0 to 1. */
export interface HealthSettings {
  readonly mode?: HealthPolicy['mode'] | undefined
  readonly http?: string | undefined
  readonly tcp?: boolean | undefined
  readonly interval?: number | undefined
  readonly timeout?: number | undefined
  readonly unhealthyThreshold?: number | undefined
  readonly healthyThreshold?: number | undefined
  readonly identity?: string | undefined
  readonly consecutiveFailures?: number | undefined
  readonly failureRate?: number | undefined
  readonly requestVolume?: number | undefined
  readonly window?: number | undefined
  readonly baseEjection?: number | undefined
  readonly maxEjection?: number | undefined
  readonly panicThreshold?: number | undefined
  readonly slowStart?: number | undefined
}

/** TLS towards instances; files as absolute paths. */
export interface TlsSettings {
  readonly verify?: boolean | undefined
  readonly ca?: string | undefined
  readonly serverName?: string | undefined
  /** With `key`, or neither. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** Milliseconds, both. */
export interface DrainSettings {
  readonly deadline?: number | undefined
  readonly tunnelDeadline?: number | undefined
}

export interface TimeoutSettings {
  /** Milliseconds, all three. */
  readonly connect?: number | undefined
  readonly firstByte?: number | undefined
  readonly idle?: number | undefined
}

export interface RetrySettings {
  readonly attempts?: number | undefined
  /** 0 to 1. */
  readonly budget?: number | undefined
  /** Bytes. */
  readonly body?: number | undefined
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type AccessLog = 'all' | 'errors' | 'off'

/** A named token of the admin API. */
export interface AdminToken {
  /** Who: stands in logs and orders. Unique. */
  readonly name: string
  /** Path of the file that holds the token and nothing else. */
  readonly file: string
  /** `operate`: may change things, too. */
  readonly role: 'operate' | 'read'
}

export interface Config {
  readonly listen: readonly ListenerOptions[]
  /** Undefined: switched off. */
  readonly status: Address | undefined
  /** Loopback or a Unix socket, where there are no tokens. Undefined: switched off. */
  readonly admin: Address | undefined
  /** Who may use the API of the admin address; empty: whoever reaches it. */
  readonly adminTokens: readonly AdminToken[]
  /** Where this proxy is; '' when it was not said. */
  readonly zone: string
  readonly catalog: readonly CatalogConfig[]
  readonly register: RegisterConfig | undefined
  readonly routes: readonly RouteConfig[]
  readonly services: ReadonlyMap<string, ServiceSettings>
  readonly defaults: ServiceSettings
  readonly versionFrom: { readonly meta: string; readonly tag: string }
  /** Catalog tags that begin with this make routes; undefined: none do. */
  readonly tagPrefix: string | undefined
  /** The source in whose KV policy is kept, and below which prefix; undefined: none is. */
  readonly kv: { readonly source: string; readonly prefix: string } | undefined
  /** The source whose config entries are followed; undefined: none are. */
  readonly consulEntries: string | undefined
  /** Undefined: any service's tags may route any host. */
  readonly claims: readonly HostClaim[] | undefined
  /** CIDR ranges where instances may be; undefined: anywhere. */
  readonly addresses: readonly string[] | undefined
  /** Processes that carry requests; see `workerCount`. */
  readonly workers: Workers
  readonly stateDir: string | undefined
  readonly shutdown: { readonly lameDuckMs: number; readonly deadlineMs: number }
  readonly log: { readonly level: LogLevel; readonly access: AccessLog }
  readonly limits: WireLimits
  /** File whose content is the body of the answers that Fairlead makes itself, by status. */
  readonly errorPages: ReadonlyMap<number, string>
}
