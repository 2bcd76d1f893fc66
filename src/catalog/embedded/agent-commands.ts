/**
 * What an agent's writes change: services, their checks, maintenance. Pure: from the state and a definition to the list of
 * changes, empty when nothing would differ (so that an identical registration moves no index and wakes nobody).
 */
import type { CheckDefinition, ServiceDefinition } from './definitions.ts'
import type { Change, CheckRecord, NodeRecord, ServiceRecord } from './records.ts'
import { Refusal } from './reply.ts'
import type { CatalogState } from './state.ts'

export const SERF_HEALTH = 'serfHealth'
const NODE_MAINTENANCE = '_node_maintenance'
const SERVICE_MAINTENANCE = '_service_maintenance:'

/** The record to write, or nothing if the one there says the same. Its CreateIndex survives. */
export function serviceChange(
  state: CatalogState,
  service: Omit<ServiceRecord, 'createIndex' | 'modifyIndex'>,
  index: number,
): Change[] {
  const before = state.service(service.node, service.id)
  if (before && same(before, service)) return []
  const createIndex = before && before.name === service.name ? before.createIndex : index
  return [{ kind: 'service', service: { ...service, createIndex, modifyIndex: index } }]
}

export function checkChange(
  state: CatalogState,
  check: Omit<CheckRecord, 'createIndex' | 'modifyIndex'>,
  index: number,
): Change[] {
  const before = state.check(check.node, check.id)
  if (before && same(before, check)) return []
  return [{ kind: 'check', check: { ...check, createIndex: before?.createIndex ?? index, modifyIndex: index } }]
}

export function nodeChange(
  state: CatalogState,
  node: Omit<NodeRecord, 'createIndex' | 'modifyIndex'>,
  index: number,
): Change[] {
  const before = state.nodes.get(node.name)?.record
  if (before && same(before, node)) return []
  return [{ kind: 'node', node: { ...node, createIndex: before?.createIndex ?? index, modifyIndex: index } }]
}

/**
 * A service with its checks. A check that is registered already keeps its status and output; others of the service stay,
 * unless `replaceChecks`.
 */
export function registerService(
  state: CatalogState,
  node: string,
  definition: ServiceDefinition,
  replaceChecks: boolean,
  index: number,
): Change[] {
  const { checks, ...service } = definition
  const ids = checks.map((check, at) => checkId(check, definition.id, at, checks.length))
  const changes = serviceChange(state, { ...service, node }, index)
  const renamed = state.service(node, definition.id)?.name !== definition.name
  const existing = state.nodes.get(node)?.checksOf.get(definition.id)
  for (const check of existing?.values() ?? []) {
    if (ids.includes(check.id)) continue
    if (replaceChecks) changes.push({ kind: 'check-gone', node, id: check.id })
    else if (renamed) changes.push(...checkChange(state, { ...bare(check), serviceName: definition.name }, index))
  }
  for (const [at, check] of checks.entries()) {
    const record = checkRecord(check, node, ids[at] ?? '', definition.id, definition.name)
    changes.push(...checkChange(state, keepStatus(state, record), index))
  }
  return changes
}

export function deregisterService(state: CatalogState, node: string, id: string): Change[] {
  return state.service(node, id) ? [{ kind: 'service-gone', node, id }] : []
}

/** Throws a Refusal (500) if its service is not there. Returns the changes and the id it got. */
export function registerCheck(
  state: CatalogState,
  node: string,
  definition: CheckDefinition,
  index: number,
): { changes: Change[]; id: string } {
  if (definition.name === '') throw new Refusal(400, 'Missing check name')
  const service = definition.serviceId === '' ? undefined : state.service(node, definition.serviceId)
  if (definition.serviceId !== '' && !service)
    throw new Refusal(500, `ServiceID ${JSON.stringify(definition.serviceId)} does not exist`)
  const id = definition.id || definition.name
  const record = checkRecord(definition, node, id, definition.serviceId, service?.name ?? '')
  return { changes: checkChange(state, keepStatus(state, record), index), id }
}

export function deregisterCheck(state: CatalogState, node: string, id: string): Change[] {
  if (id === SERF_HEALTH) return []
  return state.check(node, id) ? [{ kind: 'check-gone', node, id }] : []
}

/** Maintenance of a service, or of the node if `serviceId` is empty. */
export function setMaintenance(
  state: CatalogState,
  node: string,
  serviceId: string,
  enable: boolean,
  reason: string,
  index: number,
): Change[] {
  const id = serviceId === '' ? NODE_MAINTENANCE : SERVICE_MAINTENANCE + serviceId
  if (!enable) return deregisterCheck(state, node, id)
  if (state.check(node, id)) return []
  const what = serviceId === '' ? 'node' : 'service'
  const record: Omit<CheckRecord, 'createIndex' | 'modifyIndex'> = {
    node,
    id,
    name: serviceId === '' ? 'Node Maintenance Mode' : 'Service Maintenance Mode',
    status: 'critical',
    notes:
      reason || `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`,
    output: '',
    serviceId,
    serviceName: state.service(node, serviceId)?.name ?? '',
    type: 'maintenance',
    definition: {},
  }
  return checkChange(state, record, index)
}

export function isMaintenance(checkId: string): boolean {
  return checkId === NODE_MAINTENANCE || checkId.startsWith(SERVICE_MAINTENANCE)
}

function checkId(check: CheckDefinition, serviceId: string, at: number, count: number): string {
  if (check.id !== '') return check.id
  return count > 1 ? `service:${serviceId}:${String(at + 1)}` : `service:${serviceId}`
}

function checkRecord(
  check: CheckDefinition,
  node: string,
  id: string,
  serviceId: string,
  serviceName: string,
): Omit<CheckRecord, 'createIndex' | 'modifyIndex'> {
  return {
    node,
    id,
    name: check.name || `Service '${serviceName}' check`,
    status: check.status,
    notes: check.notes,
    output: '',
    serviceId,
    serviceName,
    type: check.run.probe.kind,
    definition: {},
    run: check.run,
  }
}

function keepStatus<T extends Pick<CheckRecord, 'node' | 'id' | 'status' | 'output'>>(
  state: CatalogState,
  record: T,
): T {
  const before = state.check(record.node, record.id)
  return before ? { ...record, status: before.status, output: before.output } : record
}

function bare(check: CheckRecord): Omit<CheckRecord, 'createIndex' | 'modifyIndex'> {
  const { createIndex: _create, modifyIndex: _modify, ...rest } = check
  return rest
}

/** Whether two records say the same, their indexes aside. Both are plain JSON; the order of keys does not count. */
function same(before: object, after: object): boolean {
  return canonical(before) === canonical(after)
}

function canonical(value: object): string {
  return JSON.stringify(value, (key, member: unknown) => {
    if (key === 'createIndex' || key === 'modifyIndex') return undefined
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
