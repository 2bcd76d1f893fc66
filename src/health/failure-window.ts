/**
 * Counts answers and failures of one endpoint over the last stretch of time, in as many numbers whatever the traffic, and
 * says when a share of failures is too large. Time is an argument; who is ejected is decided elsewhere.
 * Source: Envoy, "Outlier detection" (success rate, failure percentage, request volume).
 */
import type { Milliseconds } from '../core/clock.ts'

/** Into how many slices the window is cut: what is older than the window leaves it a slice at a time. */
export const windowSlices = 10

export interface Counts {
  readonly total: number
  readonly failures: number
}

export class FailureWindow {
  readonly #totals = new Float64Array(windowSlices)
  readonly #failures = new Float64Array(windowSlices)
  /** Number of the newest slice since the clock's zero. */
  #newest = 0
  #sliceMs: Milliseconds
  #total = 0
  #failed = 0

  constructor(windowMs: Milliseconds) {
    this.#sliceMs = Math.max(1, windowMs / windowSlices)
  }

  /** Another length; what was counted is forgotten when it differs. */
  resize(windowMs: Milliseconds): void {
    const sliceMs = Math.max(1, windowMs / windowSlices)
    if (sliceMs === this.#sliceMs) return
    this.#sliceMs = sliceMs
    this.clear()
  }

  clear(): void {
    this.#totals.fill(0)
    this.#failures.fill(0)
    this.#total = this.#failed = 0
  }

  add(nowMs: Milliseconds, total: number, failures: number): void {
    const slot = this.#turn(nowMs)
    this.#totals[slot]! += total
    this.#failures[slot]! += failures
    this.#total += total
    this.#failed += failures
  }

  counts(nowMs: Milliseconds): Counts {
    this.#turn(nowMs)
    return { total: this.#total, failures: this.#failed }
  }

  /** Lets go of the slices that are over; the slot of the newest. */
  #turn(nowMs: Milliseconds): number {
    const slice = Math.floor(nowMs / this.#sliceMs)
    const passed = Math.min(windowSlices, slice - this.#newest)
    for (let step = 1; step <= passed; step++) {
      const slot = (slice - passed + step) % windowSlices
      this.#total -= this.#totals[slot]!
      this.#failed -= this.#failures[slot]!
      this.#totals[slot] = this.#failures[slot] = 0
    }
    if (passed > 0) this.#newest = slice
    return this.#newest % windowSlices
  }
}

/** The share of failures; 0 where nothing was counted. */
export function rate(counts: Counts): number {
  return counts.total > 0 ? Math.min(1, counts.failures / counts.total) : 0
}

/** True when there are enough answers and too many of them failed; `failureRate` 0 never is. */
export function isTooHigh(counts: Counts, failureRate: number, requestVolume: number): boolean {
  return failureRate > 0 && counts.total >= Math.max(1, requestVolume) && rate(counts) >= failureRate
}

/**
 * True when a share of failures is clearly worse than that of the others of the service: by 20 points, or twice theirs.
 * An application that fails everywhere alike is no endpoint's fault.
 */
export function isClearlyWorse(own: number, others: number): boolean {
  return own > 0 && (own - others >= 0.2 || own >= 2 * others)
}
