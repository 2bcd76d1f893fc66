/**
 * The kill ledger: what each death of an endpoint cost, to the request. It joins what health and the data plane tell with
 * what the catalog's tables say. Entries are a bounded ring; it counts every lost request once, in an entry or as a stray.
 * It steers nothing, sets no timer (what is over is let go of at the next event or look), and reads no clock but the given.
 */
import type { Clock } from '../core/clock.ts'
import type { HealthEvent } from '../health/event.ts'
import { deathCauses } from '../health/verdict.ts'
import type { RouteTable } from '../table/table.ts'
import { CatalogKnowledge, lifeKey, type Place } from './catalog-knowledge.ts'
import { KillCounts, type KillTotals, type ServiceKillCounts } from './kill-counts.ts'
import { Orphans, orphanMs } from './kill-orphans.ts'
import { KillRecord, ownCopy, type EjectedEvent, type Kill, type OutcomeEvent } from './kill-record.ts'

export interface KillLedgerOptions {
  readonly clock: Pick<Clock, 'now' | 'wall'>
  /** Entries that are kept; 256 by default. */
  readonly entriesMax?: number
}

/** A lost request for which no death was told. */
export interface StrayRequest {
  readonly wallMs: number
  readonly service: string
  readonly version: string
  readonly handle: string
  readonly requestId: string
  readonly method: string
  readonly reason: string
  readonly unsent: boolean
}

export interface KillReport {
  /** Newest first. */
  readonly kills: readonly Kill[]
  readonly totals: KillTotals
  /** The latest of those that `totals.strayLost` counts, newest first. */
  readonly strays: readonly StrayRequest[]
}

export interface KillLedger {
  /** Takes an event. Times in it are of the same monotonic clock that the ledger was given. */
  event(event: HealthEvent): void
  /** Call after each table that was put in place. */
  tableChanged(table: RouteTable): void
  /** What is known now, of one service or of all. */
  read(service?: string): KillReport
  /** For metrics; valid until the next event. */
  counts(): Iterable<ServiceKillCounts>
  /** How many values it holds in all; bounded, whatever comes. */
  held(): number
}

/** How long after its detection a death may still cost something, ms. */
const lateMs = 60_000
const lostOrphansMax = 2_000
const otherOrphansMax = 4_000
const straysMax = 100

/** Makes an empty ledger. */
export function createKillLedger(options: KillLedgerOptions): KillLedger {
  return new Ledger(options)
}

