/**
 * What has been read of a request's body, kept as long as it may be needed: until the first attempt has sent it, and then,
 * up to a limit for one request and one for all, for another. Bounded by those limits plus what one read brings. It sends
 * nothing.
 */

/** What all requests of a process keep for another attempt, in bytes. */
export class ReplayAccount {
  bytes = 0
}

export class ReplayBody {
  readonly #account: ReplayAccount
  #kept: Buffer[] = []
  #bytes = 0
  /** Of `#bytes`, what the account knows of: only what was sent is kept for a repetition alone. */
  #booked = 0
  #whole = true

  constructor(account: ReplayAccount) {
    this.#account = account
  }

  /** All that was read is still here, so that the request can be sent again. */
  get isWhole(): boolean {
    return this.#whole
  }

  /** What to send; all of the body so far while `isWhole`. */
  get kept(): readonly Buffer[] {
    return this.#kept
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes
  }

  add(bytes: Buffer): void {
    if (!this.#whole) return
    this.#kept.push(bytes)
    this.#bytes += bytes.length
  }

  /** What is kept has been sent: beyond `bytesMax`, or `totalMax` over all, it is let go and cannot be repeated. */
  sent(bytesMax: number, totalMax: number): void {
    if (!this.#whole || this.#bytes === this.#booked) return
    if (this.#bytes > bytesMax || this.#account.bytes + this.#bytes - this.#booked > totalMax) {
      this.#free()
      this.#whole = false
      return
    }
    this.#account.bytes += this.#bytes - this.#booked
    this.#booked = this.#bytes
  }

  /** For the next request; most have no body, and cost nothing here. */
  reset(): void {
    if (this.#bytes === 0 && this.#whole) return
    this.#free()
    this.#whole = true
  }

  #free(): void {
    this.#account.bytes -= this.#booked
    this.#booked = 0
    this.#bytes = 0
    this.#kept = []
  }
}
