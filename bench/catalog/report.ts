/**
 * The catalog bench's results as Markdown, with its goals. Pure.
 */
import type { Goal } from '../lib/report.ts'
import { markdownTable } from '../lib/report.ts'
import { median, spreadOf } from '../lib/statistics.ts'
import type { ChurnResult } from './churn.ts'
import { type DisturbedResult, phases, type Phase } from './disturbed.ts'
import type { Arrival } from './registration.ts'
import type { ChangeCost, Sweep } from './scale.ts'

/** What part 2 found. Times in ms. */
export interface ScaleResult {
  readonly services: number
  readonly instances: number
  /** From process start to `/readyz` saying yes, one per start. */
  readonly readyMs: readonly number[]
  /** From process start to a table that holds every instance. */
  readonly completeMs: readonly number[]
  readonly startRequests: ReadonlyMap<string, number>
  readonly connectionsPeak: number
  readonly quiet: { readonly requests: ReadonlyMap<string, number>; readonly open: number; readonly seconds: number }
  readonly changes: readonly ChangeCost[]
  /** What followed the first change. */
  readonly sweep: Sweep
  /** As in part 1, with this catalog; its promise is for the fewer services that have a watch each. */
  readonly arrivals: readonly Arrival[]
  readonly residentBytes: number
}

/** As the goals have it: at the median, from Consul showing an instance to it being routed. */
export const routedGoalMs = 50
/** From process start. */
export const firstTableGoalMs = 3_000
/** CPU time of the thread that serves requests, per change. */
export const changeGoalMs = 20
/** Consul refuses a client its 201st connection. */
export const connectionsMax = 200

/** The longest turn of the loop while the catalog changes, without collections. */
export const turnGoalMs = 5

function summary(values: readonly number[], digits: number): readonly string[] {
  const { median: middle, min, max } = spreadOf(values)
  const p90 = values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.9) - 1] ?? Number.NaN
  return [middle, p90, min, max].map((value) => value.toFixed(digits))
}

const header = ['', 'median', 'p90', 'least', 'most']

export function renderArrivals(arrivals: readonly Arrival[]): string {
  const rows = [
    [
      'register call to Consul showing it, ms',
      ...summary(
        arrivals.map((one) => one.shownMs),
        1,
      ),
    ],
    [
      'Consul showing it to routed, ms',
      ...summary(
        arrivals.map((one) => one.routedAfterShownMs),
        1,
      ),
    ],
    [
      'register call to routed, ms',
      ...summary(
        arrivals.map((one) => one.routedMs),
        1,
      ),
    ],
  ]
  return [`### ${arrivals.length} registrations, one service`, '', markdownTable(header, rows)].join('\n')
}

/** `catalog/services 2, health/service 1000`. */
export function describeRequests(requests: ReadonlyMap<string, number>): string {
  const kinds = [...requests].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return kinds.length === 0 ? 'none' : kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')
}

/** The requests of a typical change: the median of each kind. */
function typicalRequests(changes: readonly ChangeCost[]): ReadonlyMap<string, number> {
  const kinds = new Set(changes.flatMap((change) => [...change.requests.keys()]))
  return new Map([...kinds].map((kind) => [kind, median(changes.map((change) => change.requests.get(kind) ?? 0))]))
}

export function renderScale(result: ScaleResult): string {
  const changes = (of: (change: ChangeCost) => number): readonly string[] => summary(result.changes.map(of), 2)
  const rows = [
    ['process start to ready, ms', ...summary(result.readyMs, 0)],
    ['process start to every instance in the table, ms', ...summary(result.completeMs, 0)],
    ['one change: CPU of the thread that serves, ms', ...changes((change) => change.mainThreadMs)],
    ['one change: CPU of all threads, ms', ...changes((change) => change.allThreadsMs)],
    ['one change: building the table, ms', ...changes((change) => change.buildMs)],
  ]
  const arrivals = result.arrivals.map((one) => one.routedAfterShownMs)
  rows.push(['Consul showing an instance to it being routed, ms', ...summary(arrivals, 1)])
  const { quiet, sweep } = result
  return [
    `### ${result.services} services, ${result.instances} instances`,
    '',
    markdownTable(header, rows),
    '',
    `- Consul's connections: at most ${result.connectionsPeak}; in quiet ${quiet.open}.`,
    `- Requests until the table was complete: ${describeRequests(result.startRequests)}.`,
    `- Requests in ${quiet.seconds} s of quiet: ${describeRequests(quiet.requests)}.`,
    `- Requests per change, the median of each kind: ${describeRequests(typicalRequests(result.changes))}.`,
    `- The sweep after a change that the streams do not show: ${describeRequests(sweep.requests)} within ` +
      `${(sweep.lastedMs / 1_000).toFixed(1)} s, CPU ${sweep.mainThreadMs.toFixed(0)} ms on the thread that serves, ` +
      `${sweep.allThreadsMs.toFixed(0)} ms on all.`,
    `- Resident memory: ${(result.residentBytes / 1_048_576).toFixed(0)} MiB.`,
  ].join('\n')
}

