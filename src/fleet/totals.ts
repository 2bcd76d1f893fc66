/**
 * The counts of all workers, added up. Only increments are added, so that what a worker counted stays when it dies and a sum
 * never falls; what is there now (requests in flight, connections) goes with its worker. Label sets are bounded as in the
 * registry. It reads no clock and opens nothing.
 */
import { absentServicesKept, absentVersionsKept, newServiceStats, newVersionStats } from '../live/registry.ts'
import type { MirrorStats, ServiceStats, VersionStats } from '../live/runtime.ts'
import { createShelf, type Shelf } from '../live/shelf.ts'
import { newMirrorStats } from '../proxy/mirror.ts'
import type { RouteTable } from '../table/table.ts'
import type { WorkerFigures } from '../telemetry/worker-metrics.ts'
import type { Connections, CountsReport, EndpointUse, ServiceCounts } from './counts.ts'

/** What one worker last said. */
interface Last {
  readonly epoch: string
  readonly versions: Map<string, VersionStats>
  readonly services: Map<string, ServiceCounts>
  report: CountsReport
  /** It has gone: what was there is no more, what was counted is remembered in case it is only the connection. */
  gone: boolean
}

const keyOf = (service: string, version: string): string => `${service}\u001f${version}`

/** From `before` to `now`; what is lower now began anew in between. */
function risen(before: number, now: number): number {
  return now >= before ? now - before : now
}

function addRisen<K>(
  sums: Map<K, number>,
  before: ReadonlyMap<K, number> | undefined,
  now: ReadonlyMap<K, number>,
): void {
  for (const [key, value] of now) {
    const more = risen(before?.get(key) ?? 0, value)
    if (more > 0) sums.set(key, (sums.get(key) ?? 0) + more)
  }
}

function countOf({ outcomes }: MirrorStats): number {
  let count = 0
  for (const value of outcomes.values()) count += value
  return count
}

function addMirrored(sums: MirrorStats, known: MirrorStats | undefined, now: MirrorStats): void {
  // A sum of differences may fall by itself: the counts tell whether it began anew.
  const before = known && countOf(known) <= countOf(now) ? known : undefined
  addRisen(sums.outcomes, before?.outcomes, now.outcomes)
  addRisen(sums.failures, before?.failures, now.failures)
  addRisen(sums.classes, before?.classes, now.classes)
  for (const [bucket, count] of now.differenceCounts.entries())
    sums.differenceCounts[bucket] =
      (sums.differenceCounts[bucket] ?? 0) + risen(before?.differenceCounts[bucket] ?? 0, count)
  sums.differenceSumMs += now.differenceSumMs - (before?.differenceSumMs ?? 0)
}

export class Totals {
  readonly #last = new Map<number, Last>()
  readonly #versions: Shelf<VersionStats> = createShelf(absentVersionsKept)
  readonly #services: Shelf<ServiceStats> = createShelf(absentServicesKept)
  readonly #unrouted = new Map<number, number>()
  #table: RouteTable | undefined
  #linesDropped = 0
  #messagesLost = 0

