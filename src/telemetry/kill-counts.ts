/**
 * What the kill ledger counts for good: per service, and for all services together. Unlike the entries these only rise.
 * Services that are gone keep theirs for a while, up to a bound, so that label sets stay bounded.
 */
import type { EjectionCause } from '../health/verdict.ts'
import { absentServicesKept } from '../live/registry.ts'
import { createShelf } from '../live/shelf.ts'
import type { EjectedEvent, KillRecord, OutcomeEvent } from './kill-record.ts'

export interface ServiceKillCounts {
  readonly service: string
  /** Requests that were taken from an ejected endpoint. */
  readonly rescued: number
  /** Lost with an endpoint that died; observed deaths too. */
  readonly lost: number
  /** Carried out; a later verdict on the same death is none of its own. */
  readonly ejections: ReadonlyMap<EjectionCause, number>
  /** Only told, in mode `observe`. */
  readonly observedEjections: ReadonlyMap<EjectionCause, number>
  /** Deaths whose endpoint was ejected, by what first gave them away. */
  readonly deaths: ReadonlyMap<EjectionCause, number>
}

/** Sums over all deaths since the start, whether they are still listed or not. */
export interface KillTotals {
  readonly deaths: number
  /** Deaths that were only observed; not among `deaths`. */
  readonly observedDeaths: number
  readonly rescued: number
  readonly retried: number
  readonly retriedUnsent: number
  readonly lost: number
  /** Lost at an endpoint of which no death was told: it answered again at once, or was never gone. Not among `lost`. */
  readonly strayLost: number
  /** Taken from an instance that was silent and lived on, or that too few others could stand in for. Not among `rescued`. */
  readonly strayRescued: number
}

class Counts implements ServiceKillCounts {
  readonly service: string
  rescued = 0
  readonly ejections = new Map<EjectionCause, number>()
  readonly observedEjections = new Map<EjectionCause, number>()
  readonly deaths = new Map<EjectionCause, number>()
  readonly totals = {
    deaths: 0,
    observedDeaths: 0,
    rescued: 0,
    retried: 0,
    retriedUnsent: 0,
    lost: 0,
    strayLost: 0,
    strayRescued: 0,
  }

  constructor(service: string) {
    this.service = service
  }

  get lost(): number {
    return this.totals.lost
  }
}

export class KillCounts {
  readonly #all = new Counts('')
  readonly #services = createShelf<Counts>(absentServicesKept)
  readonly #isPresent: (service: string) => boolean

  /** `isPresent`: whether a table has the service now. */
  constructor(isPresent: (service: string) => boolean) {
    this.#isPresent = isPresent
  }

  /** Services came or went. */
  changed(names: Iterable<string>): void {
    for (const name of names) {
      if (this.#isPresent(name)) this.#of(name)
      else this.#services.absent(name)
    }
  }

  ejected({ endpoint, cause, applied }: EjectedEvent): void {
    const counts = this.#of(endpoint.service)
    const by = applied ? counts.ejections : counts.observedEjections
    by.set(cause, (by.get(cause) ?? 0) + 1)
  }

  died(record: KillRecord): void {
    const { deaths, totals } = this.#of(record.service)
    for (const each of [totals, this.#all.totals]) {
      if (record.applied) each.deaths++
      else each.observedDeaths++
    }
    if (record.applied) deaths.set(record.signal, (deaths.get(record.signal) ?? 0) + 1)
  }

  /** What was only observed is now carried out. */
  applied(record: KillRecord): void {
    this.died(record)
    for (const each of [this.#of(record.service).totals, this.#all.totals]) each.observedDeaths--
  }

  rescued(service: string): void {
    this.#of(service).rescued++
  }

  /** An outcome found its death. */
  belongs({ endpoint, outcome, unsent }: OutcomeEvent): void {
    const field = outcome === 'retried' && unsent ? 'retriedUnsent' : outcome
    for (const each of [this.#of(endpoint.service).totals, this.#all.totals]) each[field]++
  }

  stray(service: string, field: 'strayLost' | 'strayRescued'): void {
    for (const each of [this.#of(service).totals, this.#all.totals]) each[field]++
  }

  /** Of one service, or of all. */
  totals(service?: string): KillTotals {
    if (service === undefined) return { ...this.#all.totals }
    for (const counts of this.#services.all()) if (counts.service === service) return { ...counts.totals }
    return new Counts('').totals
  }

  services(): Iterable<ServiceKillCounts> {
    return this.#services.all()
  }

  #of(service: string): Counts {
    const counts = this.#services.present(service, () => new Counts(service))
    // An event may come after its service has left, and must not make it stay for ever.
    if (!this.#isPresent(service)) this.#services.absent(service)
    return counts
  }
}
