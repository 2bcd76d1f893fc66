/**
 * One Consul service definition to one instance, with Consul's defaults. What is wrong in a part that does not matter
 * to routing (a tag, a check) costs that part; what does matter (name, port) costs the definition. Pure.
 */
import { isList } from '../../config/locate.ts'
import { clip } from '../../config/read-yaml.ts'
import { instanceKey, instanceWeightMax } from '../snapshot.ts'
import type { Instance, InstanceStatus } from '../snapshot.ts'
import { Fields } from './fields.ts'
import type { Field } from './fields.ts'

export interface Fault {
  readonly offset: number
  /** What is wrong and what it costs. */
  readonly message: string
}

export interface ParsedDefinition {
  /** Undefined when the definition cannot be used; there is a fault then. */
  readonly instance: Instance | undefined
  readonly faults: readonly Fault[]
}

/** A file has no node; the name stands in every instance's identity. */
const node = 'file'

class Refused extends Error {
  readonly offset: number

  constructor(offset: number, message: string) {
    super(message)
    this.offset = offset
  }
}

/** Never throws. `source` is the name of the catalog source. */
export function parseDefinition(fields: Fields, source: string): ParsedDefinition {
  const faults: Fault[] = []
  try {
    return { instance: read(fields, source, faults), faults }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { instance: undefined, faults: [...faults, { offset: error.offset, message: error.message }] }
  }
}

function read(fields: Fields, source: string, faults: Fault[]): Instance {
  if (!fields.isMapping) throw new Refused(fields.place.start, 'this is no service definition; it is left out')
  const service = text(fields, 'name')
  if (service === undefined) throw new Refused(fields.place.start, 'this definition has no name; it is left out')
  const id = text(fields, 'id') ?? service
  const address = text(fields, 'address') ?? '127.0.0.1'
  const parts = { source, node, service, id, address, port: portOf(fields, service) }
  return Object.freeze({
    ...parts,
    key: instanceKey(parts),
    tags: tagsOf(fields, service, faults),
    meta: metaOf(fields, service, faults),
    nodeMeta: Object.freeze(Object.create(null) as Record<string, string>),
    weights: weightsOf(fields, service, faults),
    status: statusOf(fields, service, faults),
    agentLost: false,
    createIndex: 0,
  })
}

/** A text without control characters or spaces at its ends; undefined when absent or empty. */
function text(fields: Fields, name: string): string | undefined {
  const field = fields.take(name)
  if (!field || field.raw === '') return undefined
  if (
    typeof field.raw === 'string' &&
    field.raw.length <= 255 &&
    /^[^\s\p{Cc}](?:[^\p{Cc}]*[^\s\p{Cc}])?$/u.test(field.raw)
  )
    return field.raw
  throw new Refused(field.place.start, `${field.key} is no usable text; this definition is left out`)
}

function portOf(fields: Fields, service: string): number {
  const field = fields.take('port')
  if (!field) throw new Refused(fields.place.start, `${clip(service)} has no port; this definition is left out`)
  const port = typeof field.raw === 'string' && /^\d{1,5}$/.test(field.raw) ? Number(field.raw) : 0
  if (port >= 1 && port <= 65_535) return port
  throw new Refused(field.place.start, `the port of ${clip(service)} is not 1 to 65535; this definition is left out`)
}

function tagsOf(fields: Fields, service: string, faults: Fault[]): readonly string[] {
  const field = fields.take('tags')
  if (!field) return Object.freeze([])
  const items = isList(field.raw) ? field.raw : []
  const tags = items.filter((tag) => typeof tag === 'string')
  if (!isList(field.raw) || tags.length < items.length)
    faults.push(fault(field, `the tags of ${clip(service)} are not a list of texts; what is none is ignored`))
  return Object.freeze([...new Set(tags)].toSorted())
}

function metaOf(fields: Fields, service: string, faults: Fault[]): Readonly<Record<string, string>> {
  const field = fields.take('meta')
  const meta = Object.create(null) as Record<string, string>
  if (!field) return Object.freeze(meta)
  const entries = typeof field.raw === 'object' && !isList(field.raw) ? Object.entries(field.raw) : undefined
  // In the order of the keys, so that equal metas are equal texts.
  for (const [key, value] of entries?.toSorted(([a], [b]) => (a < b ? -1 : 1)) ?? [])
    if (typeof value === 'string' || value === undefined) meta[key] = value ?? ''
  if (!entries || Object.keys(meta).length < entries.length)
    faults.push(fault(field, `the meta of ${clip(service)} is not texts by key; what is none is ignored`))
  return Object.freeze(meta)
}

function weightsOf(fields: Fields, service: string, faults: Fault[]): Instance['weights'] {
  const field = fields.take('weights')
  if (!field) return Object.freeze({ passing: 1, warning: 1 })
  const inner = new Fields(field.raw, field.place)
  const passing = weight(inner.take('passing'), 1)
  const warning = weight(inner.take('warning'), 0)
  if (passing === undefined || warning === undefined || !inner.isMapping)
    faults.push(fault(field, `the weights of ${clip(service)} are not whole numbers (passing at least 1); 1 is used`))
  return Object.freeze({ passing: passing ?? 1, warning: warning ?? 1 })
}

function weight(field: Field | undefined, least: number): number | undefined {
  if (!field) return 1
  if (typeof field.raw !== 'string' || !/^\d{1,5}$/.test(field.raw)) return undefined
  return Number(field.raw) >= least && Number(field.raw) <= instanceWeightMax ? Number(field.raw) : undefined
}

const statuses: readonly InstanceStatus[] = ['passing', 'warning', 'critical', 'maintenance']

/** The worst literal `status` of its checks, or its own; checks themselves are nobody's to run here. */
function statusOf(fields: Fields, service: string, faults: Fault[]): InstanceStatus {
  let worst = 0
  const consider = (field: Field | undefined): void => {
    if (!field) return
    const rank = statuses.findIndex((status) => status === field.raw)
    if (rank >= 0) worst = Math.max(worst, rank)
    else faults.push(fault(field, `a status of ${clip(service)} is none of ${statuses.join(', ')}; it is ignored`))
  }
  consider(fields.take('status'))
  const check = fields.take('check')
  if (check) consider(new Fields(check.raw, check.place).take('status'))
  const checks = fields.take('checks')
  if (checks && isList(checks.raw))
    for (const [index, raw] of checks.raw.entries())
      consider(new Fields(raw, checks.place.children.get(String(index)) ?? checks.place).take('status'))
  return statuses[worst] ?? 'passing'
}

function fault(field: Field, message: string): Fault {
  return { offset: field.place.start, message }
}
