/**
 * The one door to the catalog's state: commits changes (to the log first, then to memory, then to whoever waits) and lets
 * queries wait for an index to move. Everything up to the wake-up happens in one tick, so no query can miss a change.
 * It must not know HTTP, nor what the changes mean.
 */
import type { Clock } from '../../core/clock.ts'
import type { Change, Commit } from './records.ts'
import type { CatalogState, Touched } from './state.ts'

/** Where commits are kept. `append` returns once the bytes are the system's, or throws FL_STORE and has kept nothing. */
export interface Log {
  append(commit: Commit): void
  /** Resolves when all that was appended is on the disk; rejects with FL_STORE if it cannot be. */
  flushed(): Promise<void>
  close(): Promise<void>
}

/** Something a query can block on. */
export interface Topic {
  readonly table: 'catalog' | 'kv' | 'session'
  readonly index: () => number
  /** For `kv`: whether one of these keys concerns it. */
  readonly concerns?: (keys: ReadonlySet<string>) => boolean
}

/** What else follows from some changes (a session ends with its check): committed together with them. */
export type Consequences = (state: CatalogState, changes: readonly Change[], index: number) => readonly Change[]

interface Waiter {
  readonly topic: Topic
  readonly above: number
  readonly wake: () => void
}

export class CatalogStore {
  readonly state: CatalogState
  readonly #log: Log | undefined
  readonly #clock: Clock
  readonly #consequences: Consequences
  readonly #waiters = new Set<Waiter>()
  readonly #listeners = new Set<(changes: readonly Change[]) => void>()
  #closed = false

  constructor(state: CatalogState, log: Log | undefined, clock: Clock, consequences: Consequences = () => []) {
    this.state = state
    this.#log = log
    this.#clock = clock
    this.#consequences = consequences
  }

  /** Queries that wait now. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Makes `changes` the next index, all or nothing; with none, nothing happens. Returns the index in force.
   * Throws FL_STORE, with the state unchanged, if it cannot be written down.
   */
  commit(changes: (index: number) => readonly Change[]): number {
    const index = this.state.index + 1
    const first = changes(index)
    if (first.length === 0) return this.state.index
    const list = [...first, ...this.#consequences(this.state, first, index)]
    const commit: Commit = { index, changes: list }
    this.#log?.append(commit)
    const touched = this.state.apply(commit)
    this.#wake(touched)
    for (const listener of this.#listeners) listener(list)
    return index
  }

  /** Called after every commit, in the same tick. Returns how to stop. */
  onCommit(listener: (changes: readonly Change[]) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves when everything committed so far would survive a power cut. */
  durable(): Promise<void> {
    return this.#log?.flushed() ?? Promise.resolve()
  }

  /** Resolves when the topic's index is not `above` any more, after `waitMs`, on abort, or when the store closes. */
  wait(topic: Topic, above: number, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed || signal.aborted || topic.index() !== above) return resolve()
      const wake = (): void => {
        timer.clear()
        signal.removeEventListener('abort', wake)
        this.#waiters.delete(waiter)
        resolve()
      }
      const waiter: Waiter = { topic, above, wake }
      const timer = this.#clock.setTimer(waitMs, wake)
      signal.addEventListener('abort', wake, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** Lets every waiting query go, and closes the log. */
  async close(): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiters) waiter.wake()
    await this.#log?.close()
  }

  #wake(touched: Touched): void {
    for (const waiter of this.#waiters) {
      if (!touched.tables.has(waiter.topic.table)) continue
      if (waiter.topic.table === 'kv' && waiter.topic.concerns && !waiter.topic.concerns(touched.keys)) continue
      if (waiter.topic.index() !== waiter.above) waiter.wake()
    }
  }
}
