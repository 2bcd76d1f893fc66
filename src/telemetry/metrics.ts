/**
 * The metrics and their names, as the README lists them. Everything is read at scrape time from what others count;
 * nothing here is on the path of a request. Labels are bounded: service and version come from the catalog and policy,
 * the rest are words of ours; no path, host or address of a client is ever a label.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Clock } from '../core/clock.ts'
import { nextTurn } from '../core/turn.ts'
import type { HealthView } from '../health/port.ts'
import {
  durationBucketsMs,
  type BoundService,
  type EndpointState,
  type ServiceStats,
  type VersionStats,
} from '../live/runtime.ts'
import type { DataPlane } from '../proxy/options.ts'
import { collect, histogram, type Labels, type Sample } from './collected.ts'
import { expose } from './exposition.ts'
import { addKills } from './kill-metrics.ts'
import type { KillLedger } from './kill-ledger.ts'
import { addMirrors } from './mirror-metrics.ts'
import { addWorkers, type WorkerSource } from './worker-metrics.ts'

/** What the control side tells, read at scrape time. */
export interface ControlFigures {
  /** Each catalog source and the monotonic time of its last good answer, ms; undefined: none yet. */
  readonly sources: Iterable<{ readonly name: string; readonly lastSuccessMs: number | undefined }>
  /** From a source telling of its last change to the table with it standing, ms; undefined: no change yet. */
  readonly catalogLagMs: number | undefined
  /** How long the last table took to build and bind, ms; undefined: none yet. */
  readonly tableBuildMs: number | undefined
  /** Problems in force. */
  readonly problems: number
  /** False while the configuration file holds something that was refused. */
  readonly configReloadOk: boolean
  /** Access-log lines that were dropped. */
  readonly accessLogDropped: number
}

export interface MetricsOptions {
  readonly clock: Clock
  readonly dataPlane: Pick<DataPlane, 'figures' | 'current'>
  readonly control: () => ControlFigures
  /** Absent: nothing is told of deaths. */
  readonly kills?: Pick<KillLedger, 'counts'>
  /** What health thinks of an endpoint; absent: states are the catalog's alone. */
  readonly health?: (state: EndpointState) => HealthView | undefined
  /** Version of this program. */
  readonly version: string
  /** Where requests run in other processes: theirs, beside the sums that `dataPlane` has. */
  readonly workers?: WorkerSource | undefined
  /** Lets others have their turn; {@link nextTurn} by default. */
  readonly pause?: () => Promise<void>
}

export interface Metrics {
  readonly contentType: string
  /** The exposition in Prometheus' text format, in pieces that follow each other; made over several turns of the loop. */
  pieces(): Promise<readonly string[]>
  /** Ends the measuring of the event loop. */
  stop(): void
}

const none: Labels = {}
const proxyOriginFrom = 1_000

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  const loop = monitorEventLoopDelay({ resolution: 20 })
  loop.enable()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  addRequests(registry, options)
  addRetries(registry, options)
  addPipelining(registry, options)
  addEndpoints(registry, options)
  addMirrors(registry, () => stillOf(options.dataPlane).versions)
  addKills(registry, () => options.kills?.counts() ?? [])
  addControl(registry, options)
  const { workers } = options
  if (workers) addWorkers(registry, workers)
  collect(registry, {
    name: 'fairlead_event_loop_lag_seconds',
    help: 'How late the event loop was since the last scrape',
    type: 'gauge',
    read: () => {
      // The monitor counts its own 20 ms interval in; with no measurement since the last scrape there is no figure.
      const lag = (ns: number): number => (loop.count === 0 ? 0 : Math.max(0, ns / 1e9 - 0.02))
      const samples = [
        { labels: { at: 'p50' }, value: lag(loop.percentile(50)) },
        { labels: { at: 'p99' }, value: lag(loop.percentile(99)) },
        { labels: { at: 'max' }, value: lag(loop.max) },
      ]
      loop.reset()
      return samples
    },
  })
  return {
    contentType: registry.contentType,
    pieces: async () => {
      await workers?.refresh()
      return expose(registry, options.pause ?? nextTurn)
    },
    stop: () => void loop.disable(),
  }
}

