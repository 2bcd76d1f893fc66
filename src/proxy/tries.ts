/**
 * What one request has tried, and what it may still spend: which endpoints had it, how many attempts sent something, its
 * share of the retry budget and of the cap on rescues; and, of one that had trouble, what became of each attempt. It decides
 * nothing about a failure and opens nothing.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { Failure } from '../wire/failure.ts'
import { isQuiet, isSilent } from '../health/silence.ts'
import type { BoundService, BoundTable, EndpointState, ServiceStats } from '../live/runtime.ts'
import type { Endpoint } from '../table/table.ts'
import type { UpstreamTimeouts } from '../wire/client-exchange.ts'
import { type NextEndpoint, nextEndpoint, type Aim } from './next-endpoint.ts'
import type { AttemptRecord, RequestRecord } from './options.ts'
import type { PlaneCore } from './plane-core.ts'
import type { RequestFacts } from './retry.ts'
import type { Turn, Turns } from './turns.ts'
import type { RequestHead } from '../wire/request-head.ts'
import { fieldValue } from '../wire/syntax.ts'

const nothingTried: readonly EndpointState[] = Object.freeze([])

/** A request whose bytes went out is executed at most once more (RFC 9110 section 9.2.2: no retry of a retry). */
export const executionsMax = 2

/** Retries that may always be under way, whatever the share. */
const retriesMin = 3

/** A connect that is silent for this long is given up once, for another endpoint. */
const hedgeAfterMs = 250

/** Attempts that are told of; unsent ones go on for as long as there are endpoints. */
const notesMax = 16

/** Rescues that may always be under way; beyond, at most half of what is in flight. */
const rescuesMin = 32

/** Quiet ones that are looked for: to step around each of a thousand would cost more than it saves. */
const quietMax = 64

/** The service's endpoints that leave somebody waiting just now. */
function quietOnes(bound: BoundTable, aim: Aim, nowMs: Milliseconds): readonly EndpointState[] {
  const service = bound.services.get(aim.service.table.name) ?? aim.service
  const found: EndpointState[] = []
  for (const { endpoints } of service.groups)
    for (const { state } of endpoints) if (found.length < quietMax && isQuiet(state, nowMs)) found.push(state)
  return found
}

export class Tries {
  tried: readonly EndpointState[] = nothingTried
  /** Attempts of any kind. */
  attempts = 0
  /** Attempts that sent something. */
  sent = 0
  /** A silent connect has been given up early once; the next ones have their whole time. */
  #hedged = false
  /** Whose connect it was, while that may still be made anew. */
  #early: EndpointState | undefined
  /** Of the attempt under way, or of the last one. */
  #beganMs = 0
  #reused = false
  #sentBefore = 0
  /** What became of those that went wrong; only requests that had any have it. */
  #notes: AttemptRecord[] | undefined
  /** Attempts of which it is known what became of them. */
  #noted = 0
  #retrying: ServiceStats | undefined
  #rescuing: ServiceStats | undefined
  /** An endpoint broke with it. */
  #broke = false
  /** It may have been the reason. */
  #isSuspect = false
  /** Of its last execution, until an answer begins. */
  #turn: Turn | undefined
  /** Where it waits, or has waited, for its turn. */
  #queue: Turns | undefined
  #queueOf = ''

  reset(): void {
    this.tried = nothingTried
    this.attempts = 0
    this.sent = 0
    this.#hedged = false
    this.#early = undefined
    this.#notes = undefined
    this.#broke = false
  }

