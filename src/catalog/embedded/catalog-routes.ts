/**
 * `/v1/catalog/*` reads: which services there are, on which nodes. A set of services blocks on one index that check results
 * do not move. Tags come sorted, so that equal sets are equal bytes (Consul's order is random).
 */
import type { CatalogRequest, Parts, Route } from './parts.ts'
import { json, Refusal } from './reply.ts'
import type { NodeEntry } from './state.ts'
import type { Topic } from './store.ts'
import { catalogServiceView, nodeView, serviceView } from './views.ts'
import { instancesOf } from './instances.ts'

export function catalogReadRoutes(parts: Parts): Route[] {
  const { store, datacenter } = parts
  const state = store.state
  const services: Topic = { table: 'catalog', index: () => state.servicesIndex }
  const nodes: Topic = { table: 'catalog', index: () => state.nodesIndex }
  const both: Topic = { table: 'catalog', index: () => Math.max(state.servicesIndex, state.nodesIndex) }

  const listServices = (request: CatalogRequest) =>
    request.blocking(services, () => {
      const wanted = nodeMetaFilter(request.query)
      const result: Record<string, string[]> = Object.create(null) as Record<string, string[]>
      for (const name of [...state.byName.keys()].sort()) {
        const tags = new Set<string>()
        let any = false
        for (const service of state.byName.get(name)?.values() ?? []) {
          const entry = state.nodes.get(service.node)
          if (!entry || !wanted(entry)) continue
          any = true
          for (const tag of service.tags) tags.add(tag)
        }
        if (any) result[name] = [...tags].sort()
      }
      return json(result)
    })

  const listInstances = (request: CatalogRequest) => {
    if (request.rest === '') throw new Refusal(400, 'Missing service name')
    const topic: Topic = { table: 'catalog', index: () => state.definitionIndex(request.rest) }
    return request.blocking(topic, () => {
      const wanted = nodeMetaFilter(request.query)
      const found = instancesOf(state, request.rest, request.query.getAll('tag')).filter(({ entry }) => wanted(entry))
      return json(found.map(({ service, entry }) => catalogServiceView(service, entry.record, datacenter)))
    })
  }

  const listNodes = (request: CatalogRequest) =>
    request.blocking(nodes, () => {
      const wanted = nodeMetaFilter(request.query)
      const found = [...state.nodes.values()].filter(wanted).sort((a, b) => (a.record.name < b.record.name ? -1 : 1))
      return json(found.map((entry) => nodeView(entry.record, datacenter)))
    })

  const node = (request: CatalogRequest) => {
    if (request.rest === '') throw new Refusal(400, 'Missing node name')
    return request.blocking(both, () => {
      const entry = findNode(state.nodes, request.rest)
      if (!entry) return json(null)
      const ids = [...entry.services.keys()].sort()
      const own = ids.flatMap((id) => entry.services.get(id) ?? [])
      const views = Object.fromEntries(own.map((service) => [service.id, serviceView(service)]))
      return json({ Node: nodeView(entry.record, datacenter), Services: views })
    })
  }

  return [
    { path: '/v1/catalog/services', methods: { GET: listServices } },
    { path: '/v1/catalog/service/', methods: { GET: listInstances } },
    { path: '/v1/catalog/nodes', methods: { GET: listNodes } },
    { path: '/v1/catalog/node/', methods: { GET: node } },
    { path: '/v1/catalog/datacenters', methods: { GET: () => json([datacenter]) } },
  ]
}

/** `?node-meta=key:value`, any number of times: all must hold. */
export function nodeMetaFilter(query: URLSearchParams): (entry: NodeEntry) => boolean {
  const pairs = query.getAll('node-meta').map((pair) => {
    const at = pair.indexOf(':')
    return at < 0 ? ([pair, ''] as const) : ([pair.slice(0, at), pair.slice(at + 1)] as const)
  })
  return ({ record: { meta } }) => pairs.every(([key, value]) => (Object.hasOwn(meta, key) ? meta[key] : '') === value)
}

function findNode(nodes: ReadonlyMap<string, NodeEntry>, nameOrId: string): NodeEntry | undefined {
  const named = nodes.get(nameOrId)
  if (named) return named
  for (const entry of nodes.values()) if (entry.record.id !== '' && entry.record.id === nameOrId) return entry
  return undefined
}
