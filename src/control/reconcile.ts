/**
 * Keeps the table in step with what is running and what should get traffic: listens to every catalog source, merges, builds,
 * publishes, and says what changed. It serves no requests and reads no files; one source's failure never stops the others,
 * and whatever fails leaves the last good table standing.
 */
import { mergeSnapshots } from '../catalog/merge.ts'
import { emptySnapshot, type Snapshot } from '../catalog/snapshot.ts'
import type { CatalogSource, Interest, SourceState } from '../catalog/source.ts'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { atOnce, type InTurn, inOwnTurn, type Steps } from '../core/turn.ts'
import type { Policy } from '../policy/policy.ts'
import { mergePolicy } from '../policy/tags.ts'
import { buildTable, emptyTable } from '../table/build.ts'
import type { RouteTable } from '../table/table.ts'
import { type Cause, catalogCause, Causes } from './cause.ts'
import { createChangeLog } from './change-log.ts'
import { createCoalescer } from './coalesce.ts'
import { interestOf } from './interest.ts'
import { piecesOf } from './pieces.ts'
import type { SourceKnowledge } from './snapshot-codec.ts'
import { type LifeSigns, SourceBrake } from './source-brake.ts'
import { describeSaved, describeTrouble } from './source-trouble.ts'

/** One build, for metrics. */
export interface BuildReport {
  /** Merging and building, without publishing. */
  readonly durationMs: Milliseconds
  /** From the oldest change in it reaching us to its being published. */
  readonly lagMs: Milliseconds
  /** False when what came made no difference to the table. */
  readonly changed: boolean
}

export interface ReconcilerOptions {
  /** Names differ. */
  readonly sources: readonly CatalogSource[]
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Logger
  /** Puts a table in place; called only with tables that differ from the one before. `causes`: why it was built. */
  readonly publish: (table: RouteTable, causes: readonly Cause[]) => void
  readonly onBuild?: (report: BuildReport) => void
  /**
   * Reads what was saved, by source; asked once, at the start. A source that has failed, or is silent for
   * {@link graceMs}, begins with its part until it answers. Must not reject.
   */
  readonly saved?: (() => Promise<ReadonlyMap<string, SourceKnowledge> | undefined>) | undefined
  /** Takes what is to be saved, after each change. Called only once what was saved before is known. */
  readonly onKnowledge?: ((sources: readonly SourceKnowledge[]) => void) | undefined
  /** What is known of instances that the brake holds. */
  readonly life?: LifeSigns | undefined
  /** Where the steps of a renewal have their turns; {@link inOwnTurn} by default. */
  readonly inTurn?: InTurn
}

/** What sources get to answer in before a saved snapshot stands in for them. */
export const graceMs: Milliseconds = 300

export interface SourceStatus {
  readonly name: string
  readonly state: SourceState
  /** True once it has published a snapshot, or a saved one stands in for it. */
  readonly answered: boolean
  /** Wall-clock time of what a saved snapshot says in its place, until it answers. */
  readonly savedAtMs: number | undefined
  /** Monotonic time of its last successful read; undefined before the first. */
  readonly lastSuccessMs: number | undefined
}

export interface ReconcilerStatus {
  /** Every source has answered once or begun with what was saved, and a table that knows it stands. */
  readonly ready: boolean
  readonly sources: readonly SourceStatus[]
  readonly table: RouteTable
  /** Of the last build; undefined before the first. */
  readonly lastBuild: BuildReport | undefined
  /** The least recent of the sources' last successes; undefined while one has none. */
  readonly lastSuccessMs: number | undefined
}

export interface Reconciler {
  /** Publishes the routes as they stand without any instance, then starts every source. Called once. */
  start(): void
  /** Replaces the policy, for these causes (none said by default); the table follows as for any other change, but not before {@link start}. */
  setPolicy(policy: Policy, causes?: readonly Cause[]): void
  /** Puts in place at once what waits for its turn: for whoever must not go on with less. */
  flush(): void
  /** Call when {@link LifeSigns.isAlive} says of anybody what it did not say before; without it, it is noticed a little later. */
  lifeChanged(): void
  status(): ReconcilerStatus
  /** Stops building, then every source; resolves when all have. Idempotent. */
  stop(): Promise<void>
}

const noInterest: Interest = Object.freeze({ names: new Set<string>(), tagPrefix: undefined })

interface Watched {
  readonly source: CatalogSource
  /** Keeps what it said, and what of that is held. */
  readonly brake: SourceBrake
  state: SourceState
  /** What it said last, whatever of it is held. */
  said: Snapshot | undefined
  /** Wall-clock time of what the brake's snapshot says. */
  asOfMs: number
}

