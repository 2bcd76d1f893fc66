/**
 * A worker: one data plane of its own, and its end of the seam. It serves with what it was told last, whether control is there
 * or not; while control is away it also sends the probes that control sends else, so that who is well again gets traffic.
 * It reads no configuration and no catalog.
 */
import { connect, type Socket } from 'node:net'
import type { Clock, Milliseconds } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { CopySocket, Inherit } from '../core/inherit.ts'
import type { Random } from '../core/random.ts'
import { atOnce, inOwnTurn, type Steps, stepwise } from '../core/turn.ts'
import type { SharedHealth } from '../health/port.ts'
import { createDataPlane } from '../proxy/data-plane.ts'
import type { DataPlane, ListenerOptions } from '../proxy/options.ts'
import { emptyTable } from '../table/build.ts'
import type { RouteTable } from '../table/table.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { AppLogger } from '../telemetry/log.ts'
import { defaultWireLimits } from '../wire/limits.ts'
import { CountsReporter, countUse } from './counts.ts'
import { ordersOf } from './crossing.ts'
import { Link } from './link.ts'
import { protocol, type SentOrder, type ToControl, type ToWorker, type Word, type WorkerSettings } from './messages.ts'
import { sharing } from './sharing.ts'
import { applyDelta } from './table-delta.ts'
import { Teller } from './teller.ts'

/** Control that has been silent for this long is away, ms; it speaks twice a second. */
export const silentMs: Milliseconds = 2_000
/** Between two attempts to reach control, ms. */
const againMs: Milliseconds = 100
/** Counts are sent this often, ms: what a worker counted since is lost with it. */
const countsMs: Milliseconds = 500
/** How long control may take to begin the end that was ordered, beyond the lame duck, ms. */
const patienceMs: Milliseconds = 1_000

export interface WorkerOptions {
  readonly slot: number
  /** Names this life of the worker. */
  readonly epoch: string
  /** Path of control's socket. */
  readonly path: string
  readonly version: string
  readonly clock: Clock
  readonly random: Random
  readonly log: AppLogger
  readonly accessLog: AccessLog
  /** Asked first for sockets; absent: they are new. */
  readonly inherit?: Inherit | undefined
  readonly copySocket?: CopySocket | undefined
  /** It listens. Called each time. */
  readonly onListening?: () => void
  /** What holds when the end comes and control does not say. */
  readonly shutdown: { readonly lameDuckMs: Milliseconds; readonly deadlineMs: Milliseconds }
  readonly process: () => { readonly pid: number; readonly cpuMs: number; readonly residentBytes: number }
  /** It stops accepting. Called once. */
  readonly onDraining?: () => void
  /** It has drained, and its process may end. Called once. */
  readonly onDrained: () => void
}

export class Worker {
  readonly #options: WorkerOptions
  readonly #plane: DataPlane
  readonly #teller: Teller
  readonly #reporter = new CountsReporter()
  #health: SharedHealth | undefined
  #link: Link<ToWorker, ToControl> | undefined
  #table: RouteTable = emptyTable
  #heardMs: Milliseconds = -Infinity
  /** Control's, of the last connection that stood. */
  #controlEpoch = ''
  /** This control began after the one before: what orders there are it may not know. */
  #isNewControl = false
  /** Nothing came yet over this connection by which anything could be told. */
  #isFirstTable = true
  #work: Promise<unknown> = Promise.resolve()
  #draining = false

