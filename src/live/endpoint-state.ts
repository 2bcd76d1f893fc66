/** A fresh run-time state: nothing is held against it, nothing has happened. It decides nothing. */
import type { Pool } from '../wire/pool.ts'
import { admission, type EndpointState } from './runtime.ts'

/** The state of one registration that has just been seen. */
export function newEndpointState(key: string, life: number, handle: string, pool: Pool): EndpointState {
  return {
    key,
    life,
    handle,
    pool,
    inFlight: 0,
    attempts: [],
    leaving: false,
    admission: admission.open,
    open: true,
    ramp: 1,
    lastLifeMs: -Infinity,
    usualMs: 0,
    streak: 0,
    answers: 0,
    credit: 0,
  }
}
