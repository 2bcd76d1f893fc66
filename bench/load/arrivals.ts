/**
 * When requests are due at a fixed rate, whether or not anything answers: an arrival is taken when its time has come and
 * there is something to send it on, and keeps the time at which it was due. Pure; times are ms from the start.
 */
export class Arrivals {
  /** How many there are in all. */
  readonly total: number
  readonly #intervalMs: number
  #taken = 0

  /** `rate` per second for `seconds`, evenly spaced, the first at once. */
  constructor(rate: number, seconds: number) {
    this.#intervalMs = 1_000 / rate
    this.total = Math.max(1, Math.round(rate * seconds))
  }

  get taken(): number {
    return this.#taken
  }

  /** When the next one is due; Infinity when all have been taken. */
  get nextMs(): number {
    return this.#taken < this.total ? this.#taken * this.#intervalMs : Number.POSITIVE_INFINITY
  }

  /** Takes the next one, which must be due, and returns when it was. */
  take(): number {
    return this.#taken++ * this.#intervalMs
  }

  /** When those still to be taken were or are due. */
  *rest(): Iterable<number> {
    for (let index = this.#taken; index < this.total; index++) yield index * this.#intervalMs
  }
}