/** The longest of a second at the median of the seconds, and the longest of all. */
function longest(seconds: readonly number[]): string {
  return `${median(seconds).toFixed(1)} / ${Math.max(...seconds).toFixed(1)}`
}

export function renderChurn(results: readonly ChurnResult[]): string {
  const columns = ['', 'own, ms', 'with GC, ms', 'on the wall, ms', 'busy', 'heap per instance, kB']
  const rows = results.flatMap(({ workers, instances, processes }) =>
    processes.map((one) => [
      `${workers === 1 ? 'one process' : `${workers} workers`}: ${one.role}`,
      longest(one.ownMs),
      longest(one.longestMs),
      longest(one.wallMs),
      `${(one.busy * 100).toFixed(0)} %`,
      [one.heapBefore, one.heapAfter].map((heap) => (heap / instances / 1_000).toFixed(2)).join(' -> '),
    ]),
  )
  return [
    `### ${results[0]?.instances ?? 0} instances that never rest`,
    '',
    'The longest turn of the loop in a second, by CPU of its thread: median of the seconds / longest of all.',
    '',
    markdownTable(columns, rows),
    '',
    ...results.map(
      ({ workers, rate, tables, seconds }) =>
        `- ${workers === 1 ? 'One process' : `${workers} workers`}: ${rate.toFixed(0)} changes a second for ${seconds} s, ` +
        `${tables.toFixed(1)} tables a second.`,
    ),
  ].join('\n')
}

const during: Readonly<Record<Phase, string>> = {
  quiet: 'nothing',
  changes: 'changes of the catalog',
  reloads: 'a reload that rebuilds every service, each second',
  scrapes: 'a scrape of `/metrics`, each second',
  collections: 'a full collection, each second',
}

/** Latencies that count from when each request was due. */
export function renderDisturbed(result: DisturbedResult): string {
  const points = ['p50Ms', 'p99Ms', 'p999Ms', 'maxMs'] as const
  const cell = (values: readonly number[]): string => {
    const { median: middle, min, max } = spreadOf(values)
    return `${middle.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`
  }
  const rows = phases.map((phase) => {
    const rounds = result.phases.get(phase) ?? []
    const late = median(rounds.map((one) => one.ownLatenessP99Ms))
    const errors = rounds.reduce((sum, one) => sum + one.errors, 0)
    return [
      during[phase],
      ...points.map((point) => cell(rounds.map((one) => one[point]))),
      late.toFixed(2),
      `${errors}`,
    ]
  })
  return [
    `### Latency with ${result.instances} instances, ${result.requests} requests a second`,
    '',
    markdownTable(['beside it', 'p50 ms', 'p99 ms', 'p99.9 ms', 'most ms', 'generator late, p99 ms', 'failed'], rows),
    '',
    'Medians of the rounds (least–most); latency counts from when a request was due.',
  ].join('\n')
}

function goal(text: string, value: number, met: boolean): Goal {
  return { text, met: Number.isNaN(value) ? undefined : met }
}

/** The goals that the parts which ran can speak of. */
export function catalogGoals(
  arrivals: readonly Arrival[] | undefined,
  scale: ScaleResult | undefined,
  churn: readonly ChurnResult[] = [],
): readonly Goal[] {
  const found: Goal[] = []
  for (const { workers, processes } of churn) {
    const turn = Math.max(...processes.flatMap((one) => one.ownMs))
    const who = workers === 1 ? 'one process' : `${workers} workers`
    const text = `Longest own turn while the catalog changes, ${who}: ${turn.toFixed(1)} ms (goal: ${turnGoalMs} ms)`
    found.push(goal(text, turn, turn <= turnGoalMs))
  }
  if (arrivals) {
    const middle = median(arrivals.map((one) => one.routedAfterShownMs))
    const text = `Consul showing an instance to it being routed, median: ${middle.toFixed(1)} ms (goal: ${routedGoalMs} ms)`
    found.push(goal(text, middle, middle <= routedGoalMs))
  }
  if (!scale) return found
  const first = median(scale.completeMs)
  const change = median(scale.changes.map((one) => one.mainThreadMs))
  const peak = scale.connectionsPeak
  found.push(
    goal(`First table: ${first.toFixed(0)} ms (goal: ${firstTableGoalMs} ms)`, first, first <= firstTableGoalMs),
    goal(
      `One change, own time: ${change.toFixed(1)} ms (goal: under ${changeGoalMs} ms)`,
      change,
      change < changeGoalMs,
    ),
    goal(`Connections to Consul: at most ${peak} (Consul allows ${connectionsMax})`, peak, peak < connectionsMax),
  )
  return found
}