  /** Takes what the worker in `slot` says, in the life `epoch`. */
  add(slot: number, epoch: string, report: CountsReport): void {
    const known = this.#last.get(slot)
    const before = known?.epoch === epoch ? known : undefined
    const versions = before?.versions ?? new Map<string, VersionStats>()
    const services = before?.services ?? new Map<string, ServiceCounts>()
    for (const now of report.versions) {
      const key = keyOf(now.service, now.version)
      this.#addVersion(key, versions.get(key), now)
      versions.set(key, now)
    }
    for (const now of report.services) {
      this.#addService(services.get(now.service), now)
      services.set(now.service, now)
    }
    addRisen(this.#unrouted, before?.report.unrouted, report.unrouted)
    this.#linesDropped += risen(before?.report.linesDropped ?? 0, report.linesDropped)
    this.#messagesLost += risen(before?.report.messagesLost ?? 0, report.messagesLost)
    this.#last.set(slot, { epoch, versions, services, report, gone: false })
    this.#recount()
  }

  /** The worker in `slot` is away. */
  gone(slot: number): void {
    const last = this.#last.get(slot)
    if (last) last.gone = true
    this.#recount()
  }

  /** A table was put in place: labels that it has no more are kept for a while, and not for ever. */
  tableChanged(table: RouteTable): void {
    this.#table = table
    for (const stats of this.#versions.all()) this.#place(stats.service, stats.version, stats)
    for (const stats of this.#services.all())
      if (!table.services.has(stats.service)) this.#services.absent(stats.service)
    this.#forget()
  }

  versions(): Iterable<VersionStats> {
    return this.#versions.all()
  }

  services(): Iterable<ServiceStats> {
    return this.#services.all()
  }

  get unrouted(): ReadonlyMap<number, number> {
    return this.#unrouted
  }

  get linesDropped(): number {
    return this.#linesDropped
  }

  get messagesLost(): number {
    return this.#messagesLost
  }

  get downstream(): Connections {
    return this.#connections(({ downstream }) => downstream)
  }

  get upstream(): Connections {
    return this.#connections(({ upstream }) => upstream)
  }

  /** Use of endpoints, of each worker that is there. */
  *endpoints(): Generator<EndpointUse> {
    for (const { gone, report } of this.#last.values()) if (!gone) yield* report.endpoints
  }

  *workers(): Generator<WorkerFigures> {
    for (const [slot, { gone, report }] of this.#last) {
      const { downstream, cpuMs, residentBytes } = report
      if (!gone) yield { slot, connections: downstream.open, cpuMs, residentBytes }
    }
  }

  #connections(of: (report: CountsReport) => Connections): Connections {
    let open = 0
    let idle = 0
    for (const { gone, report } of this.#last.values()) {
      if (gone) continue
      open += of(report).open
      idle += of(report).idle
    }
    return { open, idle }
  }

  #addVersion(key: string, before: VersionStats | undefined, now: VersionStats): void {
    const sums = this.#versions.present(key, () => newVersionStats(now.service, now.version))
    addRisen(sums.codes, before?.codes, now.codes)
    addRisen(sums.attempts, before?.attempts, now.attempts)
    for (const [bucket, count] of now.durationCounts.entries())
      sums.durationCounts[bucket] =
        (sums.durationCounts[bucket] ?? 0) + risen(before?.durationCounts[bucket] ?? 0, count)
    sums.durationSumMs += risen(before?.durationSumMs ?? 0, now.durationSumMs)
    if (now.mirrored) addMirrored((sums.mirrored ??= newMirrorStats()), before?.mirrored, now.mirrored)
    this.#place(now.service, now.version, sums)
  }

  #addService(before: ServiceCounts | undefined, now: ServiceCounts): void {
    const sums = this.#services.present(now.service, () => newServiceStats(now.service))
    addRisen(sums.retries, before?.retries, now.retries)
    addRisen(sums.pipeliningPauses, before?.pipeliningPauses, now.pipeliningPauses)
    sums.rescued += risen(before?.rescued ?? 0, now.rescued)
    sums.retryBudgetExhausted += risen(before?.retryBudgetExhausted ?? 0, now.retryBudgetExhausted)
    if (this.#table && !this.#table.services.has(now.service)) this.#services.absent(now.service)
  }

  /** Says whether the table has these labels now. */
  #place(service: string, version: string, stats: VersionStats): void {
    const table = this.#table?.services.get(service)
    // Answers without a version are counted under none, whatever versions there are.
    const isThere = table !== undefined && (version === '' || table.groups.some((group) => group.version === version))
    const key = keyOf(service, version)
    if (isThere || !this.#table) this.#versions.present(key, () => stats)
    else this.#versions.absent(key)
  }

  /** What has no sum any more needs no memory of what it was. */
  #forget(): void {
    const versions = new Set([...this.#versions.all()].map(({ service, version }) => keyOf(service, version)))
    const services = new Set([...this.#services.all()].map(({ service }) => service))
    for (const last of this.#last.values()) {
      for (const key of last.versions.keys()) if (!versions.has(key)) last.versions.delete(key)
      for (const name of last.services.keys()) if (!services.has(name)) last.services.delete(name)
    }
  }

  #recount(): void {
    const inFlight = new Map<string, number>()
    for (const { gone, services } of this.#last.values()) {
      if (gone) continue
      for (const [name, counts] of services) inFlight.set(name, (inFlight.get(name) ?? 0) + counts.inFlight)
    }
    for (const stats of this.#services.all()) stats.inFlight = inFlight.get(stats.service) ?? 0
    for (const { service, version, mirrored } of this.#versions.all()) {
      if (!mirrored) continue
      mirrored.inFlight = 0
      for (const { gone, versions } of this.#last.values())
        if (!gone) mirrored.inFlight += versions.get(keyOf(service, version))?.mirrored?.inFlight ?? 0
    }
  }
}
