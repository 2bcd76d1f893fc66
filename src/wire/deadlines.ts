/**
 * One sweep for the deadlines of all connections, instead of a timer for each request: setting a deadline is a store into
 * a field. Owns the only timer of the engine, which runs while anything is watched. Resolution: `sweepMs`.
 */
import type { Clock, Timer } from '../core/clock.ts'

/** Something with a deadline. `slot` belongs to the sweep. */
export interface Watched {
  slot: number
  /** Called at each sweep; compares its own deadlines with `now`. May remove itself or others. */
  onSweep(now: number): void
}

/** How late a deadline may be noticed, ms. */
export const sweepMs = 50

export class Deadlines {
  readonly #clock: Clock
  readonly #watched: Watched[] = []
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.recentMs = clock.now()
  }

  /** What `now` or a sweep last read: good enough for a timeout of seconds in a callback that read the clock already. */
  recentMs: number

  /** Monotonic time in ms. */
  now(): number {
    return (this.recentMs = this.#clock.now())
  }

  /** For what cannot wait for a sweep: calls `fn` once after `delayMs`. */
  after(delayMs: number, fn: () => void): Timer {
    return this.#clock.setTimer(delayMs, fn)
  }

  get size(): number {
    return this.#watched.length
  }

  add(entry: Watched): void {
    entry.slot = this.#watched.length
    this.#watched.push(entry)
    this.#timer ??= this.#clock.setTimer(sweepMs, this.#sweep)
  }

  /** Idempotent. */
  remove(entry: Watched): void {
    const slot = entry.slot
    if (slot < 0) return
    entry.slot = -1
    const last = this.#watched.pop()
    if (last !== undefined && last !== entry) {
      last.slot = slot
      this.#watched[slot] = last
    }
    if (this.#watched.length === 0) {
      this.#timer?.clear()
      this.#timer = undefined
    }
  }

  readonly #sweep = (): void => {
    this.#timer = undefined
    const now = this.now()
    for (let index = this.#watched.length - 1; index >= 0; index--) this.#watched[index]?.onSweep(now)
    if (this.#watched.length > 0) this.#timer ??= this.#clock.setTimer(sweepMs, this.#sweep)
  }
}
