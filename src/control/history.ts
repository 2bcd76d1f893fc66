/**
 * The history of tables: what each changed, when and why. A bounded ring that gives up the oldest, kept in the state folder
 * where there is one. It listens to what was published, and steers nothing.
 */
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import type { Problem } from '../core/problem.ts'
import { type InTurn, inOwnTurn } from '../core/turn.ts'
import { diffTables } from '../table/diff.ts'
import type { RouteTable } from '../table/table.ts'
import type { Cause } from './cause.ts'
import { charsOf, entryAbout, historyEntry, type HistoryEntry } from './history-entry.ts'
import { createHistoryStore, type HistoryStore } from './history-store.ts'

/** Entries that are kept. */
export const entriesMax = 1_000
/** Characters that they hold together, about. */
const charsMax = 4 * 1_048_576

export interface HistoryOptions {
  /** Undefined: it ends with the process. */
  readonly stateDir: string | undefined
  readonly clock: Clock
  readonly log: Logger
  /** Where what was recorded is compared; {@link inOwnTurn} by default. */
  readonly inTurn?: InTurn
}

export interface HistoryReport {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[]
  /** Entries that are kept, of all services. */
  readonly kept: number
  /** Wall clock, ms, of the oldest that is kept; undefined: there is none. */
  readonly sinceMs: number | undefined
}

export interface History {
  /**
   * Call for each table that was put in place; what says the same as the one before leaves no entry. It is compared in a turn of
   * its own, or once somebody reads.
   */
  record(before: RouteTable, after: RouteTable, causes: readonly Cause[]): void
  /** At most `limit` entries; with `service`, only what is about it. */
  read(service: string | undefined, limit: number): HistoryReport
  /** From now on it is kept in this folder, with what lies there already; undefined: nowhere. */
  use(stateDir: string | undefined): void
  /** Resolves when what was saved is read. */
  loaded(): Promise<void>
  problems(): readonly Problem[]
  /** Idempotent. */
  stop(): Promise<void>
}

export function createHistory(options: HistoryOptions): History {
  return new Ring(options)
}

/** A change that was not looked at yet. */
interface Recorded {
  readonly before: RouteTable
  readonly after: RouteTable
  readonly causes: readonly Cause[]
  /** Wall clock. */
  readonly atMs: number
}

class Ring implements History {
  readonly #options: HistoryOptions
  /** Oldest first; each has a turn of the loop that it asked for. */
  readonly #recorded: Recorded[] = []
  /** Oldest first. */
  #entries: HistoryEntry[] = []
  #chars = 0
  #stateDir: string | undefined
  #store: HistoryStore | undefined
  #loading: Promise<void> = Promise.resolve()
  /** Of stores that were left. */
  #ends: Promise<void> = Promise.resolve()

  constructor(options: HistoryOptions) {
    this.#options = options
    this.#open(options.stateDir)
  }

  record(before: RouteTable, after: RouteTable, causes: readonly Cause[]): void {
    const { clock, inTurn = inOwnTurn } = this.#options
    this.#recorded.push({ before, after, causes, atMs: clock.wall() })
    inTurn(() => this.#compareNext())
  }

  read(service: string | undefined, limit: number): HistoryReport {
    this.#compareAll()
    const entries: HistoryEntry[] = []
    for (let i = this.#entries.length - 1; i >= 0 && entries.length < limit; i--) {
      const entry = this.#entries[i]
      const shown = entry && service !== undefined ? entryAbout(entry, service) : entry
      if (shown) entries.push(shown)
    }
    return { entries, kept: this.#entries.length, sinceMs: this.#entries[0]?.atMs }
  }

  use(stateDir: string | undefined): void {
    if (stateDir === this.#stateDir) return
    this.#compareAll()
    const last = this.#store
    if (last) this.#ends = Promise.all([this.#ends, last.stop()]).then(() => {})
    this.#open(stateDir)
    this.#store?.append(this.#entries)
  }

  loaded(): Promise<void> {
    return this.#loading
  }

  problems(): readonly Problem[] {
    return this.#store?.problems() ?? []
  }

  async stop(): Promise<void> {
    this.#compareAll()
    await Promise.all([this.#ends, this.#store?.stop()])
  }

  #compareAll(): void {
    while (this.#recorded.length > 0) this.#compareNext()
  }

  #compareNext(): void {
    const recorded = this.#recorded.shift()
    if (!recorded) return
    const { before, after, causes, atMs } = recorded
    const changes = diffTables(before, after)
    if (changes.length === 0) return
    const entry = historyEntry(atMs, after.version, changes, causes)
    this.#entries.push(entry)
    this.#chars += charsOf(entry)
    this.#bound()
    this.#store?.append([entry])
  }

  #open(stateDir: string | undefined): void {
    this.#stateDir = stateDir
    const { clock, log } = this.#options
    const store = stateDir === undefined ? undefined : createHistoryStore({ dir: stateDir, clock, log, entriesMax })
    this.#store = store
    if (store) this.#loading = store.load().then((saved) => this.#found(saved))
  }

  /** What was saved is older than what this process has seen; of what it knows already there is nothing to add. */
  #found(saved: readonly HistoryEntry[]): void {
    this.#compareAll()
    const oldest = this.#entries[0]?.atMs ?? Infinity
    const older = saved.filter(({ atMs }) => atMs < oldest)
    this.#entries = [...older, ...this.#entries]
    for (const entry of older) this.#chars += charsOf(entry)
    this.#bound()
  }

  #bound(): void {
    let surplus = 0
    while (this.#entries.length - surplus > entriesMax || this.#chars > charsMax) {
      const entry = this.#entries[surplus]
      if (!entry) break
      this.#chars -= charsOf(entry)
      surplus++
    }
    if (surplus > 0) this.#entries.splice(0, surplus)
  }
}
