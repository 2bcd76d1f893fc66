/**
 * Who says to be at which address: enough to know that an address has a younger claimant in another service. Pure; kept
 * a service at a time, so that a change costs no more than what changed.
 */
import type { Endpoint } from '../table/table.ts'

type Place = Pick<Endpoint, 'address' | 'port'>

const placeOf = ({ address, port }: Place): string => `${address} ${String(port)}`

export class Claims {
  /** By place, then by service: the youngest registration there (CreateIndex). */
  readonly #places = new Map<string, Map<string, number>>()
  readonly #byService = new Map<string, readonly string[]>()

  /** Replaces all that `service` claims; an empty list forgets it. */
  set(service: string, endpoints: readonly Endpoint[]): void {
    for (const place of this.#byService.get(service) ?? []) {
      const claimants = this.#places.get(place)
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
      claimants.set(service, Math.max(claimants.get(service) ?? 0, endpoint.life))
    }
  }

  /** True when another service has a younger registration at the endpoint's address. */
  isTaken(endpoint: Endpoint): boolean {
    for (const [service, life] of this.#places.get(placeOf(endpoint)) ?? [])
      if (service !== endpoint.service && life > endpoint.life) return true
    return false
  }

  /** Places that are claimed. */
  get size(): number {
    return this.#places.size
  }
}
