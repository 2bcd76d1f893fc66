/**
 * What endpoints of all services are not meant to share: an address and port between two services, and a handle. Kept as an index
 * that follows the services one by one, so that a change costs what changed; its verdict depends on what it holds alone,
 * not on the order in which that came.
 */
import { counted } from '../core/counted.ts'
import { showHostPort } from '../core/host.ts'
import type { Problem } from '../core/problem.ts'
import { endpointHandle } from './read-service.ts'
import type { Endpoint } from './table.ts'

export interface Verdict {
  /** Handles by service, then by endpoint key; only those that differ from the endpoint's own. */
  readonly handles: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly problems: readonly Problem[]
}

const agreed: Verdict = Object.freeze({ handles: new Map(), problems: Object.freeze([]) })

const byKey = (a: Endpoint, b: Endpoint): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
const newestFirst = (a: Endpoint, b: Endpoint): number => b.life - a.life || byKey(a, b)

/** Endpoints by a text that at most one should have; remembers which texts have several. */
class Holders {
  readonly #one = new Map<string, Endpoint>()
  readonly several = new Map<string, Set<Endpoint>>()

  add(text: string, endpoint: Endpoint): void {
    const holders = this.several.get(text)
    if (holders) {
      holders.add(endpoint)
      return
    }
    const other = this.#one.get(text)
    if (other && other !== endpoint) this.several.set(text, new Set([other, endpoint]))
    this.#one.set(text, endpoint)
  }

  remove(text: string, endpoint: Endpoint): void {
    const holders = this.several.get(text)
    if (!holders) {
      this.#one.delete(text)
      return
    }
    holders.delete(endpoint)
    const [left] = holders
    if (!left || holders.size > 1) return
    this.several.delete(text)
    this.#one.set(text, left)
  }

  has(text: string): boolean {
    return this.#one.has(text)
  }
}

const addressOf = (endpoint: Endpoint): string => `${endpoint.address.toLowerCase()} ${endpoint.port}`

export class Claims {
  readonly #addresses = new Holders()
  readonly #handles = new Holders()

  add(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      this.#addresses.add(addressOf(endpoint), endpoint)
      this.#handles.add(endpoint.handle, endpoint)
    }
  }

  remove(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      this.#addresses.remove(addressOf(endpoint), endpoint)
      this.#handles.remove(endpoint.handle, endpoint)
    }
  }

  /**
   * Costs what is in dispute; nothing when nothing is. A shared address is told, and takes nothing from anybody: one process
   * may well serve under two names, and a registration must not be able to take another service's instance away.
   */
  judge(): Verdict {
    if (this.#addresses.several.size === 0 && this.#handles.several.size === 0) return agreed
    const handles = new Map<string, Map<string, string>>()
    const problems: Problem[] = []
    for (const holders of this.#handles.several.values())
      for (const [endpoint, handle] of this.#renamed(holders)) {
        let own = handles.get(endpoint.service)
        if (!own) handles.set(endpoint.service, (own = new Map()))
        own.set(endpoint.key, handle)
      }
    for (const holders of this.#addresses.several.values()) {
      const problem = contest(holders)
      if (problem) problems.push(problem)
    }
    problems.sort((a, b) => (a.where < b.where ? -1 : a.where > b.where ? 1 : 0))
    return { handles, problems }
  }

  /** The first by key keeps the short handle, the others get all 16 digits, and a number should even those be taken. */
  #renamed(holders: ReadonlySet<Endpoint>): [Endpoint, string][] {
    const taken = new Set<string>()
    const [, ...rest] = [...holders].sort(byKey)
    return rest.map((endpoint) => {
      const long = endpointHandle(endpoint.service, endpoint.key, 16)
      let handle = long
      for (let n = 2; taken.has(handle) || this.#handles.has(handle); n++) handle = `${long}-${n}`
      taken.add(handle)
      return [endpoint, handle]
    })
  }
}

/** Services that one problem names; more are counted. */
const namedMax = 8

/** Undefined where all that are at the address are of one service. */
function contest(holders: ReadonlySet<Endpoint>): Problem | undefined {
  const [newest, ...others] = [...holders].sort(newestFirst)
  if (!newest) return undefined
  // The newest of each service, in that order.
  const services = new Map([[newest.service, newest]])
  for (const one of others) if (!services.has(one.service)) services.set(one.service, one)
  if (services.size === 1) return undefined
  const named = [...services.values()].slice(0, namedMax)
  const texts = named.map(({ service, handle, life }) => `${service} (${handle}, create index ${life})`)
  const more = services.size - named.length
  const list = more > 0 ? `${texts.join(', ')} and ${more} more` : texts.join(', ')
  return Object.freeze({
    code: 'address-shared',
    where: `address ${showHostPort(newest.address, newest.port)}`,
    message:
      `${counted(services.size, 'service')} have an instance here, the latest first: ${list}. All get traffic. ` +
      'Deregister the older ones if their containers are gone and the port was used again',
  })
}
