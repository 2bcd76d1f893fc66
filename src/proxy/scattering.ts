/**
 * Where the requests have gone that an endpoint held when it broke. One of them may be why it broke, and shall not take the
 * others with it a second time. It is read off the endpoint what could have been the cause: what it was busy with at its last
 * sign of life, and the first that came after that; what came later had only to wait. It chooses nobody.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { EndpointState } from '../live/runtime.ts'

export class Scattering {
  readonly #lifeMs: Milliseconds
  /** When the last of those that could be the cause was sent. */
  #suspectUntilMs = Infinity
  readonly #suspects: EndpointState[] = []
  readonly #others: EndpointState[] = []

  /** Made when the first of them breaks, with the rest still under way at `state`. */
  constructor({ lastLifeMs, attempts }: EndpointState) {
    this.#lifeMs = lastLifeMs
    for (const { waitingSinceMs } of attempts) this.#reckon(waitingSinceMs)
  }

  /**
   * Of a request that was sent at `sentMs`: the places to keep away from at any rate, those of the other kind; and the places of
   * its own kind, where it had better not go.
   */
  places(sentMs: Milliseconds): { readonly avoid: readonly EndpointState[]; readonly own: readonly EndpointState[] } {
    this.#reckon(sentMs)
    return this.#isSuspect(sentMs)
      ? { avoid: this.#others, own: this.#suspects }
      : { avoid: this.#suspects, own: this.#others }
  }

  /** It went to `state`. */
  went(sentMs: Milliseconds, state: EndpointState): void {
    const places = this.#isSuspect(sentMs) ? this.#suspects : this.#others
    if (!places.includes(state)) places.push(state)
  }

  #isSuspect(sentMs: Milliseconds): boolean {
    return sentMs <= this.#suspectUntilMs
  }

  #reckon(sentMs: Milliseconds): void {
    if (sentMs > this.#lifeMs && sentMs < this.#suspectUntilMs) this.#suspectUntilMs = sentMs
  }
}
