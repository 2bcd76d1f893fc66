/**
 * Pipelining to one endpoint: gathers the requests of one turn of the loop into bursts, sees to it that nobody waits behind a
 * slow answer, and stops for a while where the endpoint takes bursts badly. It picks no endpoint and repeats nothing; which
 * requests may be pipelined is for others to say (RFC 9112 section 9.3.2: such as may be repeated).
 */
import type { Timer } from '../core/clock.ts'
import { stepMedian } from '../core/step-median.ts'
import { Burst, Seat } from './burst.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Deadlines } from './deadlines.ts'
import { beforeTurnEnds } from './socket-writer.ts'

export interface PipeliningOptions {
  /** Most requests written together on one connection, at least 2. */
  readonly requests: number
  /** Whoever has waited for so long behind another's answer goes elsewhere, ms. */
  readonly waitMs: number
}

/**
 * Why an endpoint gets no more bursts for a while: it ended the connection with (`close`) or without (`cut`) saying so before
 * all of a burst was answered, answered what cannot be read (`invalid`), more than was asked (`surplus`), a 1xx
 * (`informational`), refused a burst as one request (`refused`), or had too many wait (`slow`).
 */
export type PipeliningTrouble = 'close' | 'cut' | 'invalid' | 'surplus' | 'informational' | 'refused' | 'slow'

/** How long the first pause lasts and the longest, ms; each is twice the one before, until there was none for `forgivenMs`. */
export const pauseMinMs = 60_000
const pauseMaxMs = 3_600_000
const forgivenMs = 3_600_000

/** However slow an endpoint usually is, nobody waits longer behind another's answer (unless the setting says so), ms. */
const patienceMaxMs = 100

/** Bursts in a row that ended without any answer: more than stale connections explain. */
const unansweredMax = 3

/** Too many were displaced: at least so many, and more than one in so many of those that were pipelined. */
const displacedMin = 32
const displacedShare = 20
/** Requests after which both counts are halved. */
const countedMax = 4_096

/** Those of a pool. */
export interface IdleConnections {
  /** One that is the caller's from now on; undefined: there is none. */
  take(): ClientConnection | undefined
  /** It was not used. */
  putBack(connection: ClientConnection): void
}

export interface PipeliningPause {
  readonly reason: PipeliningTrouble
  /** Monotonic ms. */
  readonly untilMs: number
}

export class Pipelining {
  readonly #deadlines: Deadlines
  readonly #idle: IdleConnections
  readonly #onPause: (reason: PipeliningTrouble, forMs: number) => void
  #options: PipeliningOptions | undefined
  #gathering: Burst | undefined
  readonly #unwritten: Burst[] = []
  #written: Burst[] = []
  #timer: Timer | undefined
  /** Running median of the time to the first answer of a burst, ms. */
  #usualMs = 0
  #pipelined = 0
  #displaced = 0
  #unanswered = 0
  #pause: PipeliningPause | undefined
  #pauseMs = 0

  /** `onPause`: no bursts for so many ms. */
  constructor(
    deadlines: Deadlines,
    idle: IdleConnections,
    onPause: (reason: PipeliningTrouble, forMs: number) => void,
  ) {
    this.#deadlines = deadlines
    this.#idle = idle
    this.#onPause = onPause
  }

  /** Undefined: bursts are made. */
  get pause(): PipeliningPause | undefined {
    return this.#pause && this.#deadlines.now() < this.#pause.untilMs ? this.#pause : undefined
  }

  get nowMs(): number {
    return this.#deadlines.now()
  }

  /** A seat beside the other requests of this turn; undefined: it has to go alone. */
  join(options: PipeliningOptions): Seat | undefined {
    let gathering = this.#gathering
    if (gathering === undefined || gathering.isFull) {
      if (this.#pause !== undefined && this.#deadlines.recentMs < this.#pause.untilMs) return undefined
      const connection = this.#idle.take()
      if (connection === undefined) return undefined
      this.#options = options
      gathering = this.#gathering = new Burst(connection, this, options.requests)
      if (this.#unwritten.push(gathering) === 1) beforeTurnEnds(this.#writeAll)
    }
    return new Seat(gathering)
  }

  /** Nothing of a burst is left to be written. */
  putBack(connection: ClientConnection): void {
    if (!connection.isGone) this.#idle.putBack(connection)
  }

  /** A burst was written. */
  written(burst: Burst): void {
    if (burst.size < 2) return
    this.#pipelined += burst.size
    if (this.#pipelined > countedMax) {
      this.#pipelined /= 2
      this.#displaced /= 2
    }
    this.#written.push(burst)
    this.#watch()
  }

  /** The first answer of a burst begins. */
  answered(burst: Burst): void {
    this.#unanswered = 0
    this.#usualMs = stepMedian(this.#usualMs, this.#deadlines.now() - burst.sinceMs)
  }

  /** So many went elsewhere, since others' answers took too long. */
  displaced(count: number): void {
    this.#displaced += count
    if (this.#displaced < displacedMin || this.#displaced * displacedShare <= this.#pipelined) return
    this.trouble('slow')
  }

  /** A connection ended before all of a burst was answered; `answered`: some of it was. */
  broken(answered: boolean): void {
    // It may just have been idle for too long, or its process have ended.
    if (answered || ++this.#unanswered >= unansweredMax) this.trouble('cut')
  }

  /** No bursts for a while. */
  trouble(reason: PipeliningTrouble): void {
    const nowMs = this.#deadlines.now()
    const before = this.#pause?.untilMs ?? -Infinity
    if (nowMs < before) return
    this.#pauseMs = nowMs - before > forgivenMs ? pauseMinMs : Math.min(pauseMaxMs, 2 * this.#pauseMs)
    this.#pause = { reason, untilMs: nowMs + this.#pauseMs }
    this.#pipelined = 0
    this.#displaced = 0
    this.#unanswered = 0
    this.#onPause(reason, this.#pauseMs)
  }

  /** Nothing is watched any more. */
  close(): void {
    this.#written = []
    this.#timer?.clear()
    this.#timer = undefined
  }

  readonly #writeAll = (): void => {
    for (const burst of this.#unwritten) {
      // Nobody joins one that is written. One that cannot be may lead to others: they come behind it here.
      this.#gathering = undefined
      burst.write()
    }
    this.#unwritten.length = 0
  }

  #watch(): void {
    this.#timer ??= this.#deadlines.after((this.#options?.waitMs ?? patienceMaxMs) / 2, this.#onTimer)
  }

  /** Answers may have come while the loop was busy: what lies there is read first. */
  readonly #onTimer = (): void => {
    this.#timer = undefined
    setImmediate(this.#look)
  }

  readonly #look = (): void => {
    const waitMs = this.#options?.waitMs ?? patienceMaxMs
    const patienceMs = Math.max(waitMs, Math.min(patienceMaxMs, 2 * this.#usualMs))
    const nowMs = this.#deadlines.now()
    const all = this.#written
    this.#written = []
    for (const burst of all) {
      if (burst.isWaitedFor && nowMs - burst.sinceMs >= patienceMs) {
        burst.displace()
        burst.endLate(nowMs)
      }
      if (burst.isWaitedFor) this.#written.push(burst)
    }
    if (this.#written.length > 0) this.#watch()
  }
}
