/**
 * What endpoints of all services must not share: an address and port between two services, and a handle. Kept as an index
 * that follows the services one by one, so that a change costs what changed; its verdict depends on what it holds alone,
 * not on the order in which that came.
 */
import type { Problem } from '../core/problem.ts'
import { endpointHandle } from './read-service.ts'
import type { Endpoint } from './table.ts'

/** How an endpoint differs from what its own registration says. */
export interface Adjustment {
  readonly handle: string
  /** True when its address belongs to another service by now: it gets nothing. */
  readonly displaced: boolean
}

export interface Verdict {
  /** By service, then by endpoint key; only those that differ. */
  readonly adjustments: ReadonlyMap<string, ReadonlyMap<string, Adjustment>>
  readonly problems: readonly Problem[]
}

const agreed: Verdict = Object.freeze({ adjustments: new Map(), problems: Object.freeze([]) })

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

  /** Costs what is in dispute; nothing when nothing is. */
  judge(): Verdict {
    if (this.#addresses.several.size === 0 && this.#handles.several.size === 0) return agreed
    const adjustments = new Map<string, Map<string, Adjustment>>()
    const problems: Problem[] = []
    const adjust = (endpoint: Endpoint, change: Partial<Adjustment>): void => {
      let own = adjustments.get(endpoint.service)
      if (!own) adjustments.set(endpoint.service, (own = new Map()))
      own.set(endpoint.key, { handle: endpoint.handle, displaced: false, ...own.get(endpoint.key), ...change })
    }
    for (const holders of this.#handles.several.values())
      for (const [endpoint, handle] of this.#renamed(holders)) adjust(endpoint, { handle })
    for (const holders of this.#addresses.several.values())
      for (const [endpoint, winner] of displaced(holders)) {
        adjust(endpoint, { displaced: true })
        problems.push(displacement(endpoint, winner))
      }
    problems.sort((a, b) => (a.where < b.where ? -1 : a.where > b.where ? 1 : 0))
    return { adjustments, problems }
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

/** Pairs of an endpoint that gets nothing and the one that has its address now; none when all are of one service. */
function displaced(holders: ReadonlySet<Endpoint>): [Endpoint, Endpoint][] {
  const [winner, ...others] = [...holders].sort(newestFirst)
  if (!winner) return []
  return others.filter(({ service }) => service !== winner.service).map((endpoint) => [endpoint, winner])
}

function displacement(endpoint: Endpoint, winner: Endpoint): Problem {
  const at = endpoint.address.includes(':') ? `[${endpoint.address}]` : endpoint.address
  return Object.freeze({
    code: 'address-taken',
    where: `endpoint ${endpoint.handle} of service ${endpoint.service}`,
    message:
      `${at}:${endpoint.port} is registered for ${winner.service} too, and more lately (create index ${winner.life}, ` +
      `here ${endpoint.life}), so this one gets no traffic. Deregister it if its container is gone`,
  })
}
