/**
 * The data plane as control has it when requests run in worker processes: the same door, behind it a plane of its own that
 * listens nowhere (it holds the table, judges endpoints by periodic probes and carries out orders, for all who ask control),
 * and the workers, which are told whatever is told to it. What a worker finds out it tells the others.
 *
 * Before the first `listen` workers are told nothing: control that began anew knows less than they do until it has its
 * catalog, and they go on with the table they have. It never sees a request.
 */
import type { Clock } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import type { HealthEvent } from '../health/event.ts'
import type { HealthView, SharedHealth } from '../health/port.ts'
import type { BoundTable, EndpointState } from '../live/runtime.ts'
import type { ErrorPage } from '../proxy/answers.ts'
import { createDataPlane } from '../proxy/data-plane.ts'
import type {
  DataPlane,
  DataPlaneFigures,
  DataPlaneObserver,
  DataPlaneOptions,
  ListenerAddress,
  ListenerOptions,
  OperatorCommand,
} from '../proxy/options.ts'
import type { RouteTable } from '../table/table.ts'
import type { AccessMode } from '../telemetry/access-log.ts'
import type { AppLogger, LogLevel } from '../telemetry/log.ts'
import type { WireLimits } from '../wire/limits.ts'
import { Asking } from './asking.ts'
import { atOwnTime, ordersOf } from './crossing.ts'
import type { CountsReport } from './counts.ts'
import { Hub, type Member, type Told } from './hub.ts'
import type { SentOrder, Word, WorkerSettings } from './messages.ts'
import { sharing } from './sharing.ts'
import { Totals } from './totals.ts'

export interface FleetOptions {
  /** Path of the Unix socket that workers come to. */
  readonly path: string
  /** How many there should be. */
  readonly workers: number
  readonly version: string
  /** Names this life of control. */
  readonly epoch: string
  readonly clock: Clock
  readonly log: AppLogger
}

/** How long the first listeners wait for all workers, so that the first connections are spread among all; ms. */
const gatherMs = 5_000
/** How long a scrape waits for fresh counts, ms. */
const freshMs = 250
/** How much longer than they may take to drain workers are waited for, ms. */
const graceMs = 2_000

export class FleetPlane implements DataPlane {
  readonly totals: Totals = new Totals()
  readonly #options: FleetOptions
  readonly #plane: DataPlaneOptions
  readonly #local: DataPlane
  readonly #hub: Hub
  readonly #asking: Asking
  #health: SharedHealth | undefined
  #settings: WorkerSettings
  readonly #modeOf: (observer: DataPlaneObserver | undefined) => AccessMode
  #listeners: readonly ListenerOptions[] = []
  #addresses: readonly ListenerAddress[] = []
  /** Endpoints that workers use now. */
  #used = new Map<EndpointState, NonNullable<EndpointState['elsewhere']>>()
  /** Whose words are being heard. */
  #speaker: Member | undefined
  /** What the endpoint that is being ordered about holds. */
  #held = 0
  #opened = false
  #deadlineMs: number | undefined
  #drained: Promise<void> | undefined