/** Whether a source in this state may not have heard of everybody: it failed, and not for what it was given. */
function isTrouble(state: SourceState): boolean {
  if (state.kind === 'waiting') return state.fresh !== true
  return state.kind === 'stale' && state.cause !== 'unusable'
}

class TableReconciler implements Reconciler {
  readonly #options: ReconcilerOptions
  readonly #watched: readonly Watched[]
  readonly #coalescer
  readonly #changes
  readonly #causes = new Causes()
  #interest: Interest | undefined
  #policy: Policy
  #snapshot: Snapshot = emptySnapshot
  #table: RouteTable = emptyTable
  /** What the last table was built with; undefined before the first. */
  #applied: Policy | undefined
  /** When the oldest change that is not in the table reached us. */
  #changedAtMs: number | undefined
  #lastBuild: BuildReport | undefined
  #started = false
  #ready = false
  /** What was saved, by source; undefined until it was read. */
  #saved: ReadonlyMap<string, SourceKnowledge> | undefined
  #graceOver = false
  #grace: Timer | undefined
  #stopping: Promise<void> | undefined

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.#policy = options.policy
    this.#watched = options.sources.map((source) => ({
      source,
      brake: new SourceBrake({
        source,
        clock: options.clock,
        log: options.log,
        interest: () => this.#interest ?? noInterest,
        life: options.life,
        onChange: () => this.#request({ kind: 'brake', source: source.name }),
      }),
      state: { kind: 'waiting', reason: 'not started', fresh: true },
      said: undefined,
      asOfMs: 0,
    }))
    this.#changes = createChangeLog(options.log)
    this.#coalescer = createCoalescer(options.clock, () => this.#renew(), options.inTurn ?? inOwnTurn)
  }

  start(): void {
    this.#tellInterest()
    this.#started = true
    this.#causes.add({ kind: 'start', sources: this.#watched.map(({ source }) => source.name) })
    // Not by way of the coalescer: the first answer of a source must find it at rest.
    atOnce(this.#renew())
    for (const watched of this.#watched)
      this.#guard(watched, 'start', () =>
        watched.source.start({
          onSnapshot: (snapshot) => this.#heard(watched, snapshot),
          onState: (state) => this.#stateOf(watched, state),
        }),
      )
    this.#readSaved()
  }

  setPolicy(policy: Policy, causes: readonly Cause[] = []): void {
    this.#policy = policy
    this.#tellInterest()
    this.#request(...causes)
  }

  flush(): void {
    this.#coalescer.flush()
  }

  lifeChanged(): void {
    for (const { brake } of this.#watched) brake.look()
  }

  status(): ReconcilerStatus {
    const sources = this.#watched.map(({ source, state, brake, asOfMs }) => ({
      name: source.name,
      state,
      answered: brake.snapshot !== undefined,
      savedAtMs: brake.restored ? asOfMs : undefined,
      lastSuccessMs: source.lastSuccessMs(),
    }))
    let lastSuccessMs: number | undefined = Infinity
    for (const { lastSuccessMs: last } of sources)
      lastSuccessMs = last === undefined || lastSuccessMs === undefined ? undefined : Math.min(last, lastSuccessMs)
    return {
      ready: this.#ready,
      sources,
      table: this.#table,
      lastBuild: this.#lastBuild,
      lastSuccessMs: lastSuccessMs === Infinity ? undefined : lastSuccessMs,
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<void> {
    this.#coalescer.stop()
    this.#grace?.clear()
    for (const { brake } of this.#watched) brake.stop()
    const ends = await Promise.allSettled(this.#watched.map(async ({ source }) => source.stop()))
    for (const [i, end] of ends.entries())
      if (end.status === 'rejected')
        this.#options.log.error(
          { source: this.#watched[i]?.source.name },
          `catalog source ${this.#watched[i]?.source.name} did not stop cleanly: ${errorText(end.reason)}`,
        )
  }

  #heard(watched: Watched, snapshot: Snapshot): void {
    if (this.#stopping) return
    watched.asOfMs = this.#options.clock.wall()
    const cause = catalogCause(watched.source.name, watched.said, snapshot)
    watched.said = snapshot
    watched.brake.take(snapshot)
    this.#request(cause)
  }

  // === What was saved ===

  #readSaved(): void {
    const { saved, clock } = this.#options
    if (!saved) {
      this.#saved = new Map<string, SourceKnowledge>()
      return
    }
    this.#grace = clock.setTimer(graceMs, () => {
      this.#graceOver = true
      this.#standIn()
    })
    void saved().then((sources) => {
      this.#saved = sources ?? new Map<string, SourceKnowledge>()
      this.#standIn()
      this.#tellKnowledge()
    })
  }

  /** Lets what was saved stand in for sources that have had their time, or have said that they cannot answer. */
  #standIn(): void {
    if (this.#stopping || !this.#saved) return
    const causes: Cause[] = []
    for (const watched of this.#watched) {
      const { source, brake, state } = watched
      const saved = this.#saved.get(source.name)
      if (!saved || brake.snapshot || (!this.#graceOver && !isTrouble(state))) continue
      brake.restore(saved.snapshot)
      watched.asOfMs = saved.asOfMs
      causes.push({ kind: 'saved', source: source.name, asOfMs: saved.asOfMs })
      this.#options.log.warn({ source: source.name }, describeSaved(source.name, state, saved.asOfMs))
    }
    if (causes.length > 0) this.#request(...causes)
  }

  #tellKnowledge(): void {
    const { onKnowledge } = this.#options
    const saved = this.#saved
    if (!onKnowledge || !saved || this.#stopping) return
    const sources: SourceKnowledge[] = []
    for (const { source, brake, asOfMs } of this.#watched) {
      // Who has not answered yet must not cost what it said before.
      const known = brake.snapshot ? { name: source.name, snapshot: brake.snapshot, asOfMs } : saved.get(source.name)
      if (known) sources.push(known)
    }
    onKnowledge(sources)
  }

  // === Building ===

  #stateOf(watched: Watched, state: SourceState): void {
    if (this.#stopping) return
    const before = watched.state
    watched.state = state
    const { name } = watched.source
    const { log } = this.#options
    const reason = state.kind === 'current' ? '' : state.reason
    if (isTrouble(before) || isTrouble(state)) watched.brake.troubled()
    if (isTrouble(state)) this.#standIn()
    if (before.kind === state.kind && (before.kind === 'current' || before.reason === reason)) return
    if (state.kind === 'current') log.info({ source: name }, `catalog ${name} answers`)
    else {
      // That nobody has answered in the first instant is no news of the kind to wake anyone.
      const level = state.kind === 'waiting' && state.fresh === true ? 'info' : 'warn'
      log[level]({ source: name }, describeTrouble(name, state))
    }
  }

  #request(...causes: readonly Cause[]): void {
    // The first table has it anyway, and its cause is the start.
    if (!this.#started) return
    for (const cause of causes) this.#causes.add(cause)
    this.#changedAtMs ??= this.#options.clock.now()
    this.#coalescer.request()
  }

  /** Everything that leads from what was heard to a table that stands, a step at a time. Whatever fails, the last table stays. */
  *#renew(): Steps<void> {
    const { clock, log, publish, onBuild } = this.#options
    const first = this.#table
    const begunMs = clock.now()
    const since = this.#changedAtMs ?? begunMs
    this.#changedAtMs = undefined
    const complete = this.#watched.every(({ brake }) => brake.snapshot !== undefined)
    try {
      const heard = this.#watched.flatMap(({ brake }) => brake.snapshot ?? [])
      const target = mergeSnapshots(this.#snapshot, heard)
      const policy = mergePolicy(this.#policy, target)
      // Who is not served yet need not wait for less, and of another policy nobody may get half.
      const pieces = piecesOf(this.#snapshot, target, this.#ready && policy === this.#applied)
      const causes = this.#causes.take()
      let durationMs = clock.now() - begunMs
      for (const piece of pieces) {
        yield
        const startMs = clock.now()
        const before = this.#table
        this.#snapshot = piece
        this.#applied = policy
        const { table } = buildTable(before, piece, policy)
        durationMs += clock.now() - startMs
        if (table === before) continue
        yield
        publish(table, causes)
        this.#table = table
      }
      if (complete) this.#ready = true
      this.#lastBuild = { durationMs, lagMs: clock.now() - since, changed: this.#table !== first }
      yield
      this.#changes.published(first, this.#table, complete)
      onBuild?.(this.#lastBuild)
      this.#tellKnowledge()
    } catch (error) {
      // Not a problem of somebody's input: those are values. A fault of ours must still not take the last table with it.
      log.error({ err: error }, `the table could not be renewed, the last one stays: ${errorText(error)}`)
    }
  }

  #tellInterest(): void {
    const interest = interestOf(this.#policy, this.#interest)
    if (interest === this.#interest || this.#stopping) return
    this.#interest = interest
    for (const watched of this.#watched) {
      this.#guard(watched, 'take new interest', () => watched.source.setInterest(interest))
      watched.brake.look()
    }
  }

  #guard(watched: Watched, what: string, fn: () => void): void {
    try {
      fn()
    } catch (error) {
      const { name } = watched.source
      this.#options.log.error({ err: error, source: name }, `catalog ${name} could not ${what}: ${errorText(error)}`)
      if (!watched.brake.snapshot) watched.state = { kind: 'waiting', reason: errorText(error) }
    }
  }
}

/** Makes a reconciler; nothing happens before `start`. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  return new TableReconciler(options)
}
