/**
 * What should get traffic: the types of a policy, whatever wrote it. Immutable. It says nothing of what is running.
 */
import type { Problem } from '../core/problem.ts'

export interface RoutePolicy {
  /** Names the route in logs and problems; unique in a policy: `config:routes[0]`, `tag:web:urlprefix-/x`. */
  readonly origin: string
  /** Lower-case host without port: exact (`shop.example.com`), wildcard (`*.example.com`), or '' for any. */
  readonly host: string
  /** Prefix on a segment boundary, starts with `/`, normalised as request paths are; `/` is every path. */
  readonly path: string
  readonly service: string
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

export type BalanceAlgorithm = 'least-request' | 'round-robin'

export interface ServicePolicy {
  /** Weight by version, any scale, at least 0; `*` is every version not named. Undefined: all, by instance weights. */
  readonly versions: ReadonlyMap<string, number> | undefined
  readonly balance: BalanceAlgorithm
  readonly timeouts: ServiceTimeouts
  readonly retry: RetryPolicy
}

/** Where an instance's version is looked for, in order: `meta.KEY` or a tag `KEY=…`. */
export interface VersionFrom {
  readonly metaKey: string
  readonly tagPrefix: string
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
  readonly problems: readonly Problem[]
}

export const defaultServicePolicy: ServicePolicy = Object.freeze({
  versions: undefined,
  balance: 'least-request',
  timeouts: Object.freeze({ connectMs: 1_000, firstByteMs: 30_000, idleMs: 60_000 }),
  retry: Object.freeze({ attempts: 3, budget: 0.2, bodyBytes: 65_536 }),
})

export const defaultVersionFrom: VersionFrom = Object.freeze({ metaKey: 'version', tagPrefix: 'version=' })

export const emptyPolicy: Policy = Object.freeze({
  routes: Object.freeze([]),
  services: new Map(),
  defaults: defaultServicePolicy,
  versionFrom: defaultVersionFrom,
  tagPrefix: undefined,
  problems: Object.freeze([]),
})
