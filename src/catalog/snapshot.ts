/**
 * What is running: the types every catalog source yields. Immutable, shared structurally, and free of routes,
 * weights between versions and health as we see it. A service instance in Consul's words is one {@link Instance} here.
 */
import type { Problem } from '../core/problem.ts'

/**
 * The worst of an instance's checks and its node's (Consul's aggregate order: maintenance, critical, warning, passing).
 * No check at all counts as passing.
 */
export type InstanceStatus = 'passing' | 'warning' | 'critical' | 'maintenance'

export interface Instance {
  /** Identity across snapshots, from {@link instanceKey}: source, node, service, id, address, port. Never shown. */
  readonly key: string
  /** Name of the source that told of it. */
  readonly source: string
  readonly node: string
  readonly service: string
  readonly id: string
  /** The service's own address, else its node's; never empty. An IP literal or a host name. */
  readonly address: string
  /** 1 to 65535. */
  readonly port: number
  /** Sorted, without duplicates. */
  readonly tags: readonly string[]
  /** Null-prototype, frozen. */
  readonly meta: Readonly<Record<string, string>>
  /** Null-prototype, frozen: the node's own meta. */
  readonly nodeMeta: Readonly<Record<string, string>>
  /** Consul's `Weights`: integers of at least 1 for passing and at least 0 for warning, up to {@link instanceWeightMax}; 1 and 1 by default. */
  readonly weights: { readonly passing: number; readonly warning: number }
  readonly status: InstanceStatus
  /** True when nothing but the node's `serfHealth` makes it critical: its agent died, it may well live. */
  readonly agentLost: boolean
  /** It is not (or no longer well) in the catalog, and stays with its last good form while that is in doubt (`control/brake.ts`). */
  readonly held?: true
  /** Consul's CreateIndex of the registration; the same identity with another value is a new life. 0: unknown. */
  readonly createIndex: number
}

/** The most that a Consul agent takes as a weight (it is one of DNS); what registers past it may say more. */
export const instanceWeightMax = 65_535

export interface ServiceSnapshot {
  readonly name: string
  /** Sorted by key. */
  readonly instances: readonly Instance[]
}

/** One source's whole knowledge. A service object that did not change is the very same object as in the one before. */
export interface Snapshot {
  /** Rises by one with every published change. */
  readonly version: number
  /** Services that matter to this proxy; a service known to have no instance is present with an empty list. */
  readonly services: ReadonlyMap<string, ServiceSnapshot>
  /** Definitions that could not be used; each costs only itself. */
  readonly problems: readonly Problem[]
  /** The latest of the catalog's own indexes among the answers that made it differ from the one before; for people. */
  readonly index?: string
}

export const emptySnapshot: Snapshot = Object.freeze({ version: 0, services: new Map(), problems: Object.freeze([]) })

/** The identity of an instance: equal keys are the same registration, whatever its tags, meta or health. */
export function instanceKey(parts: Pick<Instance, 'source' | 'node' | 'service' | 'id' | 'address' | 'port'>): string {
  return [parts.source, parts.node, parts.service, parts.id, parts.address, String(parts.port)].join('\u001f')
}
