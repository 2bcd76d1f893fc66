/**
 * Records as Consul's JSON shows them, in the two dialects it has: the agent's own (`agent/*`) and the catalog's
 * (`catalog/*`, `health/*`). Pure. Field order and null-or-empty are those measured on 1.8.
 */
import type { CheckRecord, KvRecord, NodeRecord, ServiceRecord, SessionRecord } from './records.ts'
import type { NodeEntry } from './state.ts'

export function nodeView(node: NodeRecord, datacenter: string): object {
  return {
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: datacenter,
    TaggedAddresses: orNull(node.taggedAddresses),
    Meta: orNull(node.meta),
    CreateIndex: node.createIndex,
    ModifyIndex: node.modifyIndex,
  }
}

/** As `health/service` and `catalog/node` show it. */
export function serviceView(service: ServiceRecord): object {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Address: service.address,
    ...tagged('TaggedAddresses', service),
    Meta: orNull(service.meta),
    Port: service.port,
    Weights: service.weights,
    EnableTagOverride: service.enableTagOverride,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  }
}

/** As `agent/services` shows it. */
export function agentServiceView(service: ServiceRecord): object {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: service.meta,
    Port: service.port,
    Address: service.address,
    ...tagged('TaggedAddresses', service),
    Weights: service.weights,
    EnableTagOverride: service.enableTagOverride,
  }
}

/** As `catalog/service` shows it: node and service in one. */
export function catalogServiceView(service: ServiceRecord, node: NodeRecord, datacenter: string): object {
  return {
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: datacenter,
    TaggedAddresses: orNull(node.taggedAddresses),
    NodeMeta: orNull(node.meta),
    ServiceKind: '',
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    ServiceAddress: service.address,
    ...tagged('ServiceTaggedAddresses', service),
    ServiceWeights: service.weights,
    ServiceMeta: service.meta,
    ServicePort: service.port,
    ServiceEnableTagOverride: service.enableTagOverride,
    ServiceProxy: { MeshGateway: {}, Expose: {} },
    ServiceConnect: {},
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  }
}

export function checkView(check: CheckRecord, tags: readonly string[]): object {
  return {
    Node: check.node,
    CheckID: check.id,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: tags,
    Type: check.type,
    Definition: check.definition,
    CreateIndex: check.createIndex,
    ModifyIndex: check.modifyIndex,
  }
}

/** An agent's own checks carry no index. */
export function agentCheckView(check: CheckRecord, tags: readonly string[]): object {
  return { ...checkView(check, tags), Definition: {}, CreateIndex: 0, ModifyIndex: 0 }
}

export function kvView(entry: KvRecord): string {
  const session = entry.session === '' ? '' : `"Session":${JSON.stringify(entry.session)},`
  // Written by hand for Flags alone: a 64-bit integer that JSON.stringify cannot hold.
  return (
    `{"LockIndex":${String(entry.lockIndex)},"Key":${JSON.stringify(entry.key)},"Flags":${entry.flags},` +
    `"Value":${entry.value === '' ? 'null' : JSON.stringify(entry.value)},${session}` +
    `"CreateIndex":${String(entry.createIndex)},"ModifyIndex":${String(entry.modifyIndex)}}`
  )
}

export function sessionView(session: SessionRecord): object {
  return {
    ID: session.id,
    Name: session.name,
    Node: session.node,
    LockDelay: session.lockDelayMs * 1e6,
    Behavior: session.behavior,
    TTL: session.ttl,
    NodeChecks: session.nodeChecks,
    ServiceChecks:
      session.serviceChecks.length > 0 ? session.serviceChecks.map((id) => ({ ID: id, Namespace: '' })) : null,
    CreateIndex: session.createIndex,
    ModifyIndex: session.modifyIndex,
  }
}

/** The node's own checks, then the service's, each sorted by id. */
export function checksFor(entry: NodeEntry, serviceId: string): CheckRecord[] {
  const own = serviceId === '' ? [] : sorted(entry.checksOf.get(serviceId))
  return [...sorted(entry.checksOf.get('')), ...own]
}

/** A service's tags, for its checks. */
export function tagsOf(entry: NodeEntry, serviceId: string): readonly string[] {
  return entry.services.get(serviceId)?.tags ?? []
}

function sorted(checks: ReadonlyMap<string, CheckRecord> | undefined): CheckRecord[] {
  return [...(checks?.values() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function orNull<T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> | null {
  return Object.keys(record).length > 0 ? record : null
}

function tagged(name: string, service: ServiceRecord): object {
  return Object.keys(service.taggedAddresses).length > 0 ? { [name]: service.taggedAddresses } : {}
}
