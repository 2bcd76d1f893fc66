/**
 * The paths of the status and the admin address. Both have metrics, livez and readyz; only the admin address has /v1.
 * Everything here reads; what changes something is in `endpoints.ts` and `policy.ts`.
 */
import type { History } from '../control/history.ts'
import { type Problem, problemCount } from '../core/problem.ts'
import { nextTurn } from '../core/turn.ts'
import type { BoundTable } from '../live/runtime.ts'
import type { DataPlane } from '../proxy/options.ts'
import type { KillLedger } from '../telemetry/kill-ledger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { TroubleRing } from '../telemetry/trouble-ring.ts'
import { decodedPart, unknownService } from './asked.ts'
import { json, type Answer, type Handler, type Router } from './door.ts'
import { endpointAnswer, handleIn, type OperatorPlane } from './endpoints.ts'
import type { Sharing } from './shared-drains.ts'
import { explainAnswer, type ExplainSources } from './explain.ts'
import { historyAnswer } from './history-view.ts'
import { killsJson } from './kill-views.ts'
import { type PolicyPlane, revisionsHandler } from './policy.ts'
import { readQuery } from './query.ts'
import { requestAnswer } from './request-view.ts'
import { whatIfAnswer } from './what-if.ts'
import {
  routesOf,
  routesTo,
  serviceSummaries,
  serviceView,
  tableJson,
  type HealthSource,
  type WeightsSource,
} from './views.ts'

export interface StatusSources {
  readonly metrics: Pick<Metrics, 'contentType' | 'pieces'>
  /** Why this proxy is not ready, a sentence each; empty: it is. */
  readonly notReady: () => readonly string[]
}

export interface AdminSources extends StatusSources {
  readonly dataPlane: Pick<DataPlane, 'current'> & Partial<OperatorPlane>
  /** All problems in force: of the table, of the configuration, of the sources. */
  readonly problems: () => readonly Problem[]
  /** Absent: there is no `/v1/kills`. */
  readonly kills?: Pick<KillLedger, 'read'>
  /** Absent: there is no `/v1/explain`. */
  readonly explain?: ExplainSources
  /** Absent: there are no revisions to see. */
  readonly policy?: PolicyPlane
  /** Absent: drains are this proxy's own. */
  readonly sharing?: Sharing
  /** Absent: there is no `/v1/history`. */
  readonly history?: Pick<History, 'read'>
  /** Absent: there is no `/v1/requests/ID`. */
  readonly troubles?: TroubleRing
  /** Absent: no endpoint's health is known. */
  readonly health?: HealthSource
}

export function statusRouter(sources: StatusSources): Router {
  const exposition = shared(() => sources.metrics.pieces())
  const paths = new Map<string, Handler>([
    ['/metrics', async () => ({ status: 200, type: sources.metrics.contentType, body: inTurns(await exposition()) })],
    ['/livez', () => json(200, { live: true })],
    [
      '/readyz',
      () => {
        const reasons = sources.notReady()
        return reasons.length === 0 ? json(200, { ready: true }) : json(503, { ready: false, reasons })
      },
    ],
  ])
  return (path) => paths.get(path)
}

/** One piece in a turn of the loop, however fast the reader takes them. */
async function* inTurns(pieces: readonly string[]): AsyncGenerator<string> {
  for (const piece of pieces) {
    yield piece
    await nextTurn()
  }
}

/** For the status address alone: whoever asks there for what is on the other one is told where that is. */
export function statusAddressRouter(sources: StatusSources): Router {
  const router = statusRouter(sources)
  const elsewhere = json(404, {
    error:
      'This is the status address. What is asked for is on the admin address: 127.0.0.1:8082, unless admin.address says another.',
  })
  return (path) => router(path) ?? (path.startsWith('/v1/') ? () => elsewhere : undefined)
}

/** Askers that come while an answer is being made share it. */
function shared<T>(make: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined
  return () =>
    (underWay ??= make().finally(() => {
      underWay = undefined
    }))
}

const servicePrefix = '/v1/services/'
const requestPrefix = '/v1/requests/'
const jsonType = 'application/json; charset=utf-8'

export function adminRouter(sources: AdminSources): Router {
  const status = statusRouter(sources)
  const { dataPlane, health, history, kills, troubles } = sources
  const weights = sources.policy?.weights ?? (() => [])
  const wholeTable = () => tableJson(dataPlane.current(), health, weights, problemCount(sources.problems()))
  const paths = new Map<string, Handler>([
    ['/v1/table', () => ({ status: 200, type: jsonType, body: wholeTable() })],
    ['/v1/services', () => json(200, { services: serviceSummaries(dataPlane.current(), weights) })],
    ['/v1/problems', () => json(200, { problems: sources.problems() })],
  ])
  paths.set('/v1/what-if', (query) => whatIfAnswer(dataPlane.current(), query, sources.policy?.beneath))
  const { explain } = sources
  if (explain) paths.set('/v1/explain', (query) => explainAnswer(explain, query))
  if (kills) paths.set('/v1/kills', (query) => killsAnswer(kills, dataPlane, query))
  if (history) {
    paths.set('/v1/history', (query) => historyAnswer(history, dataPlane.current().services, query))
  }
  return (path) => {
    const handler = paths.get(path) ?? status(path)
    if (handler) return handler
    const handle = handleIn(path)
    if (handle !== undefined) return () => endpointAnswer(handle, dataPlane, health, sources.sharing)
    const revisions = sources.policy && revisionsHandler(sources.policy, path)
    if (revisions) return revisions
    const requestId = nameAfter(requestPrefix, path)
    if (requestId !== undefined && troubles) return () => requestAnswer(requestId, troubles)
    const name = nameAfter(servicePrefix, path)
    return name === undefined ? undefined : () => serviceAnswer(name, dataPlane.current(), health, weights)
  }
}

function serviceAnswer(
  name: string,
  bound: BoundTable,
  health: HealthSource | undefined,
  weights: WeightsSource,
): Answer {
  const service = bound.services.get(name)
  if (!service) return json(404, { error: unknownService(name, bound.services.keys()) })
  return json(200, { ...serviceView(service, health, weights, routesOf(bound)), routes: routesTo(bound, name) })
}

function killsAnswer(kills: Pick<KillLedger, 'read'>, dataPlane: AdminSources['dataPlane'], query: string): Answer {
  const asked = readQuery(query, ['service'])
  if (typeof asked === 'string') return json(400, { error: asked })
  const service = asked.get('service')
  const report = kills.read(service)
  // A slip of the pen must not read as a service that never lost anything.
  if (service !== undefined && report.kills.length === 0 && !dataPlane.current().services.has(service)) {
    return json(404, {
      error: unknownService(service, dataPlane.current().services.keys(), ', and no death of it is known'),
    })
  }
  return { status: 200, type: jsonType, body: killsJson(report) }
}

/** What follows `prefix`, decoded; undefined: it is another path, or nothing follows. */
function nameAfter(prefix: string, path: string): string | undefined {
  return path.startsWith(prefix) ? decodedPart(path.slice(prefix.length)) || undefined : undefined
}
