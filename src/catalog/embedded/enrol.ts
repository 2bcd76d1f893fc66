/**
 * Puts the catalog's own node into the catalog at start: the node itself, its `serfHealth`, and, when the node was called
 * otherwise before, everything that ran under the former name.
 */
import { isIP } from 'node:net'
import { checkChange, nodeChange, SERF_HEALTH } from './agent-commands.ts'
import type { Parts } from './parts.ts'
import type { Change } from './records.ts'
import type { NodeEntry } from './state.ts'
import { uuid } from './uuid.ts'

/** Our own node and its health, if they are not there; what an earlier name of ours held moves along. */
export function enrol(parts: Parts, address: string): void {
  const { store, nodeName, random } = parts
  const before = store.state.nodes.get(nodeName)?.record
  const former = [...store.state.nodes.values()].find((it) => it.record.local && it.record.name !== nodeName)
  store.commit((index) => [
    ...nodeChange(
      store.state,
      {
        name: nodeName,
        id: before?.id || former?.record.id || uuid(random),
        address,
        taggedAddresses: taggedNode(address),
        meta: { 'consul-network-segment': '' },
        local: true,
      },
      index,
    ),
  ])
  const health = {
    node: nodeName,
    id: SERF_HEALTH,
    name: 'Serf Health Status',
    status: 'passing' as const,
    notes: '',
    output: 'Agent alive and reachable',
    serviceId: '',
    serviceName: '',
    type: '',
    definition: {},
  }
  store.commit((index) => checkChange(store.state, health, index))
  if (former) store.commit(() => rename(former, nodeName))
}

function rename(former: NodeEntry, name: string): Change[] {
  const checks = [...former.checks.values()].filter((check) => check.id !== SERF_HEALTH)
  return [
    ...[...former.services.values()].map((it): Change => ({ kind: 'service', service: { ...it, node: name } })),
    ...checks.map((it): Change => ({ kind: 'check', check: { ...it, node: name } })),
    { kind: 'node-gone', name: former.record.name },
  ]
}

function taggedNode(address: string): Record<string, string> {
  const family = isIP(address)
  const extra = family === 0 ? {} : { [`lan_ipv${String(family)}`]: address, [`wan_ipv${String(family)}`]: address }
  return Object.fromEntries(
    Object.entries({ lan: address, wan: address, ...extra }).sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
