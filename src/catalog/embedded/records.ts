/**
 * What the embedded catalog remembers, as plain JSON values: nodes, services, checks, KV entries, sessions, and the
 * changes between two states. Owns the shapes only; they are also the format on disk, so a field once written stays readable.
 */

export type CheckStatus = 'passing' | 'warning' | 'critical'

export interface NodeRecord {
  readonly name: string
  /** A UUID, or empty for a node that somebody registered from outside without one. */
  readonly id: string
  readonly address: string
  readonly taggedAddresses: Readonly<Record<string, string>>
  readonly meta: Readonly<Record<string, string>>
  /** True for the one node whose agent is this catalog. */
  readonly local: boolean
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface ServiceAddress {
  readonly Address: string
  readonly Port: number
}

export interface ServiceRecord {
  readonly node: string
  readonly id: string
  readonly name: string
  readonly tags: readonly string[]
  readonly address: string
  readonly port: number
  readonly meta: Readonly<Record<string, string>>
  readonly taggedAddresses: Readonly<Record<string, ServiceAddress>>
  readonly weights: { readonly Passing: number; readonly Warning: number }
  readonly enableTagOverride: boolean
  readonly createIndex: number
  readonly modifyIndex: number
}

/** How a check is carried out; all times in ms. */
export type Probe =
  | { readonly kind: 'ttl'; readonly ttlMs: number }
  | {
      readonly kind: 'http'
      readonly url: string
      readonly method: string
      readonly header: Readonly<Record<string, readonly string[]>>
      readonly body: string
      readonly skipVerify: boolean
      readonly intervalMs: number
      readonly timeoutMs: number
    }
  | { readonly kind: 'tcp'; readonly target: string; readonly intervalMs: number; readonly timeoutMs: number }

export interface CheckRun {
  readonly probe: Probe
  /** Remove the service once this check has been critical for so long; 0: never. */
  readonly deregisterAfterMs: number
  /** Results in a row that it takes to turn; 0: one. */
  readonly successBeforePassing: number
  readonly failuresBeforeCritical: number
  /** Longest Output kept, in bytes. */
  readonly outputBytesMax: number
}

export interface CheckRecord {
  readonly node: string
  readonly id: string
  readonly name: string
  readonly status: CheckStatus
  readonly notes: string
  readonly output: string
  /** Empty: a check of the node. */
  readonly serviceId: string
  readonly serviceName: string
  /** `ttl`, `http`, `tcp`, `maintenance` or empty. */
  readonly type: string
  /** What catalog/register gave as Definition; an agent's own checks show an empty one. */
  readonly definition: Readonly<Record<string, unknown>>
  /** Undefined: nobody runs it (serfHealth, maintenance, registered from outside). */
  readonly run?: CheckRun
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface KvRecord {
  readonly key: string
  /** Base64. */
  readonly value: string
  /** An unsigned 64-bit integer as text, so that none is rounded. */
  readonly flags: string
  /** How often the lock was taken. */
  readonly lockIndex: number
  /** The session that holds the lock; empty: none. */
  readonly session: string
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface SessionRecord {
  readonly id: string
  readonly name: string
  readonly node: string
  readonly lockDelayMs: number
  readonly behavior: 'release' | 'delete'
  /** As written by its owner, such as `15s`; empty: no time limit. */
  readonly ttl: string
  readonly nodeChecks: readonly string[]
  readonly serviceChecks: readonly string[]
  readonly createIndex: number
  readonly modifyIndex: number
}

/** One step from a state to the next. Each carries whole records, so that replaying needs no rules. */
export type Change =
  | { readonly kind: 'node'; readonly node: NodeRecord }
  | { readonly kind: 'node-gone'; readonly name: string }
  | { readonly kind: 'service'; readonly service: ServiceRecord }
  | { readonly kind: 'service-gone'; readonly node: string; readonly id: string }
  | { readonly kind: 'check'; readonly check: CheckRecord }
  | { readonly kind: 'check-gone'; readonly node: string; readonly id: string }
  | { readonly kind: 'kv'; readonly entry: KvRecord }
  | { readonly kind: 'kv-gone'; readonly key: string }
  | { readonly kind: 'session'; readonly session: SessionRecord }
  /** `held`: the keys whose locks it lost. */
  | { readonly kind: 'session-gone'; readonly id: string; readonly held: readonly string[] }

/** What happened at one index, all or nothing. */
export interface Commit {
  readonly index: number
  readonly changes: readonly Change[]
}
