/**
 * What carries a request's next attempt: an idle connection that is young enough for it, a new one, or a seat among others that
 * are sent at the same moment. It chooses no endpoint.
 */
import type { EndpointState } from '../live/runtime.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import type { Carrier } from '../wire/client-exchange.ts'
import type { RequestHead } from '../wire/request-head.ts'
import { isSafe } from './retry.ts'
import type { Tries } from './tries.ts'

/** A connection that has been idle for longer may just be closing: too old for what cannot be repeated. */
const unsafeIdleMsMax = 1_000

/** `fresh`: a new one, and no other. Undefined: the endpoint has as many as it may. */
export function carrierFor(
  { pool }: EndpointState,
  { pipelining }: ServicePolicy,
  { meantMethod, hasBody }: RequestHead,
  { attempts }: Pick<Tries, 'attempts'>,
  fresh: boolean,
  upgrade: boolean,
): Carrier | undefined {
  const safe = isSafe(meantMethod)
  // What was displaced, or met a connection's end, is not made to wait behind others again.
  const seat = pipelining && safe && attempts === 0 && !hasBody && !upgrade ? pool.join(pipelining) : undefined
  if (seat) return seat
  // What cannot be repeated goes where no connection can have been closed meanwhile.
  return pool.acquire(fresh ? 0 : safe ? Infinity : unsafeIdleMsMax)
}
