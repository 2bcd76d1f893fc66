/**
 * Which of the requests that an endpoint held when it broke may be why it broke. It is read off the endpoint: what it was busy
 * with at its last sign of life, and what came so soon after that it may have been at work on it with the rest; what came later
 * had only to wait. It decides nothing.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { EndpointState } from '../live/runtime.ts'

/** How many times its usual answer takes one may be at work on a request, and on others beside it. */
const usualTimes = 2

export class Suspicion {
  readonly #lifeMs: Milliseconds
  readonly #besideMs: Milliseconds
  /** When the first was sent that came after the last sign of life. */
  #firstMs = Infinity

  /** Made when the first of them breaks, with the rest still under way at `state`. */
  constructor({ lastLifeMs, usualMs, attempts }: EndpointState) {
    this.#lifeMs = lastLifeMs
    this.#besideMs = usualTimes * usualMs
    for (const { waitingSinceMs } of attempts) this.#reckon(waitingSinceMs)
  }

  /** Whether it may be one that was sent at `sentMs`. */
  includes(sentMs: Milliseconds): boolean {
    this.#reckon(sentMs)
    return sentMs <= this.#firstMs + this.#besideMs
  }

  #reckon(sentMs: Milliseconds): void {
    if (sentMs > this.#lifeMs && sentMs < this.#firstMs) this.#firstMs = sentMs
  }
}
