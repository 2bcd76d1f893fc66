/**
 * Who says to be at which address: enough to know that an address has a younger claimant in another service. Pure; kept
 * a service at a time, so that a change costs no more than what changed.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { Endpoint } from '../table/table.ts'

type Place = Pick<Endpoint, 'address' | 'port'>

interface Claim {
  /** CreateIndex. */
  readonly life: number
  /** When it was first seen here. */
  readonly seenMs: Milliseconds
}

const placeOf = ({ address, port }: Place): string => `${address} ${String(port)}`

export class Claims {
  /** By place, then by service: the youngest registration there. */
  readonly #places = new Map<string, Map<string, Claim>>()
  readonly #byService = new Map<string, readonly string[]>()

  /** Replaces all that `service` claims at `nowMs`; an empty list forgets it. */
  set(service: string, endpoints: readonly Endpoint[], nowMs: Milliseconds): void {
    const before = new Map<string, Claim>()
    for (const place of this.#byService.get(service) ?? []) {
      const claimants = this.#places.get(place)
      const claim = claimants?.get(service)
      if (claim) before.set(place, claim)
      claimants?.delete(service)
      if (claimants?.size === 0) this.#places.delete(place)
    }
    if (endpoints.length === 0) {
      this.#byService.delete(service)
      return
    }
    this.#byService.set(service, endpoints.map(placeOf))
    for (const endpoint of endpoints) {
      const place = placeOf(endpoint)
      let claimants = this.#places.get(place)
      if (!claimants) this.#places.set(place, (claimants = new Map()))
      const life = Math.max(claimants.get(service)?.life ?? 0, endpoint.life)
      const known = before.get(place)
      claimants.set(service, known?.life === life ? known : { life, seenMs: nowMs })
    }
  }

  /**
   * True when another service has a younger registration at the endpoint's address that was not there yet when the
   * endpoint last gave a sign of life, at `lifeMs`. Where both lived side by side, one process serves both.
   */
  isTaken(endpoint: Endpoint, lifeMs: Milliseconds): boolean {
    for (const [service, { life, seenMs }] of this.#places.get(placeOf(endpoint)) ?? [])
      if (service !== endpoint.service && life > endpoint.life && seenMs > lifeMs) return true
    return false
  }

  /** Places that are claimed. */
  get size(): number {
    return this.#places.size
  }
}
