/**
 * The two sides of health: what the data plane tells and asks it ({@link HealthJudge}), and what it says
 * ({@link VerdictSink}). Types only. Health never touches a request's socket; the data plane never decides health.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { BoundTable, EndpointState } from '../live/runtime.ts'
import type { Connector } from '../wire/connector.ts'
import type { Failure } from '../wire/failure.ts'
import type { Held, ToldVerdict } from './told.ts'
import type { EjectionCause, HealthState, Verdict } from './verdict.ts'

/** Everything here is called outside the fast path, but for `sweep`, which the clock calls every 50 ms. */
export interface HealthJudge {
  /** A table was put in place: endpoints come, stay or go, and their settings and catalog status may be new. */
  retain(bound: BoundTable): void
  /** An attempt failed, and has let go of the endpoint. Failures that are ours (`local`) or the client's are not told. */
  attemptFailed(state: EndpointState, failure: Failure): void
  /** The head of an answer of 500 or more came, or any other answer is complete while `state.streak` is above 0. */
  answered(state: EndpointState, status: number): void
  /**
   * Something speaks against it, and it is asked at once: the other side ended all its idle connections, or the catalog
   * has lost its agent or would take it away with most others.
   */
  doubt(state: EndpointState): void
  /** An operator's order on it came or went: it counts no more, or again, for what its service has left. */
  ordered(state: EndpointState): void
  /** Calls `done` exactly once, at the latest after 500 ms: true when the endpoint is proven to be dead. */
  prove(state: EndpointState, done: (dead: boolean) => void): void
  /** Looks for silence and due probes, with the clock's `nowMs`. Called every 50 ms while anything is watched. */
  sweep(nowMs: Milliseconds): void
  /** What it thinks of an endpoint, for views and metrics; undefined: not known (yet). */
  stateOf(state: EndpointState): HealthView | undefined
  /** Ends every probe. Idempotent. */
  stop(): void
}

export interface HealthView {
  readonly state: HealthState
  /** Of the last ejection; undefined: never ejected. */
  readonly cause: EjectionCause | undefined
  /** Since when it is in this state, monotonic ms. */
  readonly sinceMs: Milliseconds
  /** Ejections in its life. */
  readonly ejections: number
  /** False: the service's mode is `observe`, and it gets traffic whatever the state. */
  readonly applied: boolean
}

/** What a judge that is one of several can do besides: it takes over verdicts of the others, and says what it holds. */
export interface SharedHealth extends HealthJudge {
  /** Another process came to this verdict on the endpoint. */
  hear(state: EndpointState, verdict: ToldVerdict): void
  /** All that is ejected or joins here, as verdicts that bring another judge to the same. */
  holds(): readonly Held[]
}

export interface VerdictSink {
  /**
   * Carries out a verdict. `applied` false: the service's mode is `observe`; it is only to be told. `told`: another process
   * came to it, and has said so.
   */
  verdict(state: EndpointState, verdict: Verdict, applied: boolean, told: boolean): void
}

/** A probe's answer. */
export type ProbeResult =
  /** Any HTTP answer; `status` and, where asked for, the identity header's value ('' without). */
  | { readonly kind: 'answer'; readonly status: number; readonly identity: string; readonly tookMs: Milliseconds }
  /** A connection stood, with TLS where that is spoken (TCP probes only). */
  | { readonly kind: 'connected'; readonly tookMs: Milliseconds }
  | { readonly kind: 'refused' }
  /** Connected, then closed or reset without a byte. */
  | { readonly kind: 'closed' }
  /** What came was no HTTP; where TLS is spoken, also no TLS, or a certificate that cannot be trusted. */
  | { readonly kind: 'invalid' }
  /** Nothing within the deadline. */
  | { readonly kind: 'timeout' }
  /** No way there (EHOSTUNREACH and its like). */
  | { readonly kind: 'unreachable' }
  /** Our own fault (no file descriptor, no local port): says nothing of the endpoint. */
  | { readonly kind: 'local' }

export interface ProbeRequest {
  readonly host: string
  readonly port: number
  /** How its requests are sent, too. */
  readonly connector: Connector
  /** `HEAD /` on suspicion, `GET path` as configured; undefined: connect only. */
  readonly http: { readonly method: 'HEAD' | 'GET'; readonly path: string; readonly identity: string } | undefined
  readonly deadlineMs: Milliseconds
}

/** Sends one probe on a connection of its own. Calls `done` exactly once; never throws. Returns how to give it up. */
export type Prober = (request: ProbeRequest, done: (result: ProbeResult) => void) => { cancel(): void }
