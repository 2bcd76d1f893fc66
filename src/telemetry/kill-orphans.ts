/**
 * Outcomes that wait for the death they belong to: a reset arrives first, and the probe proves the death a moment later.
 * Bounded in number and time; whoever is not fetched in time is handed to `drop`. It sets no timer: its owner calls.
 */
import type { OutcomeEvent } from './kill-record.ts'

/** How long an outcome waits for its death, ms. */
export const orphanMs = 2_000

interface Orphan {
  readonly key: string
  readonly event: OutcomeEvent
}

export class Orphans {
  /** In the order of arrival. */
  #waiting: Orphan[] = []
  readonly #max: number
  readonly #drop: (event: OutcomeEvent) => void

  /** At most `max` wait; `drop` gets what came to nothing, each once. */
  constructor(max: number, drop: (event: OutcomeEvent) => void) {
    this.#max = max
    this.#drop = drop
  }

  get size(): number {
    return this.#waiting.length
  }

  add(key: string, event: OutcomeEvent): void {
    this.#waiting.push({ key, event })
    // A tenth at a time, since taking from the front moves all the rest.
    if (this.#waiting.length > this.#max) this.#dropFirst(Math.ceil(this.#max / 10))
  }

  /** Takes those of one endpoint that are at most {@link orphanMs} from `atMs`. */
  adopt(key: string, atMs: number): readonly OutcomeEvent[] {
    const adopted: OutcomeEvent[] = []
    this.#waiting = this.#waiting.filter((orphan) => {
      if (orphan.key !== key || Math.abs(orphan.event.nowMs - atMs) > orphanMs) return true
      adopted.push(orphan.event)
      return false
    })
    return adopted
  }

  /** Lets go of those whose time is over. One that was told out of order may stay for as long as those before it. */
  expire(nowMs: number): void {
    let count = 0
    for (const { event } of this.#waiting) {
      if (nowMs - event.nowMs <= orphanMs) break
      count++
    }
    if (count > 0) this.#dropFirst(count)
  }

  #dropFirst(count: number): void {
    for (const { event } of this.#waiting.splice(0, count)) this.#drop(event)
  }
}