  constructor(options: WorkerOptions) {
    this.#options = options
    const { clock, random, log, accessLog } = options
    this.#teller = new Teller(clock)
    this.#plane = createDataPlane({
      clock,
      random,
      log,
      limits: defaultWireLimits,
      observer: accessLog.observer('off'),
      sharesPorts: true,
      inherit: options.inherit,
      copySocket: options.copySocket,
      createHealth: (sink) => {
        const tell = (word: Word, told: boolean): void => {
          if (!told) this.#teller.word(word)
        }
        return (this.#health = sharing({ ...options, routine: () => !this.#isLed() }, sink, tell))
      },
      onHealthEvent: (event) => this.#teller.event(event),
      onTrouble: (trouble) => this.#teller.trouble(trouble),
    })
  }

  /** Looks for control, and goes on doing so for as long as it lives. */
  start(): void {
    this.#connect()
    this.#report()
  }

  /** The end was ordered: by control where it is there, else at once. Idempotent. */
  stop(): void {
    const { clock, shutdown } = this.#options
    if (!this.#isLed()) return this.#drain(shutdown.deadlineMs)
    clock.setTimer(shutdown.lameDuckMs + patienceMs, () => this.#drain(shutdown.deadlineMs))
  }

  /** Control is there, and speaks. */
  #isLed(): boolean {
    return this.#link !== undefined && this.#options.clock.now() - this.#heardMs < silentMs
  }

  // === The connection ===

  #connect(): void {
    const socket = connect({ path: this.#options.path })
    socket.once('connect', () => this.#connected(socket))
    socket.once('error', () => this.#again())
  }

  #again(): void {
    this.#options.clock.setTimer(againMs, () => this.#connect())
  }

  #connected(socket: Socket): void {
    const { slot, epoch, version, process } = this.#options
    socket.removeAllListeners('error')
    const link = new Link<ToWorker, ToControl>(socket, {
      onMessage: (message) => this.#told(link, message),
      onRelief: () => this.#teller.flush(),
      onClose: (error) => this.#lost(error),
    })
    this.#link = link
    this.#isFirstTable = true
    this.#reporter.forget()
    const listeners = this.#plane.addresses()
    link.send({ kind: 'hello', protocol, version, slot, epoch, pid: process().pid, listeners })
  }

  #lost(error: Error | undefined): void {
    this.#teller.use(undefined)
    this.#link = undefined
    this.#heardMs = -Infinity
    if (!this.#draining) {
      const { log } = this.#options
      log.warn(error ? { error: error.message } : {}, 'control is away: serving with what was known last')
      this.#again()
    }
  }

  // === What control says ===

  #told(link: Link<ToWorker, ToControl>, message: ToWorker): void {
    this.#heardMs = this.#options.clock.now()
    switch (message.kind) {
      case 'welcome':
        this.#isNewControl = message.epoch !== this.#controlEpoch
        this.#controlEpoch = message.epoch
        return this.#teller.use(link)
      case 'settings':
        return this.#set(message.settings)
      case 'table':
        this.#table = applyDelta(this.#table, message.delta)
        this.#plane.apply(this.#table)
        if (this.#isFirstTable) this.#tellHolds(link)
        this.#isFirstTable = false
        return
      case 'words':
        return this.#hear(message.words)
      case 'orders':
        return this.#obey(message.orders, message.all && !this.#isNewControl)
      case 'listen':
        // One after the other, and none is dropped: control waits for an answer to each.
        this.#work = this.#work.then(() => this.#listen(link, message.id, message.listeners))
        return
      case 'report':
        return this.#sendCounts(link, message.id)
      case 'beat':
        return
      case 'leave':
        return this.#plane.leave()
      case 'drain':
        return this.#drain(message.deadlineMs)
    }
  }

  #set({ limits, access, level, errorPages, zone }: WorkerSettings): void {
    const { log, accessLog } = this.#options
    this.#plane.setLimits(limits)
    this.#plane.setObserver(accessLog.observer(access))
    this.#plane.setErrorPages(errorPages)
    this.#plane.setZone(zone)
    log.setLevel(level)
  }

  #hear(words: readonly Word[]): void {
    for (const { key, life, verdict } of words) {
      const state = this.#plane.stateOf(key, life)
      if (state) this.#health?.hear(state, verdict)
    }
  }

  #obey(orders: readonly SentOrder[], all: boolean): void {
    if (all) {
      const standing = new Set(orders.map(({ key, life }) => `${key} ${String(life)}`))
      for (const { key, life } of this.#orders())
        if (!standing.has(`${key} ${String(life)}`))
          this.#plane.operate(key, life, { kind: 'restore', reason: '', by: '' })
    }
    for (const { key, life, command } of orders) this.#plane.operate(key, life, command)
  }

  async #listen(link: Link<ToWorker, ToControl>, id: number, listeners: readonly ListenerOptions[]): Promise<void> {
    let error: string | undefined
    try {
      if (!this.#draining) await this.#plane.listen(listeners)
      this.#options.onListening?.()
    } catch (thrown) {
      error = errorText(thrown)
    }
    link.send({ kind: 'listening', id, addresses: this.#plane.addresses(), error })
  }

  // === What is told to control ===

  /** All that is held against endpoints, and the orders that control, being new, may not know. */
  #tellHolds(link: Link<ToWorker, ToControl>): void {
    const held = this.#health?.holds() ?? []
    const words = held
      .filter(({ verdict }) => verdict.kind === 'eject')
      .map(({ state: { key, life }, verdict }) => ({ key, life, verdict }))
    link.send({ kind: 'holds', words, orders: this.#isNewControl ? this.#orders() : [] })
  }

  #orders(): readonly SentOrder[] {
    return ordersOf(this.#plane.figures().endpoints, this.#options.clock.now())
  }

  #report(): void {
    this.#options.clock.setTimer(countsMs, () => {
      const link = this.#link
      // What is not sent now is in the next report.
      if (link && this.#isLed() && !link.pressed) this.#sendCounts(link, 0)
      this.#report()
    })
  }

  #sendCounts(link: Link<ToWorker, ToControl>, id: number): void {
    stepwise(this.#count(link, id), inOwnTurn)
  }

  *#count(link: Link<ToWorker, ToControl>, id: number): Steps<void> {
    const { accessLog, process } = this.#options
    const use = yield* countUse(this.#plane.figures().endpoints)
    // What is reported once is not reported again: it must not be told to one that has gone.
    if (this.#link !== link || link.isOver) return
    const { cpuMs, residentBytes } = process()
    const own = { linesDropped: accessLog.dropped(), messagesLost: this.#teller.lost, cpuMs, residentBytes }
    link.send({ kind: 'counts', id, counts: this.#reporter.report(this.#plane.figures(), use, own) })
  }

  // === The end ===

  #drain(deadlineMs: Milliseconds): void {
    if (this.#draining) return
    this.#draining = true
    this.#options.onDraining?.()
    this.#options.log.info({ deadlineMs }, 'no new connections; what runs may finish')
    void this.#plane.drain(deadlineMs).then(() => {
      const link = this.#link
      this.#teller.flush()
      if (link) atOnce(this.#count(link, 0))
      link?.end()
      this.#options.onDrained()
    })
  }
}
