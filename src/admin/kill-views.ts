/** What the API shows of the kill ledger: plain values for JSON, made from one reading of it. */
import { isoTime } from '../core/clock.ts'
import type { KillReport } from '../telemetry/kill-ledger.ts'
import type { KillTotals } from '../telemetry/kill-counts.ts'
import type { Kill } from '../telemetry/kill-record.ts'
import { jsonList } from './views.ts'

/** A death as JSON shows it; null stands for what is not known or did not happen. */
export interface KillView {
  readonly id: string
  /** ISO 8601, UTC. */
  readonly at: string
  readonly service: string
  readonly version: string
  readonly handle: string
  readonly address: string
  readonly port: number
  readonly signal: string
  readonly proven: boolean
  readonly provenBy: { readonly cause: string; readonly afterMs: number } | null
  readonly applied: boolean
  readonly inFlight: number
  readonly rescued: number
  readonly retried: number
  readonly retriedUnsent: number
  readonly lost: {
    readonly total: number
    readonly byMethod: Readonly<Record<string, number>>
    readonly requests: readonly {
      readonly id: string
      readonly method: string
      readonly reason: string
      readonly unsent: boolean
      readonly afterMs: number
    }[]
  }
  readonly recovery: { readonly kind: string; readonly afterMs: number } | null
  readonly consulKnewAfterMs: number | null
}

/** The answer of `/v1/kills`. */
export interface KillsView {
  /** Of all deaths since the start, also those that are listed no more. */
  readonly totals: KillTotals
  /** Lost requests for which no death was told, newest first; as many as are remembered of `totals.strayLost`. */
  readonly strays: readonly {
    readonly at: string
    readonly id: string
    readonly service: string
    readonly version: string
    readonly handle: string
    readonly method: string
    readonly reason: string
    readonly unsent: boolean
  }[]
  /** Newest first. */
  readonly kills: readonly KillView[]
}

export function killView(kill: Kill): KillView {
  const { provenBy, recovery, consulKnewAfterMs } = kill
  return {
    id: kill.id,
    at: isoTime(kill.wallMs),
    service: kill.service,
    version: kill.version,
    handle: kill.handle,
    address: kill.address,
    port: kill.port,
    signal: kill.signal,
    proven: kill.proven,
    provenBy: provenBy ? { cause: provenBy.cause, afterMs: tenths(provenBy.afterMs) } : null,
    applied: kill.applied,
    inFlight: kill.inFlight,
    rescued: kill.rescued,
    retried: kill.retried,
    retriedUnsent: kill.retriedUnsent,
    lost: {
      total: kill.lost,
      byMethod: Object.fromEntries(kill.lostByMethod),
      requests: kill.lostRequests.map(({ requestId, method, reason, unsent, afterMs }) => ({
        id: requestId,
        method,
        reason,
        unsent,
        afterMs: tenths(afterMs),
      })),
    },
    recovery: recovery ? { kind: recovery.kind, afterMs: tenths(recovery.afterMs) } : null,
    consulKnewAfterMs: consulKnewAfterMs === undefined ? null : tenths(consulKnewAfterMs),
  }
}

/** The report as JSON text, in pieces. */
export function killsJson({ kills, totals, strays }: KillReport): AsyncGenerator<string> {
  const straysView: KillsView['strays'] = strays.map(({ wallMs, requestId, ...rest }) => ({
    at: isoTime(wallMs),
    id: requestId,
    ...rest,
  }))
  const head = `{"totals":${JSON.stringify(totals)},"strays":${JSON.stringify(straysView)},"kills":[`
  return jsonList(head, kills, killView, 8)
}

/** The monotonic clock has more digits than anybody can use. */
export const tenths = (ms: number): number => Math.round(ms * 10) / 10
