/**
 * The pace of a loop: a token bucket, for a blocking query with a burst of two, whose refill slows down under lasting churn.
 * After quiet a change is asked for at once; while changes never end, answers come as a slow poll and not as a storm.
 * Source: Consul's notes for clients of blocking queries (rate limit the loop, burst 2, degrade to slow polling).
 */
import type { Milliseconds } from '../../core/clock.ts'

export interface RateLimit {
  /** A token comes back after this long at first. */
  readonly refillMs: Milliseconds
  /** The slowest it becomes. */
  readonly refillMaxMs: Milliseconds
  /** Tokens after quiet; default 2. */
  readonly burst?: number
}

const burstDefault = 2
/** Waits in a row at one pace before the pace slows. */
const patience = 8
const slowdown = 1.5

export class RateBucket {
  readonly #limit: RateLimit
  readonly #burst: number
  #tokens: number
  #refillMs: Milliseconds
  #at: Milliseconds
  #waits = 0

  constructor(limit: RateLimit, nowMs: Milliseconds) {
    this.#limit = limit
    this.#burst = limit.burst ?? burstDefault
    this.#tokens = this.#burst
    this.#refillMs = limit.refillMs
    this.#at = nowMs
  }

  /** Takes a token; returns how long the caller has to wait before it may use it (0: at once). */
  take(nowMs: Milliseconds): Milliseconds {
    const gained = Math.max(0, nowMs - this.#at) / this.#refillMs
    this.#at = nowMs
    this.#tokens = Math.min(this.#burst, this.#tokens + gained)
    if (this.#tokens === this.#burst) this.#calm()
    this.#tokens -= 1
    if (this.#tokens >= 0) return 0
    const waitMs = -this.#tokens * this.#refillMs
    this.#waits += 1
    if (this.#waits >= patience) {
      this.#waits = 0
      const beforeMs = this.#refillMs
      this.#refillMs = Math.min(this.#limit.refillMaxMs, beforeMs * slowdown)
      // What is owed was owed at the old pace.
      this.#tokens *= beforeMs / this.#refillMs
    }
    return waitMs
  }

  #calm(): void {
    this.#waits = 0
    this.#refillMs = this.#limit.refillMs
  }
}
