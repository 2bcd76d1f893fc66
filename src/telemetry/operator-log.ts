/** One log line for each word of an operator on an endpoint: who, what, why, for how long. It listens only. */
import type { Logger } from '../core/log.ts'
import type { HealthEvent } from '../health/event.ts'
import { formatDuration } from '../core/units.ts'

/** Logs `event` if it is an operator's; passes over all others. */
export function logOrder(event: HealthEvent, log: Logger): void {
  if (event.kind === 'outcome' || !event.operator) return
  const { by, reason } = event.operator
  const { service, handle } = event.endpoint
  const fields = { service, endpoint: handle, by, reason }
  if (event.kind === 'restored') {
    const message = event.operator.expired
      ? 'an order is over: the endpoint is restored'
      : 'endpoint restored by an operator'
    log.info(fields, message)
    return
  }
  const { forMs } = event.operator
  const time = forMs === undefined ? {} : { for: formatDuration(forMs) }
  const word = event.kind === 'draining' ? 'drained' : 'ejected'
  log.warn({ ...fields, ...time, inFlight: event.inFlight }, `endpoint ${word} by an operator`)
}