class Ledger implements KillLedger {
  readonly #clock: KillLedgerOptions['clock']
  readonly #entriesMax: number
  /** What is listed, oldest first. */
  readonly #ring: KillRecord[] = []
  /** The latest death of each life that may still change, also one that is listed no more. */
  readonly #latest = new Map<string, KillRecord>()
  readonly #lostOrphans = new Orphans(lostOrphansMax, (event) => this.#stray(event))
  // Retries are ordinary, and many; they must not push out what was lost.
  readonly #otherOrphans = new Orphans(otherOrphansMax, ({ outcome, endpoint }) => {
    if (outcome === 'rescued') this.#counts.stray(endpoint.service, 'strayRescued')
  })
  readonly #strays: StrayRequest[] = []
  readonly #catalog = new CatalogKnowledge()
  readonly #counts = new KillCounts((service) => this.#catalog.knows(service))
  #lastId = 0

  constructor({ clock, entriesMax = 256 }: KillLedgerOptions) {
    this.#clock = clock
    this.#entriesMax = entriesMax
  }

  event(event: HealthEvent): void {
    this.#expire()
    switch (event.kind) {
      case 'ejected':
        return this.#ejected(event)
      case 'restored':
        // What an operator takes out and puts back has not died, nor come back to life.
        if (!event.operator) this.#restored(lifeKey(event.endpoint), event.nowMs)
        return
      case 'draining':
        return
      case 'outcome':
        return this.#outcome(event)
    }
  }

  tableChanged(table: RouteTable): void {
    this.#expire()
    const nowMs = this.#clock.now()
    const changed = this.#catalog.changed(table, nowMs)
    this.#counts.changed(changed)
    for (const [key, record] of this.#latest) {
      if (changed.has(record.service)) this.#placed(key, record, nowMs)
      if (record.recovery && nowMs - record.atMs > lateMs) this.#latest.delete(key)
    }
  }

  read(service?: string): KillReport {
    this.#expire()
    const asked = (one: { readonly service: string }): boolean => service === undefined || one.service === service
    return {
      kills: this.#ring
        .filter(asked)
        .map((record) => record.view())
        .reverse(),
      totals: this.#counts.totals(service),
      strays: this.#strays.filter(asked).reverse(),
    }
  }

  counts(): Iterable<ServiceKillCounts> {
    this.#expire()
    return this.#counts.services()
  }

  held(): number {
    let held = this.#ring.length + this.#latest.size + this.#lostOrphans.size + this.#otherOrphans.size
    held += this.#strays.length + this.#catalog.remembered
    for (const record of new Set([...this.#ring, ...this.#latest.values()])) held += record.held
    for (const { ejections, observedEjections, deaths } of this.#counts.services()) {
      held += 1 + ejections.size + observedEjections.size + deaths.size
    }
    return held
  }

  // === Events ===

  #ejected(event: EjectedEvent): void {
    const key = lifeKey(event.endpoint)
    const isDeath = deathCauses.has(event.cause)
    const known = this.#latest.get(key)
    // What another process of this proxy held there; the ejection itself is counted where it was found.
    if (event.told && !isDeath) return
    if (event.told && known && isSameDeath(known, event.nowMs)) return known.join(event)
    if (isDeath && known && isSameDeath(known, event.nowMs)) return this.#confirm(known, event)
    this.#counts.ejected(event)
    if (!isDeath) return
    const record = new KillRecord(`k-${++this.#lastId}`, event)
    this.#list(key, record)
    this.#counts.died(record)
    this.#recall(record, event)
    for (const orphans of [this.#lostOrphans, this.#otherOrphans]) {
      for (const orphan of orphans.adopt(key, event.nowMs)) this.#belongs(record, orphan)
    }
  }

  #confirm(record: KillRecord, event: EjectedEvent): void {
    const { applied } = record
    record.confirm(event)
    if (applied || !record.applied) return
    this.#counts.ejected(event)
    this.#counts.applied(record)
  }

  #list(key: string, record: KillRecord): void {
    this.#ring.push(record)
    if (this.#ring.length > this.#entriesMax) this.#ring.shift()?.forgetRequests()
    this.#latest.delete(key)
    this.#latest.set(key, record)
    // When a whole network is away, more die than are listed, and each may yet be told of again.
    if (this.#latest.size <= this.#entriesMax * 4) return
    for (const oldest of this.#latest.keys()) {
      this.#latest.delete(oldest)
      return
    }
  }

  /** What the catalog knew before the death was told. */
  #recall(record: KillRecord, { endpoint, nowMs }: EjectedEvent): void {
    const place = this.#catalog.place(endpoint)
    if (place === 'unknown' || place === 'serving') return
    record.consulKnewAfterMs = 0 - this.#catalog.knownSinceMs(endpoint, nowMs)
    if (place !== 'out') record.recovery = { kind: place, afterMs: 0 }
  }

  #restored(key: string, nowMs: number): void {
    const record = this.#latest.get(key)
    if (!record) return
    record.recovery ??= { kind: 'restored', afterMs: Math.max(0, nowMs - record.atMs) }
    this.#latest.delete(key)
  }

  #outcome(event: OutcomeEvent): void {
    if (event.outcome === 'rescued') this.#counts.rescued(event.endpoint.service)
    const kept: OutcomeEvent = {
      ...event,
      requestId: ownCopy(event.requestId, 128),
      method: ownCopy(event.method, 32),
      reason: ownCopy(event.reason, 64),
    }
    const key = lifeKey(event.endpoint)
    const record = this.#latest.get(key)
    const sinceMs = record ? event.nowMs - record.atMs : 0
    if (record && sinceMs >= -orphanMs && sinceMs <= lateMs) this.#belongs(record, kept)
    else if (event.outcome === 'lost') this.#lostOrphans.add(key, kept)
    else this.#otherOrphans.add(key, kept)
  }

  #belongs(record: KillRecord, event: OutcomeEvent): void {
    record.add(event)
    this.#counts.belongs(event)
  }

  #stray({ endpoint, requestId, method, reason, unsent, nowMs }: OutcomeEvent): void {
    const { service, version, handle } = endpoint
    this.#counts.stray(service, 'strayLost')
    const wallMs = this.#clock.wall() - (this.#clock.now() - nowMs)
    this.#strays.push({ wallMs, service, version, handle, requestId, method, reason, unsent })
    if (this.#strays.length > straysMax) this.#strays.shift()
  }

  // === Tables and time ===

  #placed(key: string, record: KillRecord, nowMs: number): void {
    const place: Place = this.#catalog.place(record)
    const isAway = place === 'gone' || place === 'replaced'
    // The catalog lost it and has it again: what becomes of it now is another story.
    if (record.recovery && !isAway) return void this.#latest.delete(key)
    if (place === 'unknown' || place === 'serving') return
    const afterMs = Math.max(0, nowMs - record.atMs)
    record.consulKnewAfterMs ??= afterMs
    if (isAway) record.recovery ??= { kind: place, afterMs }
  }

  #expire(): void {
    const nowMs = this.#clock.now()
    this.#lostOrphans.expire(nowMs)
    this.#otherOrphans.expire(nowMs)
  }
}

/** One that the catalog has dropped meanwhile may still be proven; one that was restored is not in question any more. */
function isSameDeath(record: KillRecord, nowMs: number): boolean {
  return record.recovery === undefined || nowMs - record.atMs <= lateMs
}
