/**
 * Since when the catalog knows that an endpoint is not to be used, as its tables tell: critical, in maintenance, gone, or
 * replaced by a younger registration. It remembers the last minute, bounded; older knowledge is only known to be older.
 */
import type { EndpointRef } from '../health/event.ts'
import type { Endpoint, RouteTable, ServiceTable } from '../table/table.ts'

/** How long it remembers when it learned something, ms. */
export const knownForMs = 60_000
const rememberedMax = 1_024

/** `unknown`: no table was seen yet. */
export type Place = 'unknown' | 'serving' | 'out' | 'gone' | 'replaced'

/** Names a registration in maps: the handle is unique, and its life tells one registration from the next. */
export function lifeKey({ handle, life }: Pick<EndpointRef, 'handle' | 'life'>): string {
  return `${handle}\u001f${life}`
}

export class CatalogKnowledge {
  #table: RouteTable | undefined
  /** When an endpoint last ceased to serve, monotonic ms; oldest first. Says nothing of one that serves again. */
  readonly #since = new Map<string, number>()
  /** Endpoints of services of the current table by handle, made when asked for. */
  #byHandle = new Map<string, ReadonlyMap<string, Endpoint>>()

  get remembered(): number {
    return this.#since.size
  }

  knows(service: string): boolean {
    return this.#table?.services.has(service) ?? false
  }

  /** A table was put in place. Returns the names of the services that changed, came or went. */
  changed(table: RouteTable, nowMs: number): ReadonlySet<string> {
    const before = this.#table
    this.#table = table
    this.#byHandle = new Map()
    const changed = new Set<string>()
    for (const [name, service] of before?.services ?? []) {
      if (table.services.get(name) === service) continue
      changed.add(name)
      this.#compare(service, table.services.get(name), nowMs)
    }
    for (const name of table.services.keys()) if (!before?.services.has(name)) changed.add(name)
    this.#forgetOld(nowMs)
    return changed
  }

  place({ service, handle, life }: Pick<EndpointRef, 'service' | 'handle' | 'life'>): Place {
    if (!this.#table) return 'unknown'
    let endpoints = this.#byHandle.get(service)
    if (!endpoints) {
      endpoints = byHandle(this.#table.services.get(service))
      this.#byHandle.set(service, endpoints)
    }
    return placeIn(endpoints, handle, life)
  }

  /** How long the catalog has known that an endpoint which does not serve is not to be used, ms; {@link knownForMs} at most. */
  knownSinceMs(ref: Pick<EndpointRef, 'handle' | 'life'>, nowMs: number): number {
    const since = this.#since.get(lifeKey(ref))
    return since === undefined ? knownForMs : Math.min(knownForMs, Math.max(0, nowMs - since))
  }

  #compare(before: ServiceTable, after: ServiceTable | undefined, nowMs: number): void {
    const now = byHandle(after)
    for (const { endpoints } of before.groups) {
      for (const endpoint of endpoints) {
        if (isOut(endpoint) || placeIn(now, endpoint.handle, endpoint.life) === 'serving') continue
        const key = lifeKey(endpoint)
        this.#since.delete(key)
        this.#since.set(key, nowMs)
      }
    }
  }

  #forgetOld(nowMs: number): void {
    for (const [key, since] of this.#since) {
      if (this.#since.size <= rememberedMax && nowMs - since <= knownForMs) return
      this.#since.delete(key)
    }
  }
}

/** By its word alone: one that only a lost agent makes critical may still get traffic, and yet Consul has said so. */
function isOut({ status }: Endpoint): boolean {
  return status === 'critical' || status === 'maintenance'
}

function byHandle(service: ServiceTable | undefined): ReadonlyMap<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>()
  for (const group of service?.groups ?? []) for (const each of group.endpoints) endpoints.set(each.handle, each)
  return endpoints
}

function placeIn(endpoints: ReadonlyMap<string, Endpoint>, handle: string, life: number): Place {
  const endpoint = endpoints.get(handle)
  if (!endpoint) return 'gone'
  if (endpoint.life !== life) return 'replaced'
  return isOut(endpoint) ? 'out' : 'serving'
}
