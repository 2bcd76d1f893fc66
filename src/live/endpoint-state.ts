/** A fresh run-time state: nothing is held against it, nothing has happened; and the end of its leaving. It decides nothing. */
import { defaultServicePolicy } from '../policy/policy.ts'
import type { Endpoint } from '../table/table.ts'
import type { Pool } from '../wire/pool.ts'
import { admission, type EndpointState } from './runtime.ts'

/** The state of one registration that has just been seen. */
export function newEndpointState(endpoint: Endpoint, pool: Pool): EndpointState {
  const { key, life, handle, service } = endpoint
  return {
    key,
    life,
    handle,
    service,
    endpoint,
    pool,
    inFlight: 0,
    elsewhere: undefined,
    attempts: [],
    leaving: false,
    draining: false,
    doubted: false,
    order: undefined,
    leavingSinceMs: Infinity,
    drain: defaultServicePolicy.drain,
    admission: admission.open,
    open: true,
    ramp: 1,
    lastLifeMs: -Infinity,
    usualMs: 0,
    answers: 0,
    streak: 0,
    credit: 0,
  }
}

/** Call where maintenance or an order may have ended: its time ends at once, too, so that the next one, however soon, has all of its own. */
export function endLeaving(state: EndpointState): void {
  if (!state.leaving && !state.draining && !state.order) state.leavingSinceMs = Infinity
}