/** What is counted, in lists that stay as they are while others have their turn. */
function stillOf(dataPlane: MetricsOptions['dataPlane']): {
  readonly versions: readonly VersionStats[]
  readonly services: readonly ServiceStats[]
  readonly unrouted: readonly (readonly [number, number])[]
} {
  const { versions, services, unrouted } = dataPlane.figures()
  return { versions: [...versions], services: [...services], unrouted: [...unrouted] }
}

function addRequests(registry: Registry, { dataPlane }: MetricsOptions): void {
  collect(registry, {
    name: 'fairlead_requests_total',
    help: 'Requests that ended, by status; origin tells whether the upstream or the proxy made the answer',
    type: 'counter',
    *read(): Generator<Sample> {
      const { unrouted, versions } = stillOf(dataPlane)
      for (const [code, value] of unrouted) {
        yield { labels: { service: '', version: '', code, origin: 'proxy' }, value }
      }
      for (const { service, version, codes } of versions) {
        for (const [key, value] of codes) {
          const byProxy = key >= proxyOriginFrom
          const code = byProxy ? key - proxyOriginFrom : key
          yield { labels: { service, version, code, origin: byProxy ? 'proxy' : 'upstream' }, value }
        }
      }
    },
  })
  const name = 'fairlead_request_duration_seconds'
  const bounds = durationBucketsMs.map((ms) => ms / 1_000)
  collect(registry, {
    name,
    help: 'From the first byte of a request to the last of its answer',
    type: 'histogram',
    *read(): Generator<Sample> {
      for (const { service, version, durationCounts, durationSumMs } of stillOf(dataPlane).versions) {
        yield* histogram(name, { service, version }, bounds, durationCounts, durationSumMs / 1_000)
      }
    },
  })
  collect(registry, {
    name: 'fairlead_requests_in_flight',
    help: 'Requests that have a service and no end yet',
    type: 'gauge',
    *read(): Generator<Sample> {
      for (const { service, inFlight } of stillOf(dataPlane).services) yield { labels: { service }, value: inFlight }
    },
  })
}

function addRetries(registry: Registry, { dataPlane }: MetricsOptions): void {
  collect(registry, {
    name: 'fairlead_attempts_total',
    help: 'Attempts at an endpoint, by outcome; a request has one or more',
    type: 'counter',
    *read(): Generator<Sample> {
      for (const { service, version, attempts } of stillOf(dataPlane).versions) {
        for (const [outcome, value] of attempts) yield { labels: { service, version, outcome }, value }
      }
    },
  })
  collect(registry, {
    name: 'fairlead_retries_total',
    help: 'Further attempts for a request, by what went wrong with the one before',
    type: 'counter',
    *read(): Generator<Sample> {
      for (const { service, retries } of stillOf(dataPlane).services) {
        for (const [reason, value] of retries) yield { labels: { service, reason }, value }
      }
    },
  })
  collect(registry, {
    name: 'fairlead_retry_budget_exhausted_total',
    help: 'Retries that were not made because too many were under way',
    type: 'counter',
    *read(): Generator<Sample> {
      for (const { service, retryBudgetExhausted } of stillOf(dataPlane).services) {
        yield { labels: { service }, value: retryBudgetExhausted }
      }
    },
  })
}

function addPipelining(registry: Registry, { dataPlane }: MetricsOptions): void {
  collect(registry, {
    name: 'fairlead_pipelining_pauses_total',
    help: 'How often pipelining to an instance was switched off for a while, by why',
    type: 'counter',
    *read(): Generator<Sample> {
      for (const { service, pipeliningPauses } of stillOf(dataPlane).services) {
        for (const [reason, value] of pipeliningPauses) yield { labels: { service, reason }, value }
      }
    },
  })
}

