/**
 * For how long a key whose lock was lost with its session may not be locked again. Kept in memory only, like Consul's.
 */
import type { Clock, Milliseconds } from '../../core/clock.ts'

export class LockDelays {
  readonly #clock: Clock
  readonly #until = new Map<string, Milliseconds>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  start(key: string, delayMs: Milliseconds): void {
    const now = this.#clock.now()
    for (const [other, until] of this.#until) if (until <= now) this.#until.delete(other)
    if (delayMs > 0) this.#until.set(key, now + delayMs)
  }

  holds(key: string): boolean {
    return (this.#until.get(key) ?? 0) > this.#clock.now()
  }
}
