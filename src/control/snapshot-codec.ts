/**
 * The text of the saved snapshot: one line of header, then one line for each service of each source, as JSON. The header
 * carries a format version and a checksum of all there is, so that a torn or foreign file is told apart; a file is good
 * as a whole or not at all. Pure in meaning: it reads and writes no file and knows no clock.
 */
import { createHash } from 'node:crypto'
import {
  instanceKey,
  type Instance,
  type InstanceStatus,
  type ServiceSnapshot,
  type Snapshot,
} from '../catalog/snapshot.ts'

/** What one source knew, and when it said so (wall clock, ms). */
export interface SourceKnowledge {
  readonly name: string
  readonly snapshot: Snapshot
  readonly asOfMs: number
}

export type Decoded =
  | { readonly kind: 'good'; readonly sources: ReadonlyMap<string, SourceKnowledge> }
  /** `reason` completes "the saved snapshot is not used: …". */
  | { readonly kind: 'bad'; readonly reason: string }

/** Raised when a reader of the version before could not read what is written now. */
export const formatVersion = 1
const format = 'fairlead-snapshot'

// === Writing ===

/** Lines are kept with the service they are of: what did not change is not written out again. */
const lines = new WeakMap<ServiceSnapshot, { readonly source: string; readonly line: string }>()

function lineOf(source: string, service: ServiceSnapshot): string {
  const known = lines.get(service)
  if (known?.source === source) return known.line
  const instances = service.instances.map((one) => ({
    node: one.node,
    id: one.id,
    address: one.address,
    port: one.port,
    tags: one.tags,
    meta: one.meta,
    nodeMeta: one.nodeMeta,
    weights: one.weights,
    status: one.status,
    agentLost: one.agentLost,
    createIndex: one.createIndex,
  }))
  const line = `${JSON.stringify({ source, service: service.name, instances })}\n`
  lines.set(service, { source, line })
  return line
}

function checksum(sources: unknown, body: string): string {
  return createHash('sha256').update(JSON.stringify(sources)).update('\n').update(body).digest('hex')
}

/** All but the header: equal for equal knowledge, whenever it was heard. Problems of a snapshot are not kept. */
export function encodeBody(sources: readonly SourceKnowledge[]): string {
  const parts: string[] = []
  for (const { name, snapshot } of sources)
    for (const service of snapshot.services.values()) parts.push(lineOf(name, service))
  return parts.join('')
}

/** The whole file. `body` is what {@link encodeBody} makes of the same sources. */
export function encodeFile(sources: readonly SourceKnowledge[], body: string): string {
  const told = sources.map(({ name, asOfMs }) => ({ name, asOfMs: Math.round(asOfMs) }))
  const header = { format, version: formatVersion, sources: told, sha256: checksum(told, body) }
  return `${JSON.stringify(header)}\n${body}`
}

// === Reading ===

type Fields = Readonly<Record<string, unknown>>

/** Says why the file is bad; never leaves this module. */
class Bad extends Error {}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Bad(`${what} is no object`)
  return value as Fields
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Bad(`${what} is no list`)
  return value
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Bad(`${what} is no text`)
  return value
}

function filledOf(value: unknown, what: string): string {
  const text = textOf(value, what)
  if (text === '') throw new Bad(`${what} is empty`)
  return text
}

function integerOf(value: unknown, what: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
    throw new Bad(`${what} is no whole number from ${min} to ${max}`)
  return value
}

/** Without a prototype, so that no key means more than itself. */
function textsOf(value: unknown, what: string): Readonly<Record<string, string>> {
  const record = Object.create(null) as Record<string, string>
  for (const [key, text] of Object.entries(fieldsOf(value, what))) record[key] = textOf(text, what)
  return Object.freeze(record)
}

const statuses: Readonly<Record<InstanceStatus, true>> = {
  passing: true,
  warning: true,
  critical: true,
  maintenance: true,
}

function statusOf(value: unknown): InstanceStatus {
  const text = textOf(value, 'status')
  if (!Object.hasOwn(statuses, text)) throw new Bad(`status ${JSON.stringify(text)} is none`)
  return text as InstanceStatus
}

