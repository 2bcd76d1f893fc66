/**
 * What one request has tried, and what it may still spend: which endpoints had it, how many attempts sent something, its
 * share of the retry budget and of the cap on rescues. It decides nothing about a failure and opens nothing.
 */
import type { BoundService, EndpointState, ServiceStats } from '../live/runtime.ts'
import { type Aim, type NextEndpoint, nextEndpoint } from './next-endpoint.ts'
import type { PlaneCore } from './plane-core.ts'
import type { RequestFacts } from './retry.ts'
import type { RequestHead } from '../wire/request-head.ts'
import { fieldValue } from '../wire/syntax.ts'

const nothingTried: readonly EndpointState[] = Object.freeze([])

/** A request whose bytes went out is executed at most once more (RFC 9110 section 9.2.2: no retry of a retry). */
export const executionsMax = 2

/** Retries that may always be under way, whatever the share. */
const retriesMin = 3

/** Rescues that may always be under way; beyond, at most half of what is in flight. */
const rescuesMin = 32

export class Tries {
  tried: readonly EndpointState[] = nothingTried
  /** Attempts of any kind. */
  attempts = 0
  /** Attempts that sent something. */
  sent = 0
  /** A silent connect has been given up early once; the next ones have their whole time. */
  hedged = false
  #retrying: ServiceStats | undefined
  #rescuing: ServiceStats | undefined

  reset(): void {
    this.tried = nothingTried
    this.attempts = 0
    this.sent = 0
    this.hedged = false
  }

  add(state: EndpointState): void {
    if (!this.tried.includes(state)) this.tried = [...this.tried, state]
  }

  /** What is known of the request for a decision about its repetition. */
  facts(head: RequestHead | undefined, replayable: boolean, attemptsMax: number): RequestFacts {
    return {
      method: head?.method ?? '',
      keyed: head !== undefined && fieldValue(head.lines, 'idempotency-key') !== undefined,
      replayable,
      attempts: this.attempts,
      sentAttempts: this.sent,
      attemptsMax,
    }
  }

  /**
   * Where the request goes next: to nobody who had it, and, with `from`, to nobody who got another of the requests that `from`
   * held when it broke, as long as there is anybody else. One of those may be why it broke; the others shall not meet it again.
   */
  next(
    core: PlaneCore,
    aim: Aim,
    version: string | undefined,
    from: EndpointState | undefined,
  ): NextEndpoint | undefined {
    const { bound, random } = core
    if (from !== undefined) {
      const scattered = core.scattered(from)
      const apart = nextEndpoint(bound, random, aim, version, [...this.tried, ...scattered])
      if (apart) {
        scattered.push(apart.endpoint.state)
        return apart
      }
    }
    return nextEndpoint(bound, random, aim, version, this.tried)
  }

  /** Whether a connect to `state` that is silent may be given up early: once, and where somebody else could be asked. */
  mayHedge(core: PlaneCore, aim: Aim, version: string, state: EndpointState): boolean {
    if (this.hedged) return false
    const others = [...this.tried, state]
    return (this.hedged = nextEndpoint(core.bound, core.random, aim, version, others) !== undefined)
  }

  /** Whether the budget allows one more execution: a share of what is in flight, but at least three at a time. */
  mayRetry(service: BoundService): boolean {
    if (this.#retrying) return true
    const { stats } = service
    if (stats.retrying >= Math.max(retriesMin, stats.inFlight * service.table.policy.retry.budget)) {
      stats.retryBudgetExhausted++
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

  /** The request has ended: gives back what it spent. */
  release(): void {
    if (this.#retrying) this.#retrying.retrying--
    if (this.#rescuing) this.#rescuing.rescuing--
    this.#retrying = undefined
    this.#rescuing = undefined
  }
}