  constructor(
    options: FleetOptions,
    plane: DataPlaneOptions,
    modeOf: (observer: DataPlaneObserver | undefined) => AccessMode,
  ) {
    this.#options = options
    this.#plane = plane
    this.#modeOf = modeOf
    this.#settings = {
      limits: plane.limits,
      access: modeOf(plane.observer),
      level: 'info',
      errorPages: new Map(),
      zone: '',
    }
    this.#local = createDataPlane({
      ...plane,
      observer: undefined,
      createHealth: (sink) => {
        const shared = sharing(plane, sink, (word) => this.#spread([word]))
        this.#health = shared
        return shared
      },
      onHealthEvent: (event) => this.#heard(event),
    })
    this.#hub = new Hub({
      ...options,
      onJoin: (member) => this.#joined(member),
      onMessage: (member, message) => this.#told(member, message),
      onLeave: (member) => this.#left(member),
      onBeat: () => this.#asking.again(),
    })
    this.#asking = new Asking(this.#hub, options)
  }

  /** Opens the socket for workers. Rejects with FL_LISTEN. */
  open(): Promise<void> {
    return this.#hub.open()
  }

  /** Why requests are not served, a sentence each; empty: they are. */
  notReady(): readonly string[] {
    return this.#opened && this.#hub.members.size === 0 ? ['no worker is there'] : []
  }

  /** Resolves when the counts are fresh, or when it has taken too long. */
  refresh(): Promise<void> {
    return this.#asking.counts(freshMs)
  }

  setLevel(level: LogLevel): void {
    this.#set({ level })
  }

  apply(table: RouteTable): void {
    this.#local.apply(table)
    this.totals.tableChanged(table)
    if (this.#opened) for (const member of this.#hub.members) member.table(table)
  }

  current(): BoundTable {
    return this.#local.current()
  }

  async listen(wanted: readonly ListenerOptions[]): Promise<readonly ListenerAddress[]> {
    if (!this.#opened) {
      this.#opened = true
      for (const member of this.#hub.members) this.#sync(member)
      await this.#asking.all(this.#options.workers, gatherMs)
    }
    const resolved = wanted.map((listener) => this.#withPort(listener))
    const first = await this.#asking.first(resolved)
    if (first.error !== undefined) throw new FairleadError('FL_LISTEN', first.error)
    const fixed = resolved.map((listener, i) => ({ ...listener, port: first.addresses[i]?.port ?? listener.port }))
    const before = this.#listeners
    // Before the others are asked, so that one that comes meanwhile is, too.
    this.#listeners = fixed
    const refused = await this.#asking.others(first.member, fixed)
    if (refused !== undefined) {
      this.#listeners = before
      await this.#asking.others(undefined, before)
      throw new FairleadError('FL_LISTEN', refused)
    }
    this.#addresses = first.addresses
    return this.#addresses
  }

  addresses(): readonly ListenerAddress[] {
    return this.#addresses
  }

  setLimits(limits: WireLimits): void {
    this.#local.setLimits(limits)
    this.#set({ limits })
  }

  setObserver(observer: DataPlaneObserver | undefined): void {
    this.#set({ access: this.#modeOf(observer) })
  }

  setErrorPages(errorPages: ReadonlyMap<number, ErrorPage>): void {
    this.#set({ errorPages })
  }

  setZone(zone: string): void {
    this.#local.setZone(zone)
    this.#set({ zone })
  }

  isAlive(key: string, life: number): 'alive' | 'dead' | 'unknown' {
    return this.#local.isAlive(key, life)
  }

  doubt(keys: readonly string[]): void {
    this.#local.doubt(keys)
  }

  operate(key: string, life: number, command: OperatorCommand): 'done' | 'unknown' | 'no-order' {
    this.#held = this.#local.stateOf(key, life)?.elsewhere?.inFlight ?? 0
    const outcome = this.#local.operate(key, life, command)
    this.#held = 0
    if (outcome === 'done' && this.#opened)
      for (const member of this.#hub.members) member.orders([{ key, life, command }], false)
    return outcome
  }

  stateOf(key: string, life: number): EndpointState | undefined {
    return this.#local.stateOf(key, life)
  }

  healthOf(state: EndpointState): HealthView | undefined {
    return this.#local.healthOf(state)
  }

  figures(): DataPlaneFigures {
    const { totals } = this
    const { downstream, upstream, unrouted } = totals
    const { tableVersion, services, endpoints } = this.#local.figures()
    return { tableVersion, services, endpoints, versions: totals.versions(), downstream, upstream, unrouted }
  }

  leave(): void {
    for (const member of this.#hub.members) member.leave()
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  destroy(): void {
    this.#asking.stop()
    this.#hub.close()
    this.#local.destroy()
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#deadlineMs = deadlineMs
    this.#asking.stop()
    for (const member of this.#hub.members) member.drain(deadlineMs)
    if (!(await this.#asking.empty(deadlineMs + graceMs)))
      this.#options.log.warn({ workers: this.#hub.members.size }, 'not all workers have ended in time')
    this.destroy()
  }

  // === Telling workers ===

  #set(settings: Partial<WorkerSettings>): void {
    this.#settings = { ...this.#settings, ...settings }
    if (this.#opened) for (const member of this.#hub.members) member.settings(this.#settings)
  }

  /** Tells one that has just come all there is. */
  #sync(member: Member): void {
    member.settings(this.#settings)
    member.table(this.current().table)
    const held = this.#health?.holds() ?? []
    member.words(held.map(({ state: { key, life }, verdict }) => ({ key, life, verdict })))
    member.orders(ordersOf(this.#local.figures().endpoints, this.#options.clock.now()), true)
    if (this.#listeners.length > 0) this.#asking.late(member, this.#listeners)
    if (this.#deadlineMs !== undefined) member.drain(this.#deadlineMs)
  }

  /** Tells all but whoever said it. */
  #spread(words: readonly Word[]): void {
    if (!this.#opened) return
    for (const member of this.#hub.members) if (member !== this.#speaker) member.words(words)
  }

  /** A port that the system chose once stays, whoever asks for it later. */
  #withPort(listener: ListenerOptions): ListenerOptions {
    if (listener.port !== 0) return listener
    const known = this.#addresses.find(({ name, host }) => name === listener.name && host === listener.host)
    return known ? { ...listener, port: known.port } : listener
  }

  // === Hearing from workers ===

  #joined(member: Member): void {
    const { slot, pid } = member
    this.#options.log.info({ worker: slot, workerPid: pid }, `worker ${slot} is there`)
    if (this.#addresses.length === 0) this.#addresses = member.listeners
    if (this.#opened) this.#sync(member)
    this.#asking.joined()
  }

  #left(member: Member): void {
    const { slot } = member
    const another = [...this.#hub.members].some((each) => each.slot === slot)
    if (!another) {
      this.totals.gone(slot)
      this.#useChanged()
    }
    this.#options.log.info({ worker: slot }, `worker ${slot} has gone`)
    this.#asking.left(member)
  }

  #told(member: Member, message: Told): void {
    switch (message.kind) {
      case 'holds':
        this.#adopt(message.orders)
        return this.#hear(member, message.words)
      case 'words':
        return this.#hear(member, message.words)
      case 'events':
        for (const event of message.events) this.#happened(event, message.nowMs)
        return
      case 'troubles':
        for (const trouble of message.troubles) this.#plane.onTrouble?.(trouble)
        return
      case 'counts':
        this.#counted(member, message.counts)
        return this.#asking.counted(member, message.id)
      case 'listening':
        return this.#asking.answered(member, message)
    }
  }

  #hear(member: Member, words: readonly Word[]): void {
    this.#speaker = member
    for (const { key, life, verdict } of words) {
      const state = this.#local.stateOf(key, life)
      if (state) this.#health?.hear(state, verdict)
    }
    this.#speaker = undefined
  }

  /** Orders that a worker still has and control does not know any more. */
  #adopt(orders: readonly SentOrder[]): void {
    for (const { key, life, command } of orders)
      if (!this.#local.stateOf(key, life)?.order) this.operate(key, life, command)
  }

  /** Of a worker. Orders are told by the plane here, which carries them out, too. */
  #happened(event: HealthEvent, sentMs: number): void {
    if (event.kind === 'draining' || (event.kind !== 'outcome' && event.operator)) return
    this.#plane.onHealthEvent?.(atOwnTime(event, sentMs, this.#options.clock.now()))
  }

  /** Of the plane here, which has no requests of its own. */
  #heard(event: HealthEvent): void {
    const held = this.#held
    const full =
      (event.kind === 'ejected' || event.kind === 'draining') && held > 0 ? { ...event, inFlight: held } : event
    this.#plane.onHealthEvent?.(full)
  }

  #counted(member: Member, counts: CountsReport): void {
    this.totals.add(member.slot, member.epoch, counts)
    this.#useChanged()
  }

  /** Writes what workers have at endpoints and services where views read it. */
  #useChanged(): void {
    const before = this.#used
    this.#used = new Map()
    for (const { key, life, ...one } of this.totals.endpoints()) {
      const state = this.#local.stateOf(key, life)
      if (!state) continue
      const sum = this.#used.get(state) ?? { inFlight: 0, open: 0, idle: 0, pipeliningPause: undefined }
      this.#used.set(state, {
        inFlight: sum.inFlight + one.inFlight,
        open: sum.open + one.open,
        idle: sum.idle + one.idle,
        pipeliningPause: sum.pipeliningPause ?? one.pipeliningPause,
      })
    }
    for (const state of before.keys()) if (!this.#used.has(state)) state.elsewhere = undefined
    for (const [state, use] of this.#used) state.elsewhere = use
    const versions = new Map(
      [...this.totals.versions()].map((stats) => [`${stats.service}\u001f${stats.version}`, stats]),
    )
    for (const stats of this.#local.figures().versions)
      stats.mirrored = versions.get(`${stats.service}\u001f${stats.version}`)?.mirrored
    const sums = new Map([...this.totals.services()].map((stats) => [stats.service, stats]))
    for (const stats of this.#local.figures().services) {
      const sum = sums.get(stats.service)
      if (!sum) continue
      stats.inFlight = sum.inFlight
      stats.rescued = sum.rescued
      stats.retryBudgetExhausted = sum.retryBudgetExhausted
      for (const [reason, count] of sum.retries) stats.retries.set(reason, count)
      for (const [reason, count] of sum.pipeliningPauses) stats.pipeliningPauses.set(reason, count)
    }
  }
}
