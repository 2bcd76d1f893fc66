/**
 * What happened to endpoints, told to whoever keeps the ledger and the counts: plain values, one way, from the data plane
 * to control. Types only.
 */
import type { EjectionCause } from './verdict.ts'

export interface EndpointRef {
  readonly service: string
  readonly version: string
  /** Short name that survives shells and URLs. */
  readonly handle: string
  /** The registration's CreateIndex: the same handle with another value is a new life. */
  readonly life: number
  readonly address: string
  readonly port: number
}

/** Whose order it was, and why ('': not said). */
export interface OperatorWord {
  readonly by: string
  readonly reason: string
}

export type HealthEvent =
  | {
      readonly kind: 'ejected'
      readonly endpoint: EndpointRef
      readonly cause: EjectionCause
      /** Death was proven, not inferred from silence or failures. */
      readonly proven: boolean
      /** False: the service's mode is `observe`, and nothing was done. */
      readonly applied: boolean
      /** Requests it held when it was first suspected or ejected, whichever came first. */
      readonly inFlight: number
      /** The same ejection as another process found and told: only `inFlight` is its own. */
      readonly told?: boolean
      /** With the cause `operator`: whose. `forMs`: it ends by itself after that long. */
      readonly operator?: (OperatorWord & { readonly forMs: number | undefined }) | undefined
      /** Monotonic and wall-clock time, ms. */
      readonly nowMs: number
      readonly wallMs: number
    }
  /** It gets traffic again (not told for endpoints that join for the first time). */
  | {
      readonly kind: 'restored'
      readonly endpoint: EndpointRef
      /** An operator's order is no more: lifted by this one, or (`expired`) over, and then this one gave it. */
      readonly operator?: (OperatorWord & { readonly expired: boolean }) | undefined
      readonly nowMs: number
      readonly wallMs: number
    }
  /** An operator drains it: no ejection, since what it has goes on. */
  | {
      readonly kind: 'draining'
      readonly endpoint: EndpointRef
      readonly inFlight: number
      readonly operator: OperatorWord & { readonly forMs: number | undefined }
      readonly nowMs: number
      readonly wallMs: number
    }
  /**
   * What became of one request whose attempt at the endpoint failed or was taken away: `rescued` (taken from it when it was
   * ejected), `retried` (it failed by itself and went elsewhere), `lost` (the client got an error or a cut answer). `unsent`:
   * nothing of it had been sent there (of a lost one: anywhere), so that nothing of it can have been done. May come before the `ejected` it belongs to.
   */
  | {
      readonly kind: 'outcome'
      readonly endpoint: EndpointRef
      readonly outcome: 'rescued' | 'retried' | 'lost'
      readonly unsent: boolean
      readonly requestId: string
      readonly method: string
      /** A stable word: the kind of the failure (`closed`, `reset`, `refused` …), `ejected`, or why it was not repeated. */
      readonly reason: string
      readonly nowMs: number
    }
