/**
 * One death in the kill ledger: what is known of it, and how it grows. It decides nothing: which outcomes belong to it
 * and when Consul knew is said by the ledger.
 */
import type { HealthEvent } from '../health/event.ts'
import type { EjectionCause } from '../health/verdict.ts'

export type EjectedEvent = Extract<HealthEvent, { kind: 'ejected' }>
export type OutcomeEvent = Extract<HealthEvent, { kind: 'outcome' }>

/** A request that a death cost. */
export interface LostRequest {
  readonly requestId: string
  readonly method: string
  /** The outcome event's stable word. */
  readonly reason: string
  /** Nothing of it had been sent, so it was not executed. */
  readonly unsent: boolean
  /** From the detection of the death, ms; negative: it was lost before. */
  readonly afterMs: number
}

/** How a death ended: the same registration answers again, another has its place, or the catalog has none any more. */
export interface Recovery {
  readonly kind: 'restored' | 'replaced' | 'gone'
  /** From the detection, ms. */
  readonly afterMs: number
}

/** One death, as it stood when it was read. */
export interface Kill {
  /** Rises with every death of this process: `k-12`. */
  readonly id: string
  /** When it was detected, wall clock, ms. */
  readonly wallMs: number
  readonly service: string
  readonly version: string
  readonly handle: string
  readonly address: string
  readonly port: number
  /** What first gave it away. */
  readonly signal: EjectionCause
  readonly proven: boolean
  /** What proved it when the first signal did not, and how long after, ms. */
  readonly provenBy: { readonly cause: EjectionCause; readonly afterMs: number } | undefined
  /** False: the service's mode is `observe`, and nothing was done. */
  readonly applied: boolean
  readonly inFlight: number
  readonly rescued: number
  /** Retried elsewhere after something had been sent, and when nothing had. */
  readonly retried: number
  readonly retriedUnsent: number
  readonly lost: number
  /** Adds up to `lost`; beyond {@link methodsMax} methods the rest is `other`. */
  readonly lostByMethod: ReadonlyMap<string, number>
  /** The first {@link lostListedMax} of them. */
  readonly lostRequests: readonly LostRequest[]
  /** Undefined: not yet. */
  readonly recovery: Recovery | undefined
  /**
   * From our detection to the table in which the endpoint was critical, in maintenance or gone, ms. Negative: Consul knew
   * first; -60000 stands for a minute or more. Undefined: it does not know, or the endpoint was back before it could.
   */
  readonly consulKnewAfterMs: number | undefined
}

/** How many lost requests an entry names; all are counted. */
export const lostListedMax = 100
/** How many methods an entry counts apart. */
export const methodsMax = 16

/** A copy with bounds: what the data path cuts out of a head would keep the whole head in memory. */
export function ownCopy(text: string, charsMax: number): string {
  return Buffer.from(text.slice(0, charsMax)).toString()
}

export class KillRecord {
  readonly id: string
  readonly life: number
  /** Of the detection, monotonic, ms. */
  readonly atMs: number
  recovery: Recovery | undefined
  consulKnewAfterMs: number | undefined
  readonly #first: EjectedEvent
  #proven: boolean
  #provenBy: Kill['provenBy']
  #applied: boolean
  #inFlight: number
  #rescued = 0
  #retried = 0
  #retriedUnsent = 0
  #lost = 0
  readonly #lostByMethod = new Map<string, number>()
  #listed: LostRequest[] = []
  #listedMax = lostListedMax

  constructor(id: string, event: EjectedEvent) {
    this.id = id
    this.life = event.endpoint.life
    this.atMs = event.nowMs
    this.#first = event
    this.#proven = event.proven
    this.#applied = event.applied
    this.#inFlight = event.inFlight
  }

  get service(): string {
    return this.#first.endpoint.service
  }

  get handle(): string {
    return this.#first.endpoint.handle
  }

  get signal(): EjectionCause {
    return this.#first.cause
  }

  get applied(): boolean {
    return this.#applied
  }

  /** A later verdict on the same death. */
  confirm(event: EjectedEvent): void {
    if (event.applied) this.#applied = true
    if (!event.proven || this.#proven) return
    this.#proven = true
    this.#provenBy = { cause: event.cause, afterMs: Math.max(0, event.nowMs - this.atMs) }
  }

  /** Another process held requests there, too. */
  join(event: EjectedEvent): void {
    this.#inFlight += event.inFlight
  }

  add(event: OutcomeEvent): void {
    if (event.outcome === 'rescued') this.#rescued++
    else if (event.outcome === 'retried') {
      if (event.unsent) this.#retriedUnsent++
      else this.#retried++
    } else this.#addLost(event)
  }

  /** Forgets the names of what was lost, for good: it is listed nowhere any more. */
  forgetRequests(): void {
    this.#listed = []
    this.#listedMax = 0
  }

  /** How many values it holds that were not there at its start. */
  get held(): number {
    return this.#listed.length + this.#lostByMethod.size
  }

  view(): Kill {
    const { service, version, handle, address, port } = this.#first.endpoint
    return {
      id: this.id,
      wallMs: this.#first.wallMs,
      service,
      version,
      handle,
      address,
      port,
      signal: this.signal,
      proven: this.#proven,
      provenBy: this.#provenBy,
      applied: this.#applied,
      inFlight: this.#inFlight,
      rescued: this.#rescued,
      retried: this.#retried,
      retriedUnsent: this.#retriedUnsent,
      lost: this.#lost,
      lostByMethod: new Map(this.#lostByMethod),
      lostRequests: this.#listed.slice(),
      recovery: this.recovery,
      consulKnewAfterMs: this.consulKnewAfterMs,
    }
  }

  #addLost({ method, requestId, reason, unsent, nowMs }: OutcomeEvent): void {
    this.#lost++
    const known = this.#lostByMethod.has(method) || this.#lostByMethod.size < methodsMax - 1
    const counted = known ? method : 'other'
    this.#lostByMethod.set(counted, (this.#lostByMethod.get(counted) ?? 0) + 1)
    if (this.#listed.length >= this.#listedMax) return
    this.#listed.push({ requestId, method, reason, unsent, afterMs: nowMs - this.atMs })
  }
}
