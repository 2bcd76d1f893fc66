/**
 * The catalog in memory: records, the look-ups that requests need, and the index of every resource a query can block on.
 * A pure reducer: `apply` is the only way to change it, reads no clock and no disk, and gives the same state each time.
 * Index rules: Consul's, as its blocking queries show them (one per service, one for the set of services, one for checks,
 * the greatest of a KV prefix with its deletions).
 */
import type { Change, CheckRecord, Commit, KvRecord, NodeRecord, ServiceRecord, SessionRecord } from './records.ts'

/** A node with what runs on it. */
export interface NodeEntry {
  record: NodeRecord
  readonly services: Map<string, ServiceRecord>
  readonly checks: Map<string, CheckRecord>
  /** By service id; the node's own under the empty string. */
  readonly checksOf: Map<string, Map<string, CheckRecord>>
}

/** What one commit touched, for the queries that are blocked. */
export interface Touched {
  readonly tables: Set<'catalog' | 'kv' | 'session'>
  readonly keys: Set<string>
}

/** Deleted KV keys remembered at most; beyond, every missing key's index moves up once (a wake-up too many, never one too few). */
const TOMBSTONES_MAX = 10_000

export class CatalogState {
  readonly nodes: Map<string, NodeEntry> = new Map()
  readonly byName: Map<string, Map<string, ServiceRecord>> = new Map()
  readonly kv: Map<string, KvRecord> = new Map()
  readonly sessions: Map<string, SessionRecord> = new Map()
  /** Of the last commit. */
  index: number
  servicesIndex: number
  nodesIndex: number
  checksIndex: number
  sessionsIndex: number
  /** When a service last lost its last instance. */
  #extinctionIndex: number
  #kvFloor: number
  readonly #serviceIndex = new Map<string, number>()
  readonly #definitionIndex = new Map<string, number>()
  readonly #tombstones = new Map<string, number>()

  /** Every resource starts at `index`, at least 1. */
  constructor(index: number) {
    this.index = this.servicesIndex = this.nodesIndex = this.checksIndex = this.sessionsIndex = index
    this.#kvFloor = this.#extinctionIndex = index
  }

  /** Raises every index to `index`: after a load, so that a client's older one is answered at once. */
  raise(index: number): void {
    this.index = this.servicesIndex = this.nodesIndex = this.checksIndex = this.sessionsIndex = index
    this.#kvFloor = this.#extinctionIndex = index
    for (const name of this.#serviceIndex.keys()) this.#touchName(name, index)
    this.#tombstones.clear()
  }

  /** Of one service with its checks. One without an instance has the index at which a service last came to its end. */
  serviceIndex(name: string): number {
    return this.#serviceIndex.get(name) ?? this.#extinctionIndex
  }

  /** Of one service, its checks aside. */
  definitionIndex(name: string): number {
    return this.#definitionIndex.get(name) ?? this.#extinctionIndex
  }

  keyIndex(key: string): number {
    return this.kv.get(key)?.modifyIndex ?? this.#tombstones.get(key) ?? this.#kvFloor
  }

  prefixIndex(prefix: string): number {
    let index = this.#kvFloor
    for (const [key, entry] of this.kv)
      if (entry.modifyIndex > index && key.startsWith(prefix)) index = entry.modifyIndex
    for (const [key, gone] of this.#tombstones) if (gone > index && key.startsWith(prefix)) index = gone
    return index
  }

  service(node: string, id: string): ServiceRecord | undefined {
    return this.nodes.get(node)?.services.get(id)
  }

  check(node: string, id: string): CheckRecord | undefined {
    return this.nodes.get(node)?.checks.get(id)
  }

  apply(commit: Commit): Touched {
    const touched: Touched = { tables: new Set(), keys: new Set() }
    this.index = commit.index
    for (const change of commit.changes) this.#applyOne(change, commit.index, touched)
    return touched
  }

  #applyOne(change: Change, index: number, touched: Touched): void {
    switch (change.kind) {
      case 'node':
      case 'node-gone':
        touched.tables.add('catalog')
        this.nodesIndex = index
        if (change.kind === 'node') this.#setNode(change.node, index)
        else this.#dropNode(change.name, index)
        return
      case 'service':
      case 'service-gone':
        touched.tables.add('catalog')
        this.servicesIndex = index
        if (change.kind === 'service') this.#setService(change.service, index)
        else this.#dropService(change.node, change.id, index)
        return
      case 'check':
      case 'check-gone':
        touched.tables.add('catalog')
        this.checksIndex = index
        if (change.kind === 'check') this.#setCheck(change.check, index)
        else this.#dropCheck(change.node, change.id, index)
        return
      case 'kv':
        touched.tables.add('kv')
        touched.keys.add(change.entry.key)
        this.kv.set(change.entry.key, change.entry)
        this.#tombstones.delete(change.entry.key)
        return
      case 'kv-gone':
        touched.tables.add('kv')
        touched.keys.add(change.key)
        if (this.kv.delete(change.key)) this.#bury(change.key, index)
        return
      case 'session':
      case 'session-gone':
        touched.tables.add('session')
        this.sessionsIndex = index
        if (change.kind === 'session') this.sessions.set(change.session.id, change.session)
        else this.sessions.delete(change.id)
    }
  }

  #bury(key: string, index: number): void {
    if (this.#tombstones.size >= TOMBSTONES_MAX) {
      this.#tombstones.clear()
      this.#kvFloor = index
    }
    this.#tombstones.set(key, index)
  }

