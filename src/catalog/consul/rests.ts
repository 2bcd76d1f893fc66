/**
 * The waits after failures, which end early once Consul is known to be back: the first of many streams that succeeds
 * again wakes the others, so that a long outage is not followed by a long recovery.
 */
import { type Clock, type Milliseconds, sleep } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'

/** Those woken begin again spread over this much for each of them. */
const spreadEachMs = 4
const spreadMaxMs = 1_000
/** A stream that flaps does not drive the others. */
const wakeGapMs: Milliseconds = 1_000

export class Rests {
  readonly #clock: Clock
  readonly #random: Random
  readonly #resting = new Set<AbortController>()
  #wokenMs = -Infinity

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** Resolves after `delayMs`, soon after {@link wakeAll}, or when `signal` aborts. */
  async rest(delayMs: Milliseconds, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const abort = (): void => woken.abort()
    signal.addEventListener('abort', abort, { once: true })
    this.#resting.add(woken)
    const endsMs = this.#clock.now() + delayMs
    const spreadMs = Math.min(spreadMaxMs, this.#resting.size * spreadEachMs)
    await sleep(this.#clock, delayMs, woken.signal)
    this.#resting.delete(woken)
    signal.removeEventListener('abort', abort)
    const leftMs = endsMs - this.#clock.now()
    if (leftMs > 0 && !signal.aborted) await sleep(this.#clock, Math.min(leftMs, this.#random() * spreadMs), signal)
  }

  wakeAll(): void {
    const nowMs = this.#clock.now()
    if (nowMs - this.#wokenMs < wakeGapMs) return
    this.#wokenMs = nowMs
    for (const woken of this.#resting) woken.abort()
  }
}
