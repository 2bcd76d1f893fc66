/**
 * `/v1/agent/service/ID` and `/v1/agent/health/service/*`: one service as its own agent sees it. The status is the HTTP
 * status (200, 429, 503, 404), so that a load balancer can ask without reading. Checks of the node count.
 */
import { createHash } from 'node:crypto'
import { isMaintenance } from './agent-commands.ts'
import { agentChecksOf } from './agent-views.ts'
import { parseBlocking } from './query.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { CheckRecord, ServiceRecord } from './records.ts'
import { json, Refusal, text, type Reply } from './reply.ts'
import type { Topic } from './store.ts'
import { agentCheckView, agentServiceView } from './views.ts'

type Aggregated = 'passing' | 'warning' | 'critical' | 'maintenance'

const ORDER: readonly Aggregated[] = ['passing', 'warning', 'critical', 'maintenance']
const STATUS_CODE: Readonly<Record<Aggregated, number>> = {
  passing: 200,
  warning: 429,
  critical: 503,
  maintenance: 503,
}

export function agentHealthRoutes(parts: Parts): Route[] {
  return [
    { path: '/v1/agent/health/service/id/', methods: { GET: (request) => healthById(parts, request) } },
    { path: '/v1/agent/health/service/name/', methods: { GET: (request) => healthByName(parts, request) } },
    { path: '/v1/agent/service/', methods: { GET: (request) => oneService(parts, request) } },
  ]
}

function healthById(parts: Parts, request: CatalogRequest): Reply {
  if (request.rest === '') throw new Refusal(400, 'Missing serviceID')
  const service = parts.store.state.service(parts.nodeName, request.rest)
  if (!service) {
    const missing = { AggregatedStatus: 'critical', Service: null, Checks: null }
    return answer(request, 404, `ServiceId ${request.rest} not found`, missing)
  }
  const health = healthOf(parts, service)
  return answer(request, STATUS_CODE[health.AggregatedStatus], health.AggregatedStatus, health)
}

function healthByName(parts: Parts, request: CatalogRequest): Reply {
  if (request.rest === '') throw new Refusal(400, 'Missing service Name')
  const services = [...(parts.store.state.nodes.get(parts.nodeName)?.services.values() ?? [])]
  const found = services.filter((service) => service.name === request.rest).sort((a, b) => (a.id < b.id ? -1 : 1))
  if (found.length === 0) return answer(request, 404, `ServiceName ${request.rest} Not Found`, [])
  const healths = found.map((service) => healthOf(parts, service))
  const worst = ORDER[Math.max(...healths.map((health) => ORDER.indexOf(health.AggregatedStatus)))] ?? 'critical'
  return answer(request, STATUS_CODE[worst], worst, healths)
}

function healthOf(
  parts: Parts,
  service: ServiceRecord,
): { AggregatedStatus: Aggregated; Service: object; Checks: object[] } {
  const checks = agentChecksOf(parts, service.id)
  return {
    AggregatedStatus: aggregate(checks),
    Service: agentServiceView(service),
    Checks: checks.map((check) => agentCheckView(check, check.serviceId === '' ? [] : service.tags)),
  }
}

function aggregate(checks: readonly CheckRecord[]): Aggregated {
  if (checks.some((check) => isMaintenance(check.id))) return 'maintenance'
  if (checks.some((check) => check.status === 'critical')) return 'critical'
  return checks.some((check) => check.status === 'warning') ? 'warning' : 'passing'
}

function answer(request: CatalogRequest, status: number, reason: string, value: unknown): Reply {
  const headers = { 'X-Consul-Reason': reason }
  if (request.query.get('format') !== 'text') return json(value, { status, headers })
  return { ...text(status, reason, headers), type: 'text/plain' }
}

/** Blocks by hash, not by index: `?hash=` of the last answer waits for another one. */
async function oneService(parts: Parts, request: CatalogRequest): Promise<Reply> {
  const { store, nodeName } = parts
  const { waitMs } = parseBlocking(request.query, parts.datacenter)
  const read = (): ServiceRecord => {
    const service = store.state.service(nodeName, request.rest)
    if (!service) throw new Refusal(404, `unknown service ID: ${request.rest}`)
    return service
  }
  let service = read()
  if (request.query.get('hash') === contentHash(service)) {
    const topic: Topic = {
      table: 'catalog',
      index: () => store.state.service(nodeName, request.rest)?.modifyIndex ?? 0,
    }
    parts.gate.enter()
    await store.wait(topic, service.modifyIndex, waitMs, request.signal).finally(() => parts.gate.leave())
    service = read()
  }
  const hash = contentHash(service)
  return json({ ...agentServiceView(service), ContentHash: hash }, { headers: { 'X-Consul-ContentHash': hash } })
}

function contentHash(service: ServiceRecord): string {
  return createHash('sha256')
    .update(JSON.stringify(agentServiceView(service)))
    .digest('hex')
    .slice(0, 16)
}
