/**
 * The data plane of one process: the cell with the current table, the listeners, and what all requests share. Control
 * reaches it through `DataPlane` only. It never asks the catalog, never decides policy.
 */
import { type Clock, httpDate } from '../core/clock.ts'
import { showHostPort } from '../core/host.ts'
import type { CopySocket, Inherit } from '../core/inherit.ts'
import { type Current, createCurrent } from '../live/current.ts'
import { type Registry, createRegistry } from '../live/registry.ts'
import {
  type BoundGroup,
  type BoundService,
  type BoundTable,
  durationBucketsMs,
  type EndpointState,
} from '../live/runtime.ts'
import type { HealthEvent } from '../health/event.ts'
import type { HealthJudge, HealthView } from '../health/port.ts'
import { deathCauses } from '../health/verdict.ts'
import type { Endpoint, RouteTable } from '../table/table.ts'
import { Deadlines, type Watched } from '../wire/deadlines.ts'
import type { Failure } from '../wire/failure.ts'
import type { WireLimits } from '../wire/limits.ts'
import type { PipeliningTrouble } from '../wire/pipelining.ts'
import { Pool } from '../wire/pool.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import type { ServerExchange } from '../wire/server-exchange.ts'
import type { ErrorPage } from './answers.ts'
import { Exchange } from './exchange.ts'
import { Listener, type ListenerHost } from './listener.ts'
import type {
  Connections,
  DataPlane,
  DataPlaneFigures,
  DataPlaneObserver,
  DataPlaneOptions,
  ListenerAddress,
  ListenerOptions,
  OperatorCommand,
  Trouble,
} from './options.ts'
import { noHealth } from './no-health.ts'
import { Mirrors } from './mirror.ts'
import { Judgement } from './judgement.ts'
import { refOf } from './orders.ts'
import type { Outcome, PlaneCore } from './plane-core.ts'
import { ReplayAccount } from './replay-body.ts'
import type { Suspicion } from './suspicion.ts'
import { Turns } from './turns.ts'

/** A sign of life says that an endpoint is alive for this long, ms. */
const aliveForMs = 5_000

/** The least time between two lines on the certificate of one instance, ms. */
const distrustEveryMs = 10_000

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  return new Plane(options)
}

class Plane implements DataPlane, PlaneCore, ListenerHost, Watched {
  slot = -1
  limits: WireLimits
  observer: DataPlaneObserver | undefined
  errorPages: ReadonlyMap<number, ErrorPage> = new Map()
  readonly registry: Registry
  readonly random: () => number
  readonly deadlines: Deadlines
  readonly health: HealthJudge
  readonly replay: ReplayAccount = new ReplayAccount()
  readonly mirrors: Mirrors = new Mirrors(this)
  readonly turns: Turns
  readonly sharesPorts: boolean
  readonly inherit: Inherit | undefined
  readonly copySocket: CopySocket | undefined
  readonly #judgement: Judgement
  readonly #options: DataPlaneOptions
  readonly #current: Current
  readonly #listeners = new Set<Listener>()
  /** Listeners that are gone from the settings and still have connections. */
  readonly #retired = new Set<Listener>()
  readonly #byClient = new Map<string, number>()
  readonly #unrouted = new Map<number, number>()
  readonly #idPrefix: string
  #requests = 0
  #open = 0
  #dateSecond = 0
  #dateLine = ''
  #onQuiet: (() => void) | undefined
  #drained: Promise<void> | undefined

