/**
 * The port that every catalog source implements: told what matters, it publishes snapshots until it is stopped.
 * A source never throws at its listener, never exits the process, and owns every timer and socket it makes.
 */
import type { Instance, Snapshot } from './snapshot.ts'

/** Which services matter. A source may publish more, never less. */
export interface Interest {
  /** Services named by routes. */
  readonly names: ReadonlySet<string>
  /** Services with a tag that starts with this matter too (`urlprefix-`); undefined: tags make no routes. */
  readonly tagPrefix: string | undefined
}

export type SourceState =
  /** Nothing heard yet; `reason` is the clear waiting line for the log (whom we wait for, what went wrong, when we retry). */
  | {
      readonly kind: 'waiting'
      readonly reason: string
      /** It was only just asked: nothing has gone wrong. */
      readonly fresh?: true
    }
  /** The last read succeeded. */
  | { readonly kind: 'current' }
  /** It answered before and does not now (or its answer is not believed, or is none); the last snapshot stands. */
  | {
      readonly kind: 'stale'
      readonly reason: string
      /** Absent: it is out of reach. */
      readonly cause?: 'not-believed' | 'unusable'
    }

export interface SourceListener {
  /** A new snapshot, only when its content differs from the one before (the first is always published). */
  onSnapshot(snapshot: Snapshot): void
  /** A change of state; repeated with a new reason while it waits. */
  onState(state: SourceState): void
}

export interface CatalogSource {
  /** Unique among the sources of one proxy; part of every instance's key. */
  readonly name: string
  /** Begins to watch; returns at once. Called once. */
  start(listener: SourceListener): void
  /** Replaces what matters; the first call comes before start. */
  setInterest(interest: Interest): void
  /**
   * Reads one service again, of whoever is sure, and publishes nothing by it. Resolves with what is there now; undefined
   * where that could not be read or is not to be believed. Never rejects. A source without it is taken at its word.
   */
  confirm?(service: string): Promise<readonly Instance[] | undefined>
  /** Monotonic time of the last successful read, in ms of the injected clock; undefined before the first. */
  lastSuccessMs(): number | undefined
  /** Ends every timer, watch and socket. Idempotent. Nothing is published afterwards. */
  stop(): Promise<void>
}
