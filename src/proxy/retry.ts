/**
 * What to do when an attempt failed before any of its answer was passed on: one function from facts to a decision, after
 * the retry rules Q1 to Q10. What was never sent goes elsewhere whatever the method; what was sent and met silence is
 * repeated once, for methods that are safe, for those that are made safe by an Idempotency-Key, and for other idempotent ones
 * when the endpoint is proven to be dead (RFC 9110 section 9.2.2). It judges no endpoint's health.
 */
import type { Failure } from '../wire/failure.ts'
import { executionsMax } from './tries.ts'

export type Decision =
  /** Attempt again; `spends`: it takes from the retry budget, since the first may have been executed. */
  | { readonly kind: 'retry'; readonly spends: boolean; readonly reason: string }
  /** Attempt again if the endpoint turns out to be dead, else answer. */
  | { readonly kind: 'prove'; readonly reason: string }
  /** Answer the client ourselves. */
  | { readonly kind: 'answer' }

export interface RequestFacts {
  /** See `RequestHead.meantMethod`. */
  readonly method: string
  /** The request has an Idempotency-Key: whoever reads it executes it once, however often it comes. */
  readonly keyed: boolean
  /** All of the body that was read is still kept, so that it can be sent again. */
  readonly replayable: boolean
  /** Attempts of this request that sent something, this one included. */
  readonly sentAttempts: number
  /** Attempts of any kind, this one included. */
  readonly attempts: number
  /** Most attempts that may send something. */
  readonly attemptsMax: number
}

const give: Decision = { kind: 'answer' }

/** Bounds the walk over endpoints that refuse: far more than a fleet has dead at once, far less than a loop. */
export const unsentAttemptsMax = 64

/** GET, HEAD and OPTIONS: executing them twice changes nothing. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** Executing them twice is as good as once, unless something else came in between. */
export function isIdempotent(method: string): boolean {
  return isSafe(method) || method === 'PUT' || method === 'DELETE'
}

export function decide(failure: Failure, facts: RequestFacts): Decision {
  if (!facts.replayable) return give
  if (!failure.sent) {
    return facts.attempts < unsentAttemptsMax ? { kind: 'retry', spends: false, reason: failure.kind } : give
  }
  if (failure.received || facts.sentAttempts >= Math.min(executionsMax, facts.attemptsMax)) return give
  switch (failure.kind) {
    case 'closed':
    case 'reset': {
      const reason = failure.reused ? 'stale-connection' : failure.kind
      if (isSafe(facts.method) || facts.keyed) return { kind: 'retry', spends: !failure.reused, reason }
      return isIdempotent(facts.method) ? { kind: 'prove', reason: 'proven-death' } : give
    }
    default:
      return give
  }
}

/**
 * Whether a request that waits at an ejected endpoint, sent and without a byte of an answer, may be sent again elsewhere. On
 * silence only what is safe: a frozen process runs what it holds when it thaws, and a PUT repeated meanwhile would be
 * overwritten by its own ghost. When death is proven, whatever is idempotent.
 */
export function canRescue(facts: RequestFacts, proven: boolean): boolean {
  if (!facts.replayable || facts.sentAttempts >= Math.min(executionsMax, facts.attemptsMax)) return false
  return isSafe(facts.method) || (proven && (facts.keyed || isIdempotent(facts.method)))
}
