/**
 * What crosses the seam between control and its workers. Types only: plain values that V8's serializer takes.
 *
 * Into a worker go settings, the table (as deltas), verdicts, operators' orders, what to listen on. Out of it come verdicts,
 * what happened to endpoints (the kill ledger's input), requests that had trouble, and counts. Log and access log do not
 * cross: each process writes its own lines, also while control is away.
 *
 * Times never cross as points of a clock, since every process has its own zero, but as ages or as time that is left.
 */
import type { HealthEvent } from '../health/event.ts'
import type { ToldVerdict } from '../health/told.ts'
import type { ErrorPage } from '../proxy/answers.ts'
import type { ListenerAddress, ListenerOptions, OperatorCommand, Trouble } from '../proxy/options.ts'
import type { AccessMode } from '../telemetry/access-log.ts'
import type { LogLevel } from '../telemetry/log.ts'
import type { WireLimits } from '../wire/limits.ts'
import type { CountsReport } from './counts.ts'
import type { TableDelta } from './table-delta.ts'

/** Raised with every change of these types: a process of another age is turned away instead of misread. */
export const protocol = 3

/** A verdict on one registration. */
export interface Word {
  readonly key: string
  readonly life: number
  readonly verdict: ToldVerdict
}

/** An operator's command on one registration; what is left of its time stands in the command. */
export interface SentOrder {
  readonly key: string
  readonly life: number
  readonly command: OperatorCommand
}

/** What of the configuration a worker needs besides the table. */
export interface WorkerSettings {
  readonly limits: WireLimits
  readonly access: AccessMode
  readonly level: LogLevel
  readonly errorPages: ReadonlyMap<number, ErrorPage>
  /** Where the proxy is; '' is nowhere. */
  readonly zone: string
}

export type ToWorker =
  /** The first message. `epoch` names one life of the control process. */
  | { readonly kind: 'welcome'; readonly epoch: string }
  | { readonly kind: 'settings'; readonly settings: WorkerSettings }
  | { readonly kind: 'table'; readonly delta: TableDelta }
  | { readonly kind: 'words'; readonly words: readonly Word[] }
  /** `all`: there are no others, as far as control knows. */
  | { readonly kind: 'orders'; readonly all: boolean; readonly orders: readonly SentOrder[] }
  /** Answered by `listening` with the same id. */
  | { readonly kind: 'listen'; readonly id: number; readonly listeners: readonly ListenerOptions[] }
  /** Answered by `counts` with the same id. */
  | { readonly kind: 'report'; readonly id: number }
  /** Control is there: said twice a second. */
  | { readonly kind: 'beat' }
  /** Answers are to close their connections. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'drain'; readonly deadlineMs: number }

export type ToControl =
  /** The first message. `epoch` names one life of a worker; `listeners`: what it listens on already. */
  | {
      readonly kind: 'hello'
      readonly protocol: number
      readonly version: string
      readonly slot: number
      readonly epoch: string
      readonly pid: number
      readonly listeners: readonly ListenerAddress[]
    }
  /** After the first table of a connection: all that is held here. Orders only where control began anew and may not know. */
  | { readonly kind: 'holds'; readonly words: readonly Word[]; readonly orders: readonly SentOrder[] }
  | { readonly kind: 'words'; readonly words: readonly Word[] }
  /** `nowMs`: the sender's clock, by which the events' own times are ages. */
  | { readonly kind: 'events'; readonly nowMs: number; readonly events: readonly HealthEvent[] }
  | { readonly kind: 'troubles'; readonly troubles: readonly Trouble[] }
  | { readonly kind: 'counts'; readonly id: number; readonly counts: CountsReport }
  | {
      readonly kind: 'listening'
      readonly id: number
      readonly addresses: readonly ListenerAddress[]
      /** Undefined: all of it is open; else why not, a sentence, and all is as before. */
      readonly error: string | undefined
    }