  /** An attempt at `state` begins, on a connection that was there or on a new one. */
  begin({ deadlines, turns }: PlaneCore, state: EndpointState, reused: boolean): void {
    this.attempts++
    this.#beganMs = deadlines.recentMs
    if (this.#broke && this.sent > 0) this.#turn = turns.begin(state, this.#isSuspect)
    this.#reused = reused
    this.#sentBefore = this.sent
  }

  /** Some attempt went wrong. */
  get hadTrouble(): boolean {
    return this.#notes !== undefined
  }

  /** The attempt that began last, at `state`, went wrong. Where nothing of it has left it was no execution. */
  failed(core: PlaneCore, state: EndpointState, failure: Failure): void {
    core.attemptFailed(state, failure)
    if (state === this.#early && failure.kind !== 'connect-timeout') this.#early = undefined
    if (!failure.sent) this.sent = this.#sentBefore
  }

  /** What became of the attempt that began last. */
  note(
    { handle, address, port, version }: Endpoint,
    outcome: AttemptRecord['outcome'],
    reason: string,
    detail: string,
    unsent: boolean,
    endedMs: number,
  ): void {
    this.#notes ??= []
    this.#noted = this.attempts
    if (this.#notes.length >= notesMax) return
    const [startedMs, reused] = [this.#beganMs, this.#reused]
    this.#notes.push({ handle, address, port, version, startedMs, endedMs, outcome, reason, detail, reused, unsent })
  }

  /** All attempts of a request that has ended; times are from `startedMs`. */
  story(last: Endpoint | undefined, { cause, durationMs }: RequestRecord, startedMs: number): AttemptRecord[] {
    const noted = this.#notes === undefined ? 0 : this.#noted
    const unsent = this.sent === this.#sentBefore
    if (last && this.attempts > noted)
      this.note(last, cause === '' ? 'answered' : 'ended', cause, '', unsent, startedMs + durationMs)
    const notes = this.#notes ?? []
    return notes.map((note) => ({
      ...note,
      startedMs: Math.max(0, note.startedMs - startedMs),
      endedMs: Math.max(0, note.endedMs - startedMs),
    }))
  }

  add(state: EndpointState): void {
    if (!this.tried.includes(state)) this.tried = [...this.tried, state]
  }

  /** What is known of the request for a decision about its repetition. */
  facts(head: RequestHead | undefined, replayable: boolean, attemptsMax: number): RequestFacts {
    return {
      method: head?.meantMethod ?? '',
      keyed: head !== undefined && isKeyed(head),
      replayable,
      attempts: this.attempts,
      sentAttempts: this.sent,
      attemptsMax,
    }
  }

  /**
   * Where the request goes next: to nobody who had it. Of one that has been sent and was with `from` when that broke, this is the
   * last time: it goes to nobody who is quiet just then, and waits (where it may) until one has a turn for it, see {@link Turns}.
   * `keyHash` is what `balance: hash` goes by.
   */
  next(
    core: PlaneCore,
    aim: Aim,
    version: string | undefined,
    from: EndpointState | undefined,
    keyHash: number | undefined,
    mayWait: boolean,
  ): NextEndpoint | 'wait' | undefined {
    const { bound, random, turns } = core
    const pick = (without: readonly EndpointState[], tried = this.tried): NextEndpoint | undefined =>
      nextEndpoint(bound, random, aim, version, [...tried, ...without], keyHash)
    this.#endTurn(false)
    if (from) {
      this.#broke = true
      this.#isSuspect = core.suspicion(from).includes(this.#beganMs)
    }
    if (!this.#broke) return pick([]) ?? this.#backToEarly(pick)
    const nowMs = core.deadlines.now()
    const quiet = quietOnes(bound, aim, nowMs)
    const isLast = this.sent > 0
    const next = pick(isLast ? [...quiet, ...turns.taken(this.#isSuspect)] : quiet)
    if (next) return next
    if (isLast && mayWait && turns.hasRoom(aim.service.table.name) && pick([])) return 'wait'
    const silent = quiet.filter((state) => isSilent(state, nowMs))
    const apart = isLast ? turns.taken(this.#isSuspect, true) : []
    return pick([...quiet, ...apart]) ?? pick([...silent, ...apart]) ?? pick(quiet) ?? pick(apart) ?? pick([])
  }

  /** Whose connect was given up early for others, and there are none: now it has its whole time. */
  #backToEarly(
    pick: (without: readonly EndpointState[], tried: readonly EndpointState[]) => NextEndpoint | undefined,
  ): NextEndpoint | undefined {
    const early = this.#early
    if (early === undefined) return undefined
    this.#early = undefined
    return pick(
      [],
      this.tried.filter((state) => state !== early),
    )
  }

  /** Its turn has not come: `wake` is called when it may have. */
  wait({ turns }: PlaneCore, { service }: EndpointState, wake: (due: boolean) => void): void {
    this.#queue = turns
    this.#queueOf = service
    turns.wait(service, this, wake)
  }

  #endTurn(answered: boolean): void {
    const turn = this.#turn
    this.#turn = undefined
    turn?.(answered)
  }

  /**
   * The timeouts of an attempt that has to connect to `state`: a connect that is silent is given up early, once, and where
   * somebody else could be asked.
   */
  connectTimeouts(core: PlaneCore, aim: Aim, version: string, state: EndpointState): UpstreamTimeouts {
    const { timeouts } = aim.service.table.policy
    if (this.#hedged || timeouts.connectMs <= hedgeAfterMs) return timeouts
    const others = [...this.tried, state]
    this.#hedged = nextEndpoint(core.bound, core.random, aim, version, others) !== undefined
    if (this.#hedged) this.#early = state
    return this.#hedged ? { ...timeouts, connectMs: hedgeAfterMs } : timeouts
  }

  /**
   * Whether the budget allows one more execution: a share of what is in flight, but at least three at a time. `counts`: that it
   * does not is counted.
   */
  mayRetry(service: BoundService, counts = true): boolean {
    if (this.#retrying) return true
    const { stats } = service
    if (stats.retrying >= Math.max(retriesMin, stats.inFlight * service.table.policy.retry.budget)) {
      if (counts) stats.retryBudgetExhausted++
      return false
    }
    stats.retrying++
    this.#retrying = stats
    return true
  }

  /**
   * Whether one more request may be taken from an ejected endpoint and sent again. A frozen endpoint among four holds a
   * quarter of all requests or more, so that the retry budget would let most of them wait.
   */
  mayRescue(service: BoundService): boolean {
    const { stats } = service
    if (stats.rescuing >= Math.max(rescuesMin, stats.inFlight / 2)) return false
    stats.rescuing++
    this.#rescuing = stats
    return true
  }

  /** It will not be repeated any more, since an answer began or the request has ended: gives back what it spent. */
  release(answered: boolean): void {
    if (this.#queue) this.#queue.leave(this.#queueOf, this)
    this.#queue = undefined
    if (this.#turn) this.#endTurn(answered)
    if (this.#retrying) this.#retrying.retrying--
    if (this.#rescuing) this.#rescuing.rescuing--
    this.#retrying = undefined
    this.#rescuing = undefined
  }
}

/** An empty key is none: nothing tells one request that has it from another. */
function isKeyed({ lines }: RequestHead): boolean {
  const key = fieldValue(lines, 'idempotency-key') ?? ''
  return key !== '' && key !== '""'
}
