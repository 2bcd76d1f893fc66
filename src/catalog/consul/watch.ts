/**
 * One blocking-query loop: asks, hands over, asks again from the index it was given. It owns the index rules, the pace and
 * the backoff, and nothing of what the answers mean; comparing contents is its consumer's.
 * Source: Consul's notes on blocking queries (index going back, index below 1, rate limit) and what its servers were seen to do.
 */
import { type Clock, type Milliseconds, sleep } from '../../core/clock.ts'
import { FairleadError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { backoffMs } from './backoff.ts'
import type { Answer } from './consul-client.ts'
import { RateBucket, type RateLimit } from './rate.ts'

/** What a consumer says to an answer it does not believe: the loop asks again from nothing, after a while. */
export interface Doubt {
  readonly reason: string
  /** Ask again after this long, with chance taken off. */
  readonly retryMs: Milliseconds
}

export interface WatchOptions<T> {
  /** One request: undefined index means answer at once. */
  readonly read: (index: bigint | undefined, signal: AbortSignal) => Promise<Answer<T>>
  /** Called with every good answer, also when nothing changed; its own failures count as the loop's. */
  readonly onAnswer: (answer: Answer<T>) => Promise<Doubt | undefined> | Doubt | undefined
  /** Called after each failure or doubt, before the wait of `retryMs`. */
  readonly onFailure: (failure: {
    readonly error: unknown
    readonly doubt: boolean
    readonly retryMs: Milliseconds
  }) => void
  readonly clock: Clock
  readonly random: Random
  readonly rate: RateLimit
  /** The first request waits up to this long, by chance, so that many watches do not begin together. Default 0. */
  readonly spreadMs?: Milliseconds
  /** The wait after a failure; default just waits. A doubt is always waited out. */
  readonly rest?: (delayMs: Milliseconds, signal: AbortSignal) => Promise<void>
  readonly signal: AbortSignal
}

/** Runs until the signal aborts; never rejects. */
export async function watch<T>(options: WatchOptions<T>): Promise<void> {
  const { clock, random, signal } = options
  const bucket = new RateBucket(options.rate, clock.now())
  let index: bigint | undefined
  let failures = 0
  if (options.spreadMs !== undefined && options.spreadMs > 0) await sleep(clock, random() * options.spreadMs, signal)
  while (!signal.aborted) {
    const paceMs = bucket.take(clock.now())
    if (paceMs > 0) await sleep(clock, paceMs, signal)
    if (signal.aborted) return
    let retryMs: Milliseconds
    try {
      const answer = await options.read(index, signal)
      if (signal.aborted) return
      const next = usableIndex(answer.index)
      if (index !== undefined && next < index) {
        // Another life of the servers, or one that lags behind what we know: only a whole read tells, so this one is not used.
        index = undefined
        continue
      }
      const doubt = await options.onAnswer(answer)
      if (signal.aborted) return
      if (doubt === undefined) {
        index = next
        failures = 0
        continue
      }
      retryMs = doubt.retryMs / 2 + (random() * doubt.retryMs) / 2
      failures = 0
      options.onFailure({ error: new Error(doubt.reason), doubt: true, retryMs })
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      retryMs = backoffMs(failures, random)
      options.onFailure({ error, doubt: false, retryMs })
    }
    // Whatever was missed meanwhile, only a whole read tells.
    index = undefined
    if (failures > 0 && options.rest) await options.rest(retryMs, signal)
    else await sleep(clock, retryMs, signal)
  }
}

function usableIndex(index: bigint | undefined): bigint {
  if (index === undefined) throw new FairleadError('FL_CATALOG_HTTP', 'answered without X-Consul-Index')
  if (index < 1n) throw new FairleadError('FL_CATALOG_HTTP', `answered with X-Consul-Index ${String(index)}`)
  return index
}
