/** What is lent or bound to one process, made fit to cross to another. Pure. */
import type { HealthEvent } from '../health/event.ts'
import type { EndpointState } from '../live/runtime.ts'
import type { Trouble } from '../proxy/options.ts'
import type { SentOrder } from './messages.ts'

/** The orders that stand at these endpoints, with what is left of their time. */
export function ordersOf(endpoints: Iterable<EndpointState>, nowMs: number): readonly SentOrder[] {
  const orders: SentOrder[] = []
  for (const { key, life, order, leaving } of endpoints) {
    if (!order || leaving) continue
    const { kind, untilMs, reason, by, document } = order
    const forMs = untilMs === Infinity ? undefined : Math.max(0, untilMs - nowMs)
    const where = document === undefined ? {} : { document }
    orders.push({ key, life, command: { kind, forMs, reason, by, ...where } })
  }
  return orders
}

/** Another process's event at its own time, by the clock of whoever reads it: `sentMs` there is `nowMs` here. */
export function atOwnTime(event: HealthEvent, sentMs: number, nowMs: number): HealthEvent {
  return { ...event, nowMs: nowMs - Math.max(0, sentMs - event.nowMs) }
}

/** A copy to keep of what is lent. */
export function keptTrouble({ record, route, attempts }: Trouble): Trouble {
  return { record: { ...record }, route, attempts: attempts.map((attempt) => ({ ...attempt })) }
}
