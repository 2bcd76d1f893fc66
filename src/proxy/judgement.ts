/**
 * Carries out what health decides: lets endpoints be picked or not, ramps up those that are new, takes waiting requests from
 * ejected ones, ends what stays too long on those that leave, and tells all of it as events. It decides nothing.
 */
import type { HealthEvent } from '../health/event.ts'
import type { HealthJudge, VerdictSink } from '../health/port.ts'
import { isQuiet } from '../health/silence.ts'
import type { Verdict } from '../health/verdict.ts'
import type { Clock, Milliseconds } from '../core/clock.ts'
import { createRounds, inGroups, type InTurn, inOwnTurn, type Steps } from '../core/turn.ts'
import { setOpen } from '../live/open.ts'
import type { Registry } from '../live/registry.ts'
import { admission, type BoundService, type BoundTable, type EndpointState } from '../live/runtime.ts'
import type { Failure } from '../wire/failure.ts'
import { Orders, refOf, takeWaiting } from './orders.ts'
import { Suspicion } from './suspicion.ts'

/** What it needs of the plane it works for. */
export interface JudgementHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly bound: BoundTable
  readonly health: HealthJudge
  onHealthEvent(event: HealthEvent): void
}

/** The share of its weight that a new endpoint begins with. */
const rampFrom = 0.1

/** How many requests an endpoint held when the first of them broke is remembered for this long, ms. */
const breakKeptMs = 2_000

/** Endpoints that are looked at in one turn of the loop. */
export const lookedPerTurn = 2_000

/** How often those that leave, and those that the catalog doubts, are looked at, ms. */
const lookEveryMs = 1_000

interface Ramp {
  readonly sinceMs: Milliseconds
  readonly lengthMs: Milliseconds
}

/** What is known of an endpoint that has just broken. */
interface Break {
  readonly nowMs: Milliseconds
  /** What it held. */
  readonly inFlight: number
  /** What of it may be the cause. */
  readonly suspicion: Suspicion
}

export class Judgement implements VerdictSink {
  readonly #host: JudgementHost
  readonly #ramps = new Map<EndpointState, Ramp>()
  readonly #breaks = new Map<EndpointState, Break>()
  /** Those that silence ejected. */
  readonly #silent = new Set<EndpointState>()
  readonly orders: Orders
  readonly #rounds: (steps: () => Steps<void>) => void
  #lookedMs = 0

  /** `inTurn`: where a look at many endpoints has its turns. */
  constructor(host: JudgementHost, inTurn: InTurn = inOwnTurn) {
    this.#host = host
    this.#rounds = createRounds(inTurn)
    this.orders = new Orders(host, (state) => this.#ramp(state))
  }

  /** After a table was put in place: who may be picked in what is new of it. */
  applied(before: BoundTable, bound: BoundTable): void {
    this.#host.health.retain(bound)
    for (const [name, service] of bound.services) if (before.services.get(name) !== service) setOpen(service)
  }

  /** An attempt failed. Notes what the endpoint held when the first of a series broke. */
  attemptFailed(state: EndpointState, failure: Failure): void {
    if (failure.kind === 'local') return
    this.#break(state, state.inFlight + 1)
    this.#host.health.attemptFailed(state, failure)
  }

  suspicion(state: EndpointState): Suspicion {
    return this.#break(state, state.inFlight).suspicion
  }

  /** The break under way, or a new one of an endpoint that holds `inFlight`. */
  #break(state: EndpointState, inFlight: number): Break {
    const nowMs = this.#host.clock.now()
    const known = this.#known(state, nowMs)
    if (known) return known
    const fresh: Break = { nowMs, inFlight, suspicion: new Suspicion(state) }
    this.#breaks.set(state, fresh)
    return fresh
  }

