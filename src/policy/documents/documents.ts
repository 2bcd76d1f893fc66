/**
 * Documents that say what should get traffic, as they are found at their source: keys, texts and indexes, unread. The port
 * that every source of documents implements; what a text means is decided by pure functions elsewhere.
 */
import type { KvFlaw } from '../../catalog/consul/parse-kv.ts'
import type { SourceState } from '../../catalog/source.ts'

export interface PolicyDocument {
  /** Relative to its source, such as `services/web` or `service-router/web`. */
  readonly key: string
  /** Empty when `flaw` says why there is none. */
  readonly text: string
  /** Consul's ModifyIndex: what a compare-and-set compares. */
  readonly modifyIndex: number
  readonly flaw?: KvFlaw | undefined
}

/** All that a source knows. A document that did not change is the very same object as in the snapshot before. */
export interface DocumentSnapshot {
  /** Rises by one with every published change. */
  readonly version: number
  /** By key, in the order of keys. */
  readonly documents: ReadonlyMap<string, PolicyDocument>
}

/** What a source knew, and when it said so (wall clock, ms); what is saved for a start while Consul is away. */
export interface DocumentKnowledge {
  readonly source: string
  readonly documents: ReadonlyMap<string, PolicyDocument>
  readonly asOfMs: number
}

export interface DocumentListener {
  /** A new snapshot, only when its content differs from the one before (the first is always published). */
  onSnapshot(snapshot: DocumentSnapshot): void
  /** A change of state, as a catalog source's: waiting, current, or stale with a reason. */
  onState(state: SourceState): void
}

export interface DocumentSource {
  /** Unique among the sources of one proxy; where its documents are, for people: `kv:fairlead`, `config-entries`. */
  readonly name: string
  /** Begins to watch; returns at once. Called once. A listener that throws is logged and costs no later update. */
  start(listener: DocumentListener): void
  /** What is worth saving now; undefined before anything is known. */
  knowledge(): DocumentKnowledge | undefined
  /** Wall-clock time of what a saved snapshot says in its place, until it answers itself; undefined: it does itself. */
  savedAtMs(): number | undefined
  /** Monotonic time of the last successful read, in ms of the injected clock; undefined before the first. */
  lastSuccessMs(): number | undefined
  /** Ends every timer, watch and socket. Idempotent. Nothing is published afterwards. */
  stop(): Promise<void>
}