  #setNode(record: NodeRecord, index: number): void {
    const entry = this.nodes.get(record.name)
    if (entry) entry.record = record
    else this.nodes.set(record.name, { record, services: new Map(), checks: new Map(), checksOf: new Map() })
    this.#touchNode(record.name, index)
  }

  #dropNode(name: string, index: number): void {
    const entry = this.nodes.get(name)
    if (!entry) return
    for (const id of entry.services.keys()) this.#dropService(name, id, index)
    this.servicesIndex = this.checksIndex = index
    this.nodes.delete(name)
  }

  #setService(service: ServiceRecord, index: number): void {
    const entry = this.nodes.get(service.node)
    if (!entry) return
    const before = entry.services.get(service.id)
    if (before && before.name !== service.name) this.#unname(before, index)
    entry.services.set(service.id, service)
    const named = this.byName.get(service.name) ?? new Map<string, ServiceRecord>()
    this.byName.set(service.name, named.set(instanceKey(service), service))
    this.#touchName(service.name, index)
    // Without a check of its own it shows in health/state through a synthesised one, so it counts there too.
    if (!entry.checksOf.has(service.id)) this.checksIndex = index
  }

  #dropService(node: string, id: string, index: number): void {
    const entry = this.nodes.get(node)
    const service = entry?.services.get(id)
    if (!entry || !service) return
    for (const checkId of entry.checksOf.get(id)?.keys() ?? []) this.#dropCheck(node, checkId, index)
    this.checksIndex = index
    entry.services.delete(id)
    this.#unname(service, index)
  }

  /** Takes an instance out of its name; the name's own index ends with its last instance. */
  #unname(service: ServiceRecord, index: number): void {
    const named = this.byName.get(service.name)
    named?.delete(instanceKey(service))
    if (named && named.size > 0) return this.#touchName(service.name, index)
    this.byName.delete(service.name)
    this.#serviceIndex.delete(service.name)
    this.#definitionIndex.delete(service.name)
    this.#extinctionIndex = index
  }

  #setCheck(check: CheckRecord, index: number): void {
    const entry = this.nodes.get(check.node)
    if (!entry) return
    const before = entry.checks.get(check.id)
    if (before && before.serviceId !== check.serviceId) this.#dropCheck(check.node, check.id, index)
    entry.checks.set(check.id, check)
    const own = entry.checksOf.get(check.serviceId) ?? new Map<string, CheckRecord>()
    entry.checksOf.set(check.serviceId, own.set(check.id, check))
    this.#touchChecked(entry, check.serviceId, index)
  }

  #dropCheck(node: string, id: string, index: number): void {
    const entry = this.nodes.get(node)
    const check = entry?.checks.get(id)
    if (!entry || !check) return
    entry.checks.delete(id)
    const own = entry.checksOf.get(check.serviceId)
    own?.delete(id)
    if (own?.size === 0) entry.checksOf.delete(check.serviceId)
    this.#touchChecked(entry, check.serviceId, index)
  }

  #touchChecked(entry: NodeEntry, serviceId: string, index: number): void {
    if (serviceId === '') {
      for (const service of entry.services.values()) this.#serviceIndex.set(service.name, index)
      return
    }
    const service = entry.services.get(serviceId)
    if (service) this.#serviceIndex.set(service.name, index)
  }

  /** What is true of a node is true of every service on it. */
  #touchNode(name: string, index: number): void {
    for (const service of this.nodes.get(name)?.services.values() ?? []) this.#touchName(service.name, index)
  }

  #touchName(name: string, index: number): void {
    this.#serviceIndex.set(name, index)
    this.#definitionIndex.set(name, index)
  }
}

/** Sorts by node, then by id. */
export function instanceKey(service: Pick<ServiceRecord, 'node' | 'id'>): string {
  return `${service.node}\u0000${service.id}`
}

/** The whole state as changes that build it again from nothing. */
export function* dump(state: CatalogState): Generator<Change> {
  for (const entry of state.nodes.values()) {
    yield { kind: 'node', node: entry.record }
    for (const service of entry.services.values()) yield { kind: 'service', service }
    for (const check of entry.checks.values()) yield { kind: 'check', check }
  }
  for (const entry of state.kv.values()) yield { kind: 'kv', entry }
  for (const session of state.sessions.values()) yield { kind: 'session', session }
}
