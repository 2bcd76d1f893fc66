/**
 * What has been read of a request's body, kept as long as it may be needed: until the first attempt has sent it, and then,
 * up to a limit for one request and one for all, for another. Bounded by those limits plus what one read brings. It sends
 * nothing.
 */

import { HeldBytes } from '../wire/held-bytes.ts'

/** What all requests of a process keep for another attempt, in bytes. */
export class ReplayAccount {
  bytes = 0
}

export class ReplayBody {
  readonly #account: ReplayAccount
  readonly #kept = new HeldBytes()
  /** Of what is kept, what the account knows of: only what was sent is kept for a repetition alone. */
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
    return this.#kept.parts
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#kept.size
  }

  add(bytes: Buffer): void {
    if (this.#whole) this.#kept.add(bytes)
  }

  /** What is kept has been sent: beyond `bytesMax`, or `totalMax` over all, it is let go and cannot be repeated. */
  sent(bytesMax: number, totalMax: number): void {
    this.#book(this.#kept.size, bytesMax, totalMax)
  }

  /** As `add` and `sent`, for bytes that are sent at once: those that would be let go are not even kept. */
  addSent(bytes: Buffer, bytesMax: number, totalMax: number): void {
    this.#book(this.#kept.size + bytes.length, bytesMax, totalMax)
    this.add(bytes)
  }

  #book(size: number, bytesMax: number, totalMax: number): void {
    if (!this.#whole) return
    if (size > bytesMax || this.#account.bytes + size - this.#booked > totalMax) {
      this.#letGo()
      this.#whole = false
      return
    }
    this.#account.bytes += size - this.#booked
    this.#booked = size
  }

  /** For the next request; most have no body, and cost nothing here. */
  reset(): void {
    if (this.#kept.size === 0 && this.#whole) return
    this.#unbook()
    // Whoever it was sent to has taken all of it, or takes nothing any more.
    this.#kept.free()
    this.#whole = true
  }

  /** What was sent a moment ago may still be on its way from here. */
  #letGo(): void {
    this.#unbook()
    this.#kept.clear()
  }

  #unbook(): void {
    this.#account.bytes -= this.#booked
    this.#booked = 0
  }
}