function instanceOf(value: unknown, source: string, service: string): Instance {
  const fields = fieldsOf(value, 'an instance')
  const weights = fieldsOf(fields['weights'], 'weights')
  const parts = {
    source,
    node: textOf(fields['node'], 'node'),
    service,
    id: textOf(fields['id'], 'id'),
    address: filledOf(fields['address'], 'address'),
    port: integerOf(fields['port'], 'port', 1, 65_535),
  }
  if (typeof fields['agentLost'] !== 'boolean') throw new Bad('agentLost is neither true nor false')
  return Object.freeze({
    key: instanceKey(parts),
    ...parts,
    tags: Object.freeze(listOf(fields['tags'], 'tags').map((tag) => textOf(tag, 'a tag'))),
    meta: textsOf(fields['meta'], 'meta'),
    nodeMeta: textsOf(fields['nodeMeta'], 'nodeMeta'),
    weights: Object.freeze({
      passing: integerOf(weights['passing'], 'weight', 0, Number.MAX_SAFE_INTEGER),
      warning: integerOf(weights['warning'], 'weight', 0, Number.MAX_SAFE_INTEGER),
    }),
    status: statusOf(fields['status']),
    agentLost: fields['agentLost'],
    createIndex: integerOf(fields['createIndex'], 'createIndex', 0, Number.MAX_SAFE_INTEGER),
  })
}

const byKey = (a: Instance, b: Instance): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

interface Gathered {
  readonly asOfMs: number
  readonly services: Map<string, ServiceSnapshot>
}

function readHeader(text: string, body: string): ReadonlyMap<string, Gathered> {
  const header = fieldsOf(JSON.parse(text), 'its header')
  if (header['format'] !== format) throw new Bad('it is not one of ours')
  if (header['version'] !== formatVersion)
    throw new Bad(`its format has version ${JSON.stringify(header['version'])}, this program reads ${formatVersion}`)
  const sources = new Map<string, Gathered>()
  for (const entry of listOf(header['sources'], 'the list of sources')) {
    const { name, asOfMs } = fieldsOf(entry, 'a source')
    const at = integerOf(asOfMs, 'a time', 0, 8.64e15)
    sources.set(textOf(name, 'the name of a source'), { asOfMs: at, services: new Map() })
  }
  if (checksum(header['sources'], body) !== header['sha256'])
    throw new Bad('it is torn or was changed: its checksum does not fit')
  return sources
}

function readLine(text: string, sources: ReadonlyMap<string, Gathered>): void {
  const fields = fieldsOf(JSON.parse(text), 'a line')
  const source = textOf(fields['source'], 'source')
  const name = textOf(fields['service'], 'service')
  const services = sources.get(source)?.services
  if (!services || services.has(name)) throw new Bad(`a line is of ${JSON.stringify(source)}, which it may not be`)
  const instances = listOf(fields['instances'], 'instances').map((value) => instanceOf(value, source, name))
  services.set(name, Object.freeze({ name, instances: Object.freeze(instances.sort(byKey)) }))
}

/** Reads what {@link encodeFile} wrote; whatever else `text` is, the answer is `bad` and nothing is thrown. */
export function decodeFile(text: string): Decoded {
  try {
    const end = text.indexOf('\n')
    if (end < 0) throw new Bad('it has no header')
    const body = text.slice(end + 1)
    const gathered = readHeader(text.slice(0, end), body)
    for (const line of body.split('\n')) if (line !== '') readLine(line, gathered)
    const sources = new Map<string, SourceKnowledge>()
    for (const [name, { asOfMs, services }] of gathered) {
      const snapshot = Object.freeze({ version: 0, services, problems: Object.freeze([]) })
      sources.set(name, Object.freeze({ name, snapshot, asOfMs }))
    }
    return { kind: 'good', sources }
  } catch (error) {
    if (error instanceof Bad) return { kind: 'bad', reason: error.message }
    if (error instanceof SyntaxError) return { kind: 'bad', reason: 'it is not JSON' }
    throw error
  }
}
