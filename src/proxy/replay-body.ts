/**
 * What has been read of a request's body, kept as long as it may be needed: until the first attempt has sent it, and then,
 * up to a limit, for another. Bounded by that limit plus what one read brings. It sends nothing.
 */
export class ReplayBody {
  #kept: Buffer[] = []
  #bytes = 0
  #whole = true

  /** All that was read is still here, so that the request can be sent again. */
  get isWhole(): boolean {
    return this.#whole
  }

  /** What to send; all of the body so far while `isWhole`. */
  get kept(): readonly Buffer[] {
    return this.#kept
  }

  add(bytes: Buffer): void {
    if (!this.#whole) return
    this.#kept.push(bytes)
    this.#bytes += bytes.length
  }

  /** What is kept has been sent: beyond `bytesMax` it is let go, and the request can no longer be repeated. */
  sent(bytesMax: number): void {
    if (this.#bytes <= bytesMax) return
    this.#whole = false
    this.#kept = []
  }

  /** For the next request; most have no body, and cost nothing here. */
  reset(): void {
    if (this.#bytes === 0) return
    this.#kept = []
    this.#bytes = 0
    this.#whole = true
  }
}
