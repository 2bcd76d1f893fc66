/**
 * Carries out what operators order for single endpoints: drain, eject, restore. An order stands beside what health thinks and
 * above it; it ends when it is lifted, when its time is over, or with the registration. It asks nobody's rights.
 */
import type { Clock, Milliseconds } from '../core/clock.ts'
import type { EndpointRef, HealthEvent, OperatorWord } from '../health/event.ts'
import type { HealthJudge } from '../health/port.ts'
import { endLeaving } from '../live/endpoint-state.ts'
import { setOpen } from '../live/open.ts'
import { admission, type BoundTable, type EndpointState } from '../live/runtime.ts'
import type { Endpoint } from '../table/table.ts'
import type { OperatorCommand } from './options.ts'

/** What it needs of the plane it works for. */
export interface OrdersHost {
  readonly clock: Clock
  readonly bound: BoundTable
  readonly health: HealthJudge
  onHealthEvent(event: HealthEvent): void
}

type Order = Exclude<OperatorCommand, { kind: 'restore' }>

export class Orders {
  readonly #host: OrdersHost
  readonly #ramp: (state: EndpointState) => void
  /** Those with an order; what has left meanwhile goes at the next sweep. */
  readonly #ordered = new Set<EndpointState>()

  /** `ramp`: lets the weight of one that returns rise slowly. */
  constructor(host: OrdersHost, ramp: (state: EndpointState) => void) {
    this.#host = host
    this.#ramp = ramp
  }

  /** Puts `order` in the place of the one before, if any. */
  give(state: EndpointState, order: Order): void {
    const { kind, forMs, reason, by, document } = order
    const { clock } = this.#host
    const nowMs = clock.now()
    const wallMs = clock.wall()
    const before = state.order?.kind
    state.order = { kind, sinceMs: nowMs, untilMs: nowMs + (forMs ?? Infinity), wallMs, reason, by, document }
    this.#ordered.add(state)
    if (state.leavingSinceMs === Infinity) state.leavingSinceMs = nowMs
    this.#changed(state)
    const told = {
      endpoint: refOf(state.endpoint),
      inFlight: state.inFlight,
      operator: { by, reason, forMs },
      nowMs,
      wallMs,
    }
    if (kind === 'drain') this.#host.onHealthEvent({ kind: 'draining', ...told })
    // Given anew, with another end or reason, it is no second ejection.
    else if (before !== 'eject')
      this.#host.onHealthEvent({ kind: 'ejected', cause: 'operator', proven: false, applied: true, ...told })
    if (kind === 'eject') takeWaiting(state, false)
  }

  /** False: there is no order. */
  lift(state: EndpointState, { by, reason }: OperatorWord, expired = false): boolean {
    if (!state.order) return false
    state.order = undefined
    this.#ordered.delete(state)
    endLeaving(state)
    if (state.admission === admission.open) this.#ramp(state)
    this.#changed(state)
    const { clock } = this.#host
    this.#host.onHealthEvent({
      kind: 'restored',
      endpoint: refOf(state.endpoint),
      operator: { by, reason, expired },
      nowMs: clock.now(),
      wallMs: clock.wall(),
    })
    return true
  }

  /** Every 50 ms: ends those whose time is over. */
  sweep(nowMs: Milliseconds): void {
    for (const state of this.#ordered) {
      if (state.leaving) this.#ordered.delete(state)
      else if (state.order && nowMs >= state.order.untilMs) this.lift(state, state.order, true)
    }
  }

  #changed(state: EndpointState): void {
    this.#host.health.ordered(state)
    const service = this.#host.bound.services.get(state.service)
    if (service) setOpen(service)
  }
}

/** Asks each attempt at an ejected endpoint whether it can be made elsewhere; with `proven`, what cannot is ended. */
export function takeWaiting(state: EndpointState, proven: boolean): void {
  // The longest-waiting first: what came after it fell silent did not silence it, and goes where the others have not gone.
  const waiting = state.attempts.slice().sort((a, b) => a.waitingSinceMs - b.waitingSinceMs)
  for (const attempt of waiting) attempt.ejected(proven)
}

/** What events say of an endpoint. */
export function refOf(endpoint: Endpoint): EndpointRef {
  const { service, version, handle, life, address, port } = endpoint
  return { service, version, handle, life, address, port }
}
