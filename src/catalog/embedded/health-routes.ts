/**
 * `/v1/health/*`: instances with their checks, and checks by state, service and node.
 * A service without a check gets one that always passes in `health/state` alone: fabio finds services nowhere else.
 */
import { nodeMetaFilter } from './catalog-routes.ts'
import { instancesOf } from './instances.ts'
import type { CatalogRequest, Parts, Route } from './parts.ts'
import type { CheckRecord, ServiceRecord } from './records.ts'
import { json, Refusal } from './reply.ts'
import type { NodeEntry } from './state.ts'
import type { Topic } from './store.ts'
import { checksFor, checkView, nodeView, serviceView, tagsOf } from './views.ts'

export function healthRoutes(parts: Parts): Route[] {
  const { store, datacenter } = parts
  const state = store.state
  const checks: Topic = { table: 'catalog', index: () => state.checksIndex }

  const service = (request: CatalogRequest) => {
    if (request.rest === '') throw new Refusal(400, 'Missing service name')
    const passing = parsePassing(request.query)
    const topic: Topic = { table: 'catalog', index: () => state.serviceIndex(request.rest) }
    return request.blocking(topic, () => {
      const wanted = nodeMetaFilter(request.query)
      const result: object[] = []
      for (const { service, entry } of instancesOf(state, request.rest, request.query.getAll('tag'))) {
        const own = checksFor(entry, service.id)
        if (!wanted(entry) || (passing && own.some((check) => check.status !== 'passing'))) continue
        result.push({
          Node: nodeView(entry.record, datacenter),
          Service: serviceView(service),
          Checks: own.map((check) => checkView(check, tagsOf(entry, check.serviceId))),
        })
      }
      return json(result)
    })
  }

  const byState = (request: CatalogRequest) => {
    if (request.rest === '') throw new Refusal(400, 'Missing check state')
    return request.blocking(checks, () => {
      const wanted = nodeMetaFilter(request.query)
      const result: object[] = []
      for (const entry of sortedNodes(state.nodes)) {
        if (!wanted(entry)) continue
        for (const check of allChecks(entry))
          if (request.rest === 'any' || check.status === request.rest)
            result.push(checkView(check, tagsOf(entry, check.serviceId)))
      }
      return json(result)
    })
  }

  const ofService = (request: CatalogRequest) => {
    if (request.rest === '') throw new Refusal(400, 'Missing service name')
    const topic: Topic = { table: 'catalog', index: () => state.serviceIndex(request.rest) }
    return request.blocking(topic, () => {
      const found = instancesOf(state, request.rest, [])
      const own = found.flatMap(({ service, entry }) =>
        checksFor(entry, service.id)
          .filter((check) => check.serviceId === service.id)
          .map((check) => checkView(check, service.tags)),
      )
      return json(own)
    })
  }

  const ofNode = (request: CatalogRequest) => {
    if (request.rest === '') throw new Refusal(400, 'Missing node name')
    const topic: Topic = { table: 'catalog', index: () => Math.max(state.checksIndex, state.nodesIndex) }
    return request.blocking(topic, () => {
      const entry = state.nodes.get(request.rest)
      const own = [...(entry?.checks.values() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1))
      return json(entry ? own.map((check) => checkView(check, tagsOf(entry, check.serviceId))) : [])
    })
  }

  return [
    { path: '/v1/health/service/', methods: { GET: service } },
    { path: '/v1/health/state/', methods: { GET: byState } },
    { path: '/v1/health/checks/', methods: { GET: ofService } },
    { path: '/v1/health/node/', methods: { GET: ofNode } },
  ]
}

/** `?passing` alone or true; a bad value is refused. */
function parsePassing(query: URLSearchParams): boolean {
  const value = query.get('passing')
  if (value === null) return false
  if (value === '' || /^(?:1|t|T|true|TRUE|True)$/.test(value)) return true
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false
  throw new Refusal(400, 'Invalid value for ?passing')
}

function sortedNodes(nodes: ReadonlyMap<string, NodeEntry>): NodeEntry[] {
  return [...nodes.values()].sort((a, b) => (a.record.name < b.record.name ? -1 : 1))
}

function* allChecks(entry: NodeEntry): Generator<CheckRecord> {
  yield* [...entry.checks.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const service of entry.services.values()) if (!entry.checksOf.has(service.id)) yield synthesised(service)
}

function synthesised(service: ServiceRecord): CheckRecord {
  return {
    node: service.node,
    id: `service:${service.id}`,
    name: `Service '${service.name}' check`,
    status: 'passing',
    notes: 'registered without a check',
    output: '',
    serviceId: service.id,
    serviceName: service.name,
    type: '',
    definition: {},
    createIndex: service.createIndex,
    modifyIndex: service.modifyIndex,
  }
}