function addEndpoints(registry: Registry, { dataPlane, health }: MetricsOptions): void {
  collect(registry, {
    name: 'fairlead_endpoints',
    help: 'Registered instances: those that the catalog keeps from traffic by its word, the others by their own health',
    type: 'gauge',
    *read(): Generator<Sample> {
      for (const service of dataPlane.current().services.values()) yield* endpointStates(service, health)
    },
  })
  collect(registry, {
    name: 'fairlead_connections',
    help: 'Open connections: downstream to clients, upstream to endpoints; idle ones carry no request',
    type: 'gauge',
    *read(): Generator<Sample> {
      const { downstream, upstream } = dataPlane.figures()
      for (const [side, { open, idle }] of Object.entries({ downstream, upstream })) {
        yield { labels: { side, state: 'active' }, value: open - idle }
        yield { labels: { side, state: 'idle' }, value: idle }
      }
    },
  })
}

function* endpointStates({ table, groups }: BoundService, health: MetricsOptions['health']): Generator<Sample> {
  const known = new Map<string, string>()
  if (health) {
    for (const { endpoints } of groups) {
      for (const { endpoint, state } of endpoints) {
        const view = health(state)
        // What is only observed gets traffic like any other.
        known.set(endpoint.key, view === undefined ? endpoint.status : view.applied ? view.state : 'healthy')
      }
    }
  }
  for (const { version, endpoints } of table.groups) {
    const counts = new Map<string, number>()
    for (const { key, status, weight } of endpoints) {
      const word = weight > 0 ? (known.get(key) ?? status) : status
      counts.set(word, (counts.get(word) ?? 0) + 1)
    }
    for (const [state, value] of counts) yield { labels: { service: table.name, version, state }, value }
  }
}

function addControl(registry: Registry, options: MetricsOptions): void {
  const { clock, control, dataPlane } = options
  const gauge = (name: string, help: string, value: () => number | undefined): void =>
    collect(registry, {
      name: `fairlead_${name}`,
      help,
      type: 'gauge',
      *read(): Generator<Sample> {
        const now = value()
        if (now !== undefined) yield { labels: none, value: now }
      },
    })
  const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1_000)

  collect(registry, {
    name: 'fairlead_catalog_last_success_timestamp_seconds',
    help: 'When each catalog source last answered as it should; 0 before the first time',
    type: 'gauge',
    *read(): Generator<Sample> {
      for (const { name, lastSuccessMs } of control().sources) {
        // Absent, it would fire no alert for a catalog that never answered.
        const value = lastSuccessMs === undefined ? 0 : (clock.wall() - (clock.now() - lastSuccessMs)) / 1_000
        yield { labels: { source: name }, value }
      }
    },
  })
  gauge('catalog_lag_seconds', 'From a source telling of its last change to its being routed', () =>
    seconds(control().catalogLagMs),
  )
  gauge('table_version', 'Version of the route table; rises with every change', () => dataPlane.figures().tableVersion)
  gauge('table_build_seconds', 'How long the last table took to build', () => seconds(control().tableBuildMs))
  gauge('config_last_reload_success', '1 unless the last configuration that was read had to be refused', () =>
    control().configReloadOk ? 1 : 0,
  )
  gauge(
    'problems',
    'Problems in force: tags, definitions and settings that cannot be used, catalogs that do not answer',
    () => control().problems,
  )
  collect(registry, {
    name: 'fairlead_access_log_dropped_total',
    help: 'Access-log lines that were dropped because nobody took them in time',
    type: 'counter',
    *read(): Generator<Sample> {
      yield { labels: none, value: control().accessLogDropped }
    },
  })
  collect(registry, {
    name: 'fairlead_build_info',
    help: 'Always 1; the labels tell what runs',
    type: 'gauge',
    *read(): Generator<Sample> {
      yield { labels: { version: options.version, node: process.versions.node }, value: 1 }
    },
  })
}
