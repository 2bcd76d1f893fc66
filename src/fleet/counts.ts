/**
 * What a worker counts, as it is sent: running totals since it began, so that a report that is lost or late costs nothing
 * but freshness. A report names only what changed since the last one. It reads what the data plane counts anyway.
 */
import { inGroups, type Steps } from '../core/turn.ts'
import type { EndpointState, ServiceStats, VersionStats } from '../live/runtime.ts'
import type { DataPlaneFigures } from '../proxy/options.ts'
import type { PipeliningTrouble } from '../wire/pipelining.ts'

/** How many requests and connections there are at one registration now. */
export interface EndpointUse {
  readonly key: string
  readonly life: number
  readonly inFlight: number
  readonly open: number
  readonly idle: number
  /** Why nothing is pipelined there for a while; undefined: it is, where it is asked for. */
  readonly pipeliningPause: PipeliningTrouble | undefined
}

export type ServiceCounts = Omit<ServiceStats, 'retrying' | 'rescuing'>

export interface Connections {
  readonly open: number
  readonly idle: number
}

export interface CountsReport {
  /** Running totals of those that changed since the last report. */
  readonly versions: readonly VersionStats[]
  readonly services: readonly ServiceCounts[]
  readonly unrouted: ReadonlyMap<number, number>
  /** All that are in use now. */
  readonly endpoints: readonly EndpointUse[]
  readonly downstream: Connections
  readonly upstream: Connections
  /** Lines of the access log that nobody took, and messages to control that were given up, since it began. */
  readonly linesDropped: number
  readonly messagesLost: number
  /** Of the process: CPU time since it began, ms; resident memory, bytes. */
  readonly cpuMs: number
  readonly residentBytes: number
}

/** What endpoints have now. */
export type Use = Pick<CountsReport, 'endpoints' | 'upstream'>

/** What only the process knows. */
export type ProcessFigures = Pick<CountsReport, 'linesDropped' | 'messagesLost' | 'cpuMs' | 'residentBytes'>

function sumOf(values: Iterable<number>): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

/** Anything that is counted makes it another one. */
function versionMark({ codes, attempts, mirrored }: VersionStats): string {
  const mark = `${String(sumOf(codes.values()))} ${String(sumOf(attempts.values()))}`
  if (!mirrored) return mark
  const { inFlight, outcomes, failures } = mirrored
  return [mark, inFlight, sumOf(outcomes.values()), sumOf(failures.values())].join(' ')
}
const serviceMark = (stats: ServiceStats): string => {
  const { inFlight, rescued, retries, retryBudgetExhausted, pipeliningPauses } = stats
  return [inFlight, rescued, sumOf(retries.values()), retryBudgetExhausted, sumOf(pipeliningPauses.values())].join(' ')
}

/** Endpoints that are looked at in one turn of the loop. */
export const endpointsPerTurn = 1_000

/** Counts what `states` have, so many in a step: there may be ten thousand, of which most have nothing. */
export function* countUse(states: Iterable<EndpointState>): Steps<Use> {
  const endpoints: EndpointUse[] = []
  let open = 0
  let idle = 0
  yield* inGroups(states, endpointsPerTurn, ({ key, life, inFlight, pool }) => {
    const pipeliningPause = pool.pipeliningPause?.reason
    if (inFlight > 0 || pool.open > 0 || pipeliningPause)
      endpoints.push({ key, life, inFlight, open: pool.open, idle: pool.idle, pipeliningPause })
    open += pool.open
    idle += pool.idle
  })
  return { endpoints, upstream: { open, idle } }
}

export class CountsReporter {
  #versions = new WeakMap<VersionStats, string>()
  #services = new WeakMap<ServiceStats, string>()

  /** What changed since the last report; whoever asks must send it. */
  report(
    figures: Pick<DataPlaneFigures, 'versions' | 'services' | 'unrouted' | 'downstream'>,
    use: Use,
    process: ProcessFigures,
  ): CountsReport {
    const versions: VersionStats[] = []
    for (const stats of figures.versions) {
      const mark = versionMark(stats)
      if ((this.#versions.get(stats) ?? '0 0') === mark) continue
      this.#versions.set(stats, mark)
      versions.push(stats)
    }
    const services: ServiceCounts[] = []
    for (const stats of figures.services) {
      const mark = serviceMark(stats)
      if ((this.#services.get(stats) ?? '0 0 0 0 0') === mark) continue
      this.#services.set(stats, mark)
      const { service, inFlight, rescued, retries, retryBudgetExhausted, pipeliningPauses } = stats
      services.push({ service, inFlight, rescued, retries, retryBudgetExhausted, pipeliningPauses })
    }
    const { downstream, unrouted } = figures
    return { versions, services, unrouted, downstream, ...use, ...process }
  }

  /** The next report says all: who reads it knows nothing yet. */
  forget(): void {
    this.#versions = new WeakMap()
    this.#services = new WeakMap()
  }
}
