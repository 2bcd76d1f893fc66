/** What the API shows of a request that had trouble: plain values for JSON. */
import { isoTime } from '../core/clock.ts'
import { counted } from '../core/counted.ts'
import type { AttemptRecord } from '../proxy/options.ts'
import type { TroubledRequest, TroubleRing } from '../telemetry/trouble-ring.ts'
import { json, type Answer } from './door.ts'
import { tenths } from './kill-views.ts'

/** One try of it, as it is kept; another version of the program may know other outcomes, and no details. */
export type AttemptView = Omit<AttemptRecord, 'outcome' | 'detail'> & {
  readonly outcome: string
  readonly detail?: string | undefined
}

/** The answer of `/v1/requests/ID`. Times are from the first byte of the request, ms. */
export interface RequestView {
  readonly id: string
  /** ISO 8601, UTC: its first byte. */
  readonly at: string
  /** Requests of this id that had trouble; this is the last of them. */
  readonly count: number
  readonly client: string
  readonly method: string
  readonly host: string
  readonly target: string
  /** '' when it is not known. */
  readonly route: string
  readonly service: string
  readonly version: string
  readonly status: number
  readonly origin: string
  /** '' when it was answered in the end. */
  readonly cause: string
  readonly durationMs: number
  /** Attempts in all; the list may lack the last ones. */
  readonly attemptsTotal: number
  readonly attempts: readonly AttemptView[]
}

function requestView({ requestId, atMs, clientAddress, durationMs, attempts, ...rest }: TroubledRequest): RequestView {
  return {
    id: requestId,
    at: isoTime(atMs),
    client: clientAddress,
    ...rest,
    durationMs: tenths(durationMs),
    attempts: attempts.map((attempt) => ({
      ...attempt,
      startedMs: tenths(attempt.startedMs),
      endedMs: tenths(attempt.endedMs),
    })),
  }
}

export function requestAnswer(requestId: string, ring: TroubleRing): Answer {
  const found = ring.find(requestId)
  if (found) return json(200, requestView(found))
  const { requests, sinceMs } = ring.kept()
  const since = sinceMs === undefined ? '' : `, the oldest of ${isoTime(sinceMs)}`
  const error =
    'No request of this id is kept. Those are kept that failed (a 5xx of the proxy itself, an answer cut midway, a client that ' +
    `left) or were tried more than once, until newer ones take their place: ${counted(requests, 'request')} now${since}. ` +
    'Of all others the access log knows.'
  return json(404, { error })
}