  constructor(options: DataPlaneOptions) {
    this.#options = options
    this.limits = options.limits
    this.observer = options.observer
    this.random = options.random
    this.sharesPorts = options.sharesPorts ?? false
    this.inherit = options.inherit
    this.copySocket = options.copySocket
    this.deadlines = new Deadlines(options.clock)
    this.turns = new Turns(this.deadlines)
    this.registry = createRegistry(
      (endpoint) =>
        new Pool(
          endpoint.address,
          endpoint.port,
          this.deadlines,
          () => this.limits,
          () => this.doubt([endpoint.key]),
          (reason, forMs) => this.#pipeliningPaused(endpoint, reason, forMs),
          this.#distrustOf(endpoint),
        ),
    )
    this.#current = createCurrent(this.registry)
    this.#judgement = new Judgement(this)
    this.health = options.createHealth?.(this.#judgement) ?? noHealth
    // Judging and draining need the clock also while nobody is connected.
    if (options.createHealth) this.deadlines.add(this)
    this.#idPrefix = idPrefix(options.random)
  }

  /** The table of this moment. */
  get bound(): BoundTable {
    return this.#current.get()
  }

  get clock(): Clock {
    return this.#options.clock
  }

  apply(table: RouteTable): void {
    const before = this.bound
    this.#current.apply(table)
    this.#judgement.applied(before, this.bound)
  }

  onSweep(nowMs: number): void {
    this.health.sweep(nowMs)
    this.#judgement.sweep(nowMs)
  }

  healthOf(state: EndpointState): HealthView | undefined {
    const view = this.health.stateOf(state)
    const { order } = state
    if (!order) return view
    const { kind, sinceMs } = order
    const ejections = view?.ejections ?? 0
    if (kind === 'eject') return { state: 'ejected', cause: 'operator', sinceMs, ejections, applied: true }
    return { state: 'draining', cause: view?.cause, sinceMs, ejections, applied: true }
  }

  operate(key: string, life: number, command: OperatorCommand): 'done' | 'unknown' | 'no-order' {
    const state = this.stateOf(key, life)
    if (!state) return 'unknown'
    if (command.kind !== 'restore') this.#judgement.orders.give(state, command)
    else if (!this.#judgement.orders.lift(state, command)) return 'no-order'
    return 'done'
  }

  stateOf(key: string, life: number): EndpointState | undefined {
    const state = this.registry.find(key)
    return state?.life === life ? state : undefined
  }

  isAlive(key: string, life: number): 'alive' | 'dead' | 'unknown' {
    const state = this.stateOf(key, life)
    if (!state) return 'unknown'
    const view = this.health.stateOf(state)
    if (view?.state === 'ejected' && view.cause && deathCauses.has(view.cause)) return 'dead'
    return this.#options.clock.now() - state.lastLifeMs < aliveForMs ? 'alive' : 'unknown'
  }

  doubt(keys: readonly string[]): void {
    for (const key of keys) {
      const state = this.registry.find(key)
      if (state) this.health.doubt(state)
    }
  }

  onHealthEvent(event: HealthEvent): void {
    this.#options.onHealthEvent?.(event)
  }

  current(): BoundTable {
    return this.bound
  }

  async listen(wanted: readonly ListenerOptions[]): Promise<readonly ListenerAddress[]> {
    const kept = new Map<Listener, ListenerOptions>()
    const opened: Listener[] = []
    try {
      for (const options of wanted) {
        const same = [...this.#listeners].find((listener) => !kept.has(listener) && isSame(listener.options, options))
        if (same) kept.set(same, options)
        else {
          const listener = new Listener(this, options)
          await listener.open()
          opened.push(listener)
        }
      }
    } catch (error) {
      for (const listener of opened) listener.destroy()
      throw error
    }
    for (const listener of this.#listeners) {
      const options = kept.get(listener)
      if (options) listener.adopt(options)
      else this.#retire(listener)
    }
    for (const listener of opened) this.#listeners.add(listener)
    return this.addresses()
  }

  addresses(): readonly ListenerAddress[] {
    return [...this.#listeners].flatMap((listener) => listener.address ?? [])
  }

  setLimits(limits: WireLimits): void {
    this.limits = limits
  }

  setZone(zone: string): void {
    const before = this.bound
    this.#current.setZone(zone)
    this.#judgement.applied(before, this.bound)
  }

  setObserver(observer: DataPlaneObserver | undefined): void {
    this.observer = observer
  }

  setErrorPages(pages: ReadonlyMap<number, ErrorPage>): void {
    this.errorPages = pages
  }

  figures(): DataPlaneFigures {
    // Counted only where somebody asks: there may be ten thousand of either.
    const downstream = (): Connections => this.#downstream()
    const upstream = (): Connections => this.#upstream()
    return {
      tableVersion: this.bound.table.version,
      versions: this.registry.versions(),
      services: this.registry.services(),
      endpoints: this.registry.endpoints(),
      get downstream() {
        return downstream()
      },
      get upstream() {
        return upstream()
      },
      unrouted: this.#unrouted,
    }
  }

  #downstream(): Connections {
    let idle = 0
    for (const connection of this.#connections()) if (connection.isIdle) idle++
    return { open: this.#open, idle }
  }

  #upstream(): Connections {
    let open = 0
    let idle = 0
    for (const { pool } of this.registry.endpoints()) {
      open += pool.open
      idle += pool.idle
    }
    return { open, idle }
  }

  leave(): void {
    for (const listener of this.#listeners) listener.leave()
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs)
    return this.#drained
  }

  async #drain(deadlineMs: number): Promise<void> {
    for (const listener of this.#listeners) this.#retire(listener)
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#options.clock.setTimer(deadlineMs, () => this.#onQuiet?.())
        this.#onQuiet = () => {
          timer.clear()
          this.#onQuiet = undefined
          resolve()
        }
      })
    }
    if (this.#open > 0) {
      this.#options.log.warn({ connections: this.#open }, 'the time to finish in is over: what is left is cut')
      for (const listener of this.#retired) listener.expire()
    }
    this.destroy()
  }

  destroy(): void {
    for (const listener of [...this.#listeners, ...this.#retired]) listener.destroy()
    this.#listeners.clear()
    this.#retired.clear()
    this.mirrors.destroy()
    this.health.stop()
    this.deadlines.remove(this)
    this.registry.destroy()
  }

  // === For listeners and exchanges ===

  createExchange(connection: ServerConnection): ServerExchange {
    return new Exchange(this, connection)
  }

  admit(address: string): boolean {
    const ofClient = this.#byClient.get(address) ?? 0
    if (this.#open >= this.limits.connections || ofClient >= this.limits.connectionsPerClient) return false
    this.#open++
    this.#byClient.set(address, ofClient + 1)
    return true
  }

  release(address: string): void {
    this.#open--
    const ofClient = this.#byClient.get(address) ?? 0
    if (ofClient > 1) this.#byClient.set(address, ofClient - 1)
    else this.#byClient.delete(address)
    if (this.#open === 0) this.#onQuiet?.()
  }

  warn(fields: object, message: string): void {
    this.#options.log.warn(fields, message)
  }

  #pipeliningPaused({ service, handle }: Endpoint, reason: PipeliningTrouble, forMs: number): void {
    const { pipeliningPauses } = this.registry.service(service)
    pipeliningPauses.set(reason, (pipeliningPauses.get(reason) ?? 0) + 1)
    this.warn({ service, endpoint: handle, reason, forMs }, 'nothing is pipelined to this instance for a while')
  }

  /** Takes one reason in a while: behind one address there may be several that are refused and believed by turns. */
  #distrustOf({ service, handle, address, port }: Endpoint): (reason: string) => boolean {
    let toldMs = -Infinity
    return (reason) => {
      const nowMs = this.clock.now()
      if (nowMs - toldMs < distrustEveryMs) return false
      toldMs = nowMs
      const fields = { service, endpoint: handle, address: showHostPort(address, port), reason }
      this.warn(fields, 'the certificate of this instance is not believed: no new connection to it is used')
      return true
    }
  }

  attemptFailed(state: EndpointState, failure: Failure): void {
    this.#judgement.attemptFailed(state, failure)
  }

  suspicion(state: EndpointState): Suspicion {
    return this.#judgement.suspicion(state)
  }

  tellOutcome(endpoint: Endpoint, outcome: Outcome): void {
    const nowMs = this.#options.clock.now()
    this.#options.onHealthEvent?.({ kind: 'outcome', endpoint: refOf(endpoint), nowMs, ...outcome })
  }

  tellTrouble(trouble: Trouble): void {
    this.#options.onTrouble?.(trouble)
  }

  nextRequestId(): string {
    return this.#idPrefix + ++this.#requests
  }

  dateLine(): string {
    const wall = this.#options.clock.wall()
    const second = Math.floor(wall / 1_000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#dateLine = `Date: ${httpDate(wall)}\r\n`
    }
    return this.#dateLine
  }

  count(
    service: BoundService | undefined,
    group: BoundGroup | undefined,
    status: number,
    origin: 'upstream' | 'proxy',
    durationMs: number,
  ): void {
    if (service === undefined) {
      this.#unrouted.set(status, (this.#unrouted.get(status) ?? 0) + 1)
      return
    }
    const stats = group?.stats ?? this.registry.version(service.table.name, '')
    const key = origin === 'upstream' ? status : status + 1_000
    stats.codes.set(key, (stats.codes.get(key) ?? 0) + 1)
    let bucket = 0
    while (bucket < durationBucketsMs.length && durationMs > (durationBucketsMs[bucket] ?? Infinity)) bucket++
    stats.durationCounts[bucket] = (stats.durationCounts[bucket] ?? 0) + 1
    stats.durationSumMs += durationMs
  }

  *#connections(): Generator<ServerConnection> {
    for (const listener of this.#listeners) yield* listener.connections
    for (const listener of this.#retired) yield* listener.connections
  }

  #retire(listener: Listener): void {
    this.#listeners.delete(listener)
    for (const old of this.#retired) if (old.connections.size === 0) this.#retired.delete(old)
    this.#retired.add(listener)
    listener.drain()
  }
}

/** Whether one socket serves both; where the system chose the port, the name tells. */
function isSame(a: ListenerOptions, b: ListenerOptions): boolean {
  return a.host === b.host && a.port === b.port && (a.port !== 0 || a.name === b.name)
}

/** Some 50 bits of chance, so that two processes hardly ever share a prefix. */
function idPrefix(random: () => number): string {
  let prefix = ''
  for (let index = 0; index < 10; index++) prefix += Math.floor(random() * 36).toString(36)
  return prefix + '-'
}
