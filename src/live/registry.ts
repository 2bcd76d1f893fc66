/**
 * The run-time state that outlives tables: one {@link EndpointState} per registration (key and life), counts per version
 * and per service. It opens no sockets itself, reads no clock and judges nothing.
 *
 * An endpoint that is in no table any more is `leaving` for good: its pool is told to close (what runs may finish) and it
 * is forgotten when its last request lets go. The same registration coming back meanwhile starts a fresh state.
 */
import type { Pool } from '../wire/pool.ts'
import type { Endpoint, RouteTable, ServiceTable } from '../table/table.ts'
import type { EndpointState, ServiceStats, VersionStats } from './runtime.ts'
import { newEndpointState } from './endpoint-state.ts'
import { durationBucketsMs } from './runtime.ts'
import { createShelf, type Shelf } from './shelf.ts'

export interface Registry {
  /** The state of this registration, made (with its pool) when it is first asked for. */
  endpoint(endpoint: Endpoint): EndpointState
  version(service: string, version: string): VersionStats
  service(service: string): ServiceStats
  /**
   * Says that `table` is the one that stands: what only earlier ones had is told to leave. Looks only at services whose
   * table object changed since the last call.
   */
  retain(table: RouteTable): void
  /** The state of a registration that lives; undefined: it does not, or has never been asked for. */
  find(key: string): EndpointState | undefined
  /** Those that are in no table any more and still have requests. */
  leaving(): Iterable<EndpointState>
  /** Call when a request has let go of `state` (its `inFlight` already lowered); forgets one that was leaving. */
  released(state: EndpointState): void
  /** Calls `destroy` on every pool and forgets all; for the end of the process. */
  destroy(): void
  /** All that live, then those that are leaving. For scrapes; valid until the next change. */
  endpoints(): Iterable<EndpointState>
  versions(): Iterable<VersionStats>
  services(): Iterable<ServiceStats>
}

/** How many versions and services that are in no table any more keep their counts; the longest gone goes first. */
export const absentVersionsKept = 256
export const absentServicesKept = 64

const noServices: ReadonlyMap<string, ServiceTable> = new Map()

const versionKey = (service: string, version: string): string => `${service}\u001f${version}`

/** Counts of a service of which nothing has happened yet. */
export function newServiceStats(service: string): ServiceStats {
  return {
    service,
    inFlight: 0,
    retrying: 0,
    rescuing: 0,
    rescued: 0,
    retries: new Map(),
    retryBudgetExhausted: 0,
    pipeliningPauses: new Map(),
  }
}

/** Counts of a version of which nothing has happened yet. */
export function newVersionStats(service: string, version: string): VersionStats {
  return {
    service,
    version,
    codes: new Map(),
    durationCounts: Array.from({ length: durationBucketsMs.length + 1 }, () => 0),
    durationSumMs: 0,
    attempts: new Map(),
    mirrored: undefined,
  }
}

class StateRegistry implements Registry {
  readonly #createPool: (endpoint: Endpoint) => Pool
  readonly #living = new Map<string, EndpointState>()
  readonly #leaving = new Set<EndpointState>()
  readonly #versions: Shelf<VersionStats> = createShelf(absentVersionsKept)
  readonly #services: Shelf<ServiceStats> = createShelf(absentServicesKept)
  #retained = noServices

  constructor(createPool: (endpoint: Endpoint) => Pool) {
    this.#createPool = createPool
  }

  endpoint(endpoint: Endpoint): EndpointState {
    const known = this.#living.get(endpoint.key)
    if (known?.life === endpoint.life) return known
    if (known) this.#leave(known)
    const state = newEndpointState(endpoint, this.#createPool(endpoint))
    this.#living.set(endpoint.key, state)
    return state
  }

  find(key: string): EndpointState | undefined {
    return this.#living.get(key)
  }

  leaving(): Iterable<EndpointState> {
    return this.#leaving
  }

  version(service: string, version: string): VersionStats {
    return this.#versions.present(versionKey(service, version), () => newVersionStats(service, version))
  }

  service(service: string): ServiceStats {
    return this.#services.present(service, () => newServiceStats(service))
  }

  retain(table: RouteTable): void {
    const before = this.#retained
    this.#retained = table.services
    for (const [name, service] of before) {
      const after = table.services.get(name)
      if (after !== service) this.#dropAbsent(service, after)
    }
  }

  released(state: EndpointState): void {
    if (state.leaving && state.inFlight <= 0) this.#leaving.delete(state)
  }

  destroy(): void {
    for (const state of this.endpoints()) {
      state.leaving = true
      state.pool.destroy()
    }
    this.#living.clear()
    this.#leaving.clear()
  }

  *endpoints(): Generator<EndpointState> {
    yield* this.#living.values()
    yield* this.#leaving
  }

  versions(): Iterable<VersionStats> {
    return this.#versions.all()
  }

  services(): Iterable<ServiceStats> {
    return this.#services.all()
  }

  #leave(state: EndpointState): void {
    state.leaving = true
    state.open = false
    this.#living.delete(state.key)
    if (state.inFlight > 0) this.#leaving.add(state)
    state.pool.close()
  }

  #dropAbsent(before: ServiceTable, after: ServiceTable | undefined): void {
    const kept = new Map<string, number>()
    const keptVersions = new Set<string>()
    for (const group of after?.groups ?? []) {
      keptVersions.add(group.version)
      for (const endpoint of group.endpoints) kept.set(endpoint.key, endpoint.life)
    }
    for (const group of before.groups) {
      if (!keptVersions.has(group.version)) this.#versions.absent(versionKey(before.name, group.version))
      for (const { key } of group.endpoints) {
        const state = this.#living.get(key)
        if (state && kept.get(key) !== state.life) this.#leave(state)
      }
    }
    if (!after) this.#services.absent(before.name)
  }
}

/** Makes an empty registry; `createPool` is called once for every new registration. */
export function createRegistry(createPool: (endpoint: Endpoint) => Pool): Registry {
  return new StateRegistry(createPool)
}
