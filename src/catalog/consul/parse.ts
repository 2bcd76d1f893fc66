/**
 * What `health/service/NAME` says, as instances: all checks of an instance and of its node count, an entry that cannot be
 * used costs only itself and is named. Pure; nothing of the input is kept by reference.
 * Source: Consul's health API; the order of statuses is that of its own Go client (`AggregatedStatus`).
 */
import type { Problem } from '../../core/problem.ts'
import { type Instance, type InstanceStatus, instanceKey, instanceWeightMax } from '../snapshot.ts'

export interface ParsedService {
  /** Sorted by key, without duplicates. */
  readonly instances: readonly Instance[]
  readonly problems: readonly Problem[]
}

type Json = Readonly<Record<string, unknown>>

/** A definition that cannot be used; the message says which part of it. */
class BadEntry extends Error {}

/** `json` is the parsed body; throws a plain Error only when it is no list at all. */
export function parseHealthService(json: unknown, source: string, service: string): ParsedService {
  if (!Array.isArray(json)) throw new Error(`health of ${service} is no list`)
  const instances = new Map<string, Instance>()
  const problems: Problem[] = []
  for (const entry of json as unknown[]) {
    const where = describe(entry, source, service)
    const problem = (message: string): void =>
      void problems.push(Object.freeze({ code: 'bad-instance', where, message }))
    try {
      const instance = parseEntry(entry, source, service, problem)
      if (instances.has(instance.key)) problem('is listed twice; the first one counts')
      else instances.set(instance.key, instance)
    } catch (error) {
      if (!(error instanceof BadEntry)) throw error
      problem(`${error.message}; this instance is not used`)
    }
  }
  return {
    instances: Object.freeze([...instances.values()].sort((a, b) => (a.key < b.key ? -1 : 1))),
    problems: Object.freeze(problems),
  }
}

function parseEntry(entry: unknown, source: string, service: string, problem: (message: string) => void): Instance {
  const root = object(entry, 'the entry')
  const node = object(root['Node'], 'Node')
  const definition = object(root['Service'], 'Service')
  const own = definition['Service']
  if (own !== undefined && own !== service) throw new BadEntry(`Service.Service is ${show(own)}`)
  const parts = {
    source,
    node: name(node['Node'], 'Node.Node'),
    service,
    id: name(definition['ID'], 'Service.ID'),
    address: host(definition['Address'], node['Address']),
    port: port(definition['Port']),
  }
  const createIndex = definition['CreateIndex']
  return Object.freeze({
    key: instanceKey(parts),
    ...parts,
    tags: tags(definition['Tags']),
    meta: strings(definition['Meta'], 'Service.Meta'),
    nodeMeta: strings(node['Meta'], 'Node.Meta'),
    weights: weights(definition['Weights'], problem),
    ...judge(root['Checks']),
    createIndex: typeof createIndex === 'number' && createIndex > 0 ? createIndex : 0,
  })
}

/** The aggregate of all checks, and whether nothing but the death of the node's agent makes it critical. */
function judge(checks: unknown): { readonly status: InstanceStatus; readonly agentLost: boolean } {
  if (checks !== undefined && checks !== null && !Array.isArray(checks)) throw new BadEntry('Checks is no list')
  let [maintenance, warning, critical, lost] = [false, false, false, false]
  for (const entry of (checks ?? []) as unknown[]) {
    const check = object(entry, 'a check')
    const id = check['CheckID']
    if (typeof id !== 'string') throw new BadEntry('a check has no CheckID')
    // Consul sets and removes these by hand of an operator; whatever their status, they mean maintenance.
    if (id === '_node_maintenance' || id.startsWith('_service_maintenance:')) maintenance = true
    else if (check['Status'] === 'warning') warning = true
    // A status that nobody knows is no reason to send traffic.
    else if (check['Status'] !== 'passing') {
      if (id === 'serfHealth' && (check['ServiceID'] ?? '') === '') lost = true
      else critical = true
    }
  }
  if (maintenance) return { status: 'maintenance', agentLost: false }
  if (critical || lost) return { status: 'critical', agentLost: !critical }
  return { status: warning ? 'warning' : 'passing', agentLost: false }
}

function weights(value: unknown, problem: (message: string) => void): Instance['weights'] {
  const { Passing: passing, Warning: warning } = (value ?? {}) as { Passing?: unknown; Warning?: unknown }
  // Registrations from outside an agent may lack them, which shows as 0 and 0.
  if ((passing === undefined && warning === undefined) || (passing === 0 && warning === 0)) return evenWeights
  if (isWeight(passing, 1) && isWeight(warning, 0)) return Object.freeze({ passing, warning })
  problem(`Service.Weights is ${show(value)}; 1 and 1 are used`)
  return evenWeights
}

const evenWeights: Instance['weights'] = Object.freeze({ passing: 1, warning: 1 })

function isWeight(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= instanceWeightMax
}

function host(own: unknown, ofNode: unknown): string {
  if (own !== undefined && own !== null && typeof own !== 'string')
    throw new BadEntry(`Service.Address is ${show(own)}`)
  const address = own === undefined || own === null || own === '' ? ofNode : own
  if (typeof address !== 'string' || !/^[\w.:%-]{1,253}$/.test(address))
    throw new BadEntry(`the address is ${show(address)}`)
  return address
}

function port(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535) return value
  throw new BadEntry(`Service.Port is ${show(value)}, not 1 to 65535`)
}

function tags(value: unknown): readonly string[] {
  if (value === undefined || value === null) return noTags
  if (!Array.isArray(value)) throw new BadEntry('Service.Tags is no list')
  for (const tag of value as unknown[]) if (typeof tag !== 'string') throw new BadEntry(`a tag is ${show(tag)}`)
  return value.length === 0 ? noTags : Object.freeze([...new Set(value as string[])].sort())
}

const noTags: readonly string[] = Object.freeze([])

/** A copy without a prototype: `__proto__` is a key that Consul allows, and must stay a mere key. */
function strings(value: unknown, what: string): Readonly<Record<string, string>> {
  const copy = Object.create(null) as Record<string, string>
  if (value !== undefined && value !== null)
    for (const [key, text] of Object.entries(object(value, what))) {
      if (typeof text !== 'string') throw new BadEntry(`${what}.${key} is ${show(text)}`)
      copy[key] = text
    }
  return Object.freeze(copy)
}

function name(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new BadEntry(`${what} is ${show(value)}`)
}

function object(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw new BadEntry(`${what} is ${show(value)}`)
}

function show(value: unknown): string {
  if (value === undefined) return 'missing'
  try {
    return (JSON.stringify(value) ?? typeof value).slice(0, 80)
  } catch {
    // What JSON brought goes back into it, but for a nest deeper than the stack.
    return 'nested too deeply to be shown'
  }
}

/** `consul:web-1 on n1`, as far as the entry tells. */
function describe(entry: unknown, source: string, service: string): string {
  const { Node: node, Service: definition } = (entry ?? {}) as { Node?: unknown; Service?: unknown }
  const id = (definition as Json | null | undefined)?.['ID']
  const on = (node as Json | null | undefined)?.['Node']
  const shown = typeof id === 'string' && id !== '' ? `${service}/${id}` : service
  return `${source}:${shown}${typeof on === 'string' && on !== '' ? ` on ${on}` : ''}`
}
