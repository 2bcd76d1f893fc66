/**
 * What to do when an attempt failed before any of its answer was passed on: one function from facts to a decision.
 * Rows Q1 to Q4 of the retry rules: what was never sent goes elsewhere whatever the method; what was sent and met silence
 * is repeated once for safe methods only (RFC 9110 section 9.2.2). It judges no endpoint's health.
 */
import type { Failure } from '../wire/failure.ts'

export type Decision =
  /** Attempt again; `spends`: it takes from the retry budget, since the first may have been executed. */
  | { readonly kind: 'retry'; readonly spends: boolean; readonly reason: string }
  /** Answer the client ourselves. */
  | { readonly kind: 'answer' }

export interface RequestFacts {
  readonly method: string
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

export function decide(failure: Failure, facts: RequestFacts): Decision {
  if (!facts.replayable) return give
  if (!failure.sent) {
    return facts.attempts < unsentAttemptsMax ? { kind: 'retry', spends: false, reason: failure.kind } : give
  }
  if (!isSafe(facts.method) || failure.received) return give
  if (facts.sentAttempts >= Math.min(2, facts.attemptsMax)) return give
  switch (failure.kind) {
    case 'closed':
    case 'reset':
      return { kind: 'retry', spends: !failure.reused, reason: failure.reused ? 'stale-connection' : failure.kind }
    default:
      return give
  }
}