  #known(state: EndpointState, nowMs: Milliseconds): Break | undefined {
    const known = this.#breaks.get(state)
    return known && nowMs - known.nowMs <= breakKeptMs ? known : undefined
  }

  verdict(state: EndpointState, verdict: Verdict, applied: boolean, told = false): void {
    const service = this.#host.bound.services.get(state.service)
    switch (verdict.kind) {
      case 'state':
        return
      case 'relieve':
        if (applied && service && isHeardElsewhere(service, state, this.#host.clock.now())) takeWaiting(state, false)
        return
      case 'join':
        state.admission = admission.joining
        break
      case 'admit':
        return this.#admit(state, service, verdict.ramp, applied)
      case 'eject':
        return this.#eject(state, service, verdict, applied, told)
    }
    if (service) setOpen(service)
  }

  /** Every 50 ms: ramps rise, and what leaves is looked at now and then. */
  sweep(nowMs: Milliseconds): void {
    this.orders.sweep(nowMs)
    for (const [state, { sinceMs, lengthMs }] of this.#ramps) {
      const share = Math.min(1, rampFrom + ((1 - rampFrom) * (nowMs - sinceMs)) / lengthMs)
      state.ramp = share
      if (share === 1 || state.leaving) this.#ramps.delete(state)
    }
    for (const state of this.#host.registry.leaving()) moveSilent(state, nowMs)
    if (nowMs - this.#lookedMs < lookEveryMs) return
    this.#lookedMs = nowMs
    for (const [state, { nowMs: sinceMs }] of this.#breaks)
      if (nowMs - sinceMs > breakKeptMs) this.#breaks.delete(state)
    for (const state of this.#silent) if (state.leaving) this.#silent.delete(state)
    this.#rounds(() =>
      inGroups(this.#host.registry.endpoints(), lookedPerTurn, (state) => {
        expireLeaving(state, nowMs)
        if (state.doubted && !state.leaving) this.#host.health.doubt(state)
      }),
    )
  }

  #admit(state: EndpointState, service: BoundService | undefined, ramp: boolean, applied: boolean): void {
    const before = state.admission
    // What it holds from now on breaks, if it does, for another reason.
    this.#breaks.delete(state)
    if (applied) {
      this.#silent.delete(state)
      state.admission = admission.open
      if (ramp) this.#ramp(state)
      if (service) setOpen(service)
    }
    // Joining is no return; what was only observed was never away.
    if (applied && before <= admission.joining) return
    const { clock } = this.#host
    this.#host.onHealthEvent({
      kind: 'restored',
      endpoint: refOf(state.endpoint),
      nowMs: clock.now(),
      wallMs: clock.wall(),
    })
  }

  #ramp(state: EndpointState): void {
    const lengthMs = this.#host.bound.services.get(state.service)?.table.policy.health.slowStartMs ?? 0
    if (lengthMs <= 0) return
    state.ramp = rampFrom
    this.#ramps.set(state, { sinceMs: this.#host.clock.now(), lengthMs })
  }

  #eject(
    state: EndpointState,
    service: BoundService | undefined,
    verdict: Extract<Verdict, { kind: 'eject' }>,
    applied: boolean,
    told: boolean,
  ): void {
    const { clock } = this.#host
    const { cause, proven, certain } = verdict
    const nowMs = clock.now()
    const inFlight = Math.max(this.#known(state, nowMs)?.inFlight ?? 0, state.inFlight)
    this.#host.onHealthEvent({
      kind: 'ejected',
      endpoint: refOf(state.endpoint),
      cause,
      proven,
      applied,
      inFlight,
      ...(told ? { told } : {}),
      nowMs,
      wallMs: clock.wall(),
    })
    if (!applied) return
    const wasSilent = this.#silent.has(state)
    if (cause === 'silence') this.#silent.add(state)
    state.admission = certain ? admission.dead : admission.ejected
    this.#ramps.delete(state)
    state.ramp = 1
    if (service) setOpen(service)
    // A process that stops in order refuses connections too, and answers what it has: only silence takes requests away,
    // and only proof after silence ends the rest.
    if (cause !== 'silence' && !(proven && wasSilent)) return
    takeWaiting(state, proven && wasSilent)
  }
}

/** Whether another endpoint may be picked that leaves nobody waiting unheard. */
function isHeardElsewhere({ groups }: BoundService, state: EndpointState, nowMs: Milliseconds): boolean {
  return groups.some(({ endpoints }) =>
    endpoints.some(
      ({ state: other }) => other !== state && other.open && (other.attempts.length === 0 || !isQuiet(other, nowMs)),
    ),
  )
}

/** Least silence after which requests are taken from an endpoint that leaves, ms; else four times its usual. */
const leavingSilenceMs = 600

/** Nobody judges an endpoint that is in no table any more; what waits there in vain is moved all the same. */
function moveSilent(state: EndpointState, nowMs: number): void {
  const silenceMs = Math.max(leavingSilenceMs, 4 * state.usualMs)
  for (const attempt of state.attempts.slice())
    if (nowMs - Math.max(attempt.waitingSinceMs, state.lastLifeMs) > silenceMs) attempt.ejected(false)
}

function expireLeaving(state: EndpointState, nowMs: Milliseconds): void {
  if (!state.leaving && !state.draining && !state.order) return
  if (state.leavingSinceMs === Infinity) state.leavingSinceMs = nowMs
  const leftMs = nowMs - state.leavingSinceMs
  for (const attempt of state.attempts.slice())
    if (leftMs > (attempt.isTunnel ? state.drain.tunnelDeadlineMs : state.drain.deadlineMs)) attempt.expire()
}
