/**
 * `catalog/register` and `catalog/deregister`: nodes, services and checks that somebody else looks after, written straight
 * into the catalog. Nobody runs their checks here. Pure.
 */
import { checkChange, nodeChange, serviceChange, SERF_HEALTH } from './agent-commands.ts'
import { asObject, Fields } from './decode.ts'
import { isStatus, parseService } from './definitions.ts'
import type { Change, CheckRecord } from './records.ts'
import { Refusal } from './reply.ts'
import type { CatalogState } from './state.ts'

const FIELDS: readonly string[] = (
  'ID Node Address Datacenter TaggedAddresses NodeMeta Service Check Checks ' +
  'SkipNodeUpdate WriteRequest Namespace Partition PeerName'
).split(' ')
const CHECK_FIELDS: readonly string[] = (
  'Node CheckID Name Status Notes Output ServiceID ServiceName ServiceTags Type ' +
  'Definition CreateIndex ModifyIndex Namespace Partition ExposedPort Interval Timeout'
).split(' ')

/** Throws a Refusal. */
export function registerNode(state: CatalogState, body: object, datacenter: string, index: number): Change[] {
  const fields = new Fields(body, FIELDS)
  const name = fields.string('Node')
  const address = fields.string('Address')
  const dc = fields.string('Datacenter')
  if (dc !== '' && dc !== datacenter) throw new Refusal(500, 'No path to datacenter')
  if (name === '') throw new Refusal(500, 'Must provide node')
  const before = state.nodes.get(name)?.record
  const skip = fields.boolean('SkipNodeUpdate')
  if (address === '' && !skip) throw new Refusal(500, 'Must provide address if SkipNodeUpdate is not set')
  const node = {
    name,
    id: fields.string('ID') || (before?.id ?? ''),
    address,
    taggedAddresses: fields.stringMap('TaggedAddresses'),
    meta: fields.stringMap('NodeMeta'),
    local: false,
  }
  // Our own node is what this agent says it is; only what runs on it can be written from outside.
  const changes = before && (before.local || skip) ? [] : nodeChange(state, node, index)
  const service = fields.object('Service')
  if (service) changes.push(...registerForeignService(state, name, service, index))
  const one = fields.object('Check')
  for (const check of [...(one ? [one] : []), ...fields.list('Checks')])
    changes.push(...registerForeignCheck(state, name, asObject(check, 'Checks'), changes, index))
  return changes
}

/** Throws a Refusal. */
export function deregisterNode(state: CatalogState, body: object): Change[] {
  const fields = new Fields(body, [
    'Node',
    'Datacenter',
    'ServiceID',
    'CheckID',
    'Address',
    'WriteRequest',
    'Namespace',
    'Partition',
  ])
  const node = fields.string('Node')
  if (node === '') throw new Refusal(500, 'Must provide node')
  const [service, check] = [fields.string('ServiceID'), fields.string('CheckID')]
  const entry = state.nodes.get(node)
  if (!entry) return []
  if (service !== '') return entry.services.has(service) ? [{ kind: 'service-gone', node, id: service }] : []
  if (entry.record.local && (check === '' || check === SERF_HEALTH))
    throw new Refusal(400, 'The embedded catalog cannot deregister its own node')
  if (check !== '') return entry.checks.has(check) ? [{ kind: 'check-gone', node, id: check }] : []
  return [{ kind: 'node-gone', name: node }]
}

/** In a service definition of the catalog the name is called Service. */
function registerForeignService(state: CatalogState, node: string, body: object, index: number): Change[] {
  const renamed = Object.entries(body)
    .filter(([key]) => !/^(?:createindex|modifyindex)$/i.test(key))
    .map(([key, value]) => [/^service$/i.test(key) ? 'Name' : key, value as unknown] as const)
  const { checks: _checks, ...service } = parseService(Object.fromEntries(renamed))
  return serviceChange(state, { ...service, node }, index)
}

function registerForeignCheck(
  state: CatalogState,
  node: string,
  body: object,
  pending: readonly Change[],
  index: number,
): Change[] {
  const fields = new Fields(body, CHECK_FIELDS)
  const serviceId = fields.string('ServiceID')
  const service =
    pending.flatMap((change) =>
      change.kind === 'service' && change.service.id === serviceId ? change.service : [],
    )[0] ?? state.service(node, serviceId)
  if (serviceId !== '' && !service) throw new Refusal(500, 'Missing service registration')
  const status = fields.string('Status') || 'critical'
  if (!isStatus(status)) throw new Refusal(400, `Invalid check status: '${status}'`)
  const definition = { ...fields.object('Definition') } as Record<string, unknown>
  const id = fields.string('CheckID') || fields.string('Name')
  if (id === '') throw new Refusal(400, 'Missing check name')
  const type = definition['HTTP'] ? 'http' : definition['TCP'] ? 'tcp' : fields.string('Type')
  const record: Omit<CheckRecord, 'createIndex' | 'modifyIndex'> = {
    node,
    id,
    name: fields.string('Name'),
    status,
    notes: fields.string('Notes'),
    output: fields.string('Output'),
    serviceId,
    serviceName: service?.name ?? '',
    type,
    definition,
    ...runOf(state, node, id),
  }
  return checkChange(state, record, index)
}

/** A check that this agent runs goes on running, whatever somebody writes over its status. */
function runOf(state: CatalogState, node: string, id: string): Pick<CheckRecord, 'run'> {
  const run = state.check(node, id)?.run
  return run ? { run } : {}
}
