/**
 * Reads to be made, each service at most once at a time: the urgent first, the others at a bounded pace, never more than
 * a few at once. It knows nothing of what is read.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts'

export interface ReadQueueOptions {
  readonly clock: Clock
  /** Reads at the same time. */
  readonly concurrency: number
  /** The least time between two reads that are not urgent. */
  readonly paceMs: Milliseconds
  /** Makes one read and never rejects; returns after how long to read again, or undefined when all is well. */
  readonly read: (name: string) => Promise<Milliseconds | undefined>
  /** Called when nothing is left to do. */
  readonly onIdle: () => void
}

export class ReadQueue {
  readonly #options: ReadQueueOptions
  readonly #urgent = new Set<string>()
  readonly #calm = new Set<string>()
  readonly #running = new Set<string>()
  readonly #retries = new Map<string, Timer>()
  #calmAtMs = 0
  #wake: Timer | undefined
  #stopped = false

  constructor(options: ReadQueueOptions) {
    this.#options = options
  }

  /** Asks for a read; one that is under way does not count, since it may have begun before what led to this. */
  push(name: string, urgency: 'urgent' | 'calm'): void {
    if (this.#stopped) return
    if (urgency === 'urgent') {
      this.#calm.delete(name)
      this.#urgent.add(name)
    } else if (!this.#urgent.has(name)) this.#calm.add(name)
    this.#pump()
  }

  drop(name: string): void {
    this.#urgent.delete(name)
    this.#calm.delete(name)
    this.#retries.get(name)?.clear()
    this.#retries.delete(name)
  }

  stop(): void {
    this.#stopped = true
    this.#wake?.clear()
    for (const timer of this.#retries.values()) timer.clear()
    for (const set of [this.#urgent, this.#calm, this.#retries]) set.clear()
  }

  #pump(): void {
    while (!this.#stopped && this.#running.size < this.#options.concurrency) {
      const name = this.#firstIdle(this.#urgent) ?? this.#nextCalm()
      if (name === undefined) return
      void this.#run(name)
    }
  }

  #nextCalm(): string | undefined {
    const name = this.#firstIdle(this.#calm)
    if (name === undefined) return undefined
    const { clock, paceMs } = this.#options
    const waitMs = this.#calmAtMs - clock.now()
    if (waitMs > 0) {
      this.#wake?.clear()
      this.#wake = clock.setTimer(waitMs, () => this.#pump())
      this.#calm.add(name)
      return undefined
    }
    this.#calmAtMs = clock.now() + paceMs
    return name
  }

  /** Takes the first that is not being read right now. */
  #firstIdle(set: Set<string>): string | undefined {
    for (const name of set)
      if (!this.#running.has(name)) {
        set.delete(name)
        return name
      }
    return undefined
  }

  async #run(name: string): Promise<void> {
    this.#running.add(name)
    this.#retries.get(name)?.clear()
    this.#retries.delete(name)
    const retryMs = await this.#options.read(name)
    this.#running.delete(name)
    if (this.#stopped) return
    if (retryMs !== undefined) {
      const again = (): void => {
        this.#retries.delete(name)
        this.push(name, 'urgent')
      }
      this.#retries.set(name, this.#options.clock.setTimer(retryMs, again))
    }
    this.#pump()
    if (this.#running.size === 0 && this.#urgent.size === 0 && this.#calm.size === 0) this.#options.onIdle()
  }
}
