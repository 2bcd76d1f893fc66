/**
 * The text of the saved snapshot: one line of header, then one line for each service of each source of the catalog, then one
 * for each document of each source of policy, as JSON. The header carries a format version and a checksum of all there is, so that a torn or foreign file is told apart; a file is good
 * as a whole or not at all. Pure in meaning: it reads and writes no file and knows no clock.
 */
import { Buffer } from 'node:buffer'
import { createHash, type Hash } from 'node:crypto'
import {
  instanceKey,
  type Instance,
  type InstanceStatus,
  type ServiceSnapshot,
  type Snapshot,
} from '../catalog/snapshot.ts'
import type { Steps } from '../core/turn.ts'
import type { DocumentKnowledge, PolicyDocument } from '../policy/documents/documents.ts'

/** What one source knew, and when it said so (wall clock, ms). */
export interface SourceKnowledge {
  readonly name: string
  readonly snapshot: Snapshot
  readonly asOfMs: number
}

/** All that is saved. */
export interface Knowledge {
  readonly sources: readonly SourceKnowledge[]
  readonly policies: readonly DocumentKnowledge[]
}

/** All that was saved, by the names of sources. */
export interface Saved {
  readonly sources: ReadonlyMap<string, SourceKnowledge>
  readonly policies: ReadonlyMap<string, DocumentKnowledge>
}

export type Decoded =
  | ({ readonly kind: 'good' } & Saved)
  /** `reason` completes "the saved snapshot is not used: …". */
  | { readonly kind: 'bad'; readonly reason: string }

/** Raised when a reader of the version before could not read what is written now. Version 1 had no documents, and is read. */
export const formatVersion = 2
const oldestReadable = 1
const format = 'fairlead-snapshot'

// === Writing ===

/** Characters written out in one step: less than a millisecond's work. */
export const stepChars = 65_536

/** Lines are kept with what they are of: what did not change is not written out again, and has the very same line. */
const lines = new WeakMap<ServiceSnapshot | PolicyDocument, { readonly source: string; readonly line: string }>()

function serviceText(source: string, service: ServiceSnapshot): string {
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
  return JSON.stringify({ source, service: service.name, instances })
}

function documentText(policy: string, { key, text, modifyIndex, flaw }: PolicyDocument): string {
  return JSON.stringify({ policy, key, text, modifyIndex, flaw })
}

/** What the header tells beside the body; version 1 tells of sources only. */
function checksumOf(told: readonly unknown[]): Hash {
  const hash = createHash('sha256')
  for (const one of told) hash.update(JSON.stringify(one)).update('\n')
  return hash
}

/** All but the header, line by line: equal for equal knowledge, whenever it was heard. Problems of a snapshot are not kept. */
export function* encodeBody({ sources, policies }: Knowledge): Steps<readonly string[]> {
  const body: string[] = []
  let chars = 0
  function* add<T extends ServiceSnapshot | PolicyDocument>(
    source: string,
    all: Iterable<T>,
    text: (source: string, one: T) => string,
  ): Steps<void> {
    for (const one of all) {
      let known = lines.get(one)
      if (known?.source !== source) {
        lines.set(one, (known = { source, line: `${text(source, one)}\n` }))
        chars += known.line.length
      }
      body.push(known.line)
      if (chars < stepChars) continue
      yield
      chars = 0
    }
  }
  for (const { name, snapshot } of sources) yield* add(name, snapshot.services.values(), serviceText)
  for (const { source, documents } of policies) yield* add(source, documents.values(), documentText)
  return body
}

/** The whole file, in pieces. `body` is what {@link encodeBody} makes of the same knowledge. */
export function* encodeFile(knowledge: Knowledge, body: Iterable<string>): Steps<readonly Buffer[]> {
  const sources = knowledge.sources.map(({ name, asOfMs }) => ({ name, asOfMs: Math.round(asOfMs) }))
  const policies = knowledge.policies.map(({ source, asOfMs }) => ({ name: source, asOfMs: Math.round(asOfMs) }))
  const hash = checksumOf([sources, policies])
  const pieces: Buffer[] = []
  let text = ''
  const take = (): void => {
    const piece = Buffer.from(text)
    hash.update(piece)
    pieces.push(piece)
    text = ''
  }
  for (const line of body) {
    text += line
    if (text.length < stepChars) continue
    take()
    yield
  }
  take()
  const header = { format, version: formatVersion, sources, policies, sha256: hash.digest('hex') }
  return [Buffer.from(`${JSON.stringify(header)}\n`), ...pieces]
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

interface GatheredSource {
  readonly asOfMs: number
  readonly services: Map<string, ServiceSnapshot>
}

interface GatheredPolicy {
  readonly asOfMs: number
  readonly documents: Map<string, PolicyDocument>
}

interface Gathered {
  readonly sources: ReadonlyMap<string, GatheredSource>
  readonly policies: ReadonlyMap<string, GatheredPolicy>
}

/** Names and times, as the header tells them of sources of either kind. */
function timesOf(value: unknown): readonly (readonly [string, number])[] {
  return listOf(value, 'the list of sources').map((entry) => {
    const { name, asOfMs } = fieldsOf(entry, 'a source')
    return [textOf(name, 'the name of a source'), integerOf(asOfMs, 'a time', 0, 8.64e15)] as const
  })
}

function readHeader(text: string, body: string): Gathered {
  const header = fieldsOf(JSON.parse(text), 'its header')
  if (header['format'] !== format) throw new Bad('it is not one of ours')
  const version = header['version']
  if (typeof version !== 'number' || version < oldestReadable || version > formatVersion)
    throw new Bad(`its format has version ${JSON.stringify(header['version'])}, this program reads ${formatVersion}`)
  const sourcesTold = listOf(header['sources'], 'the list of sources')
  const told =
    version === oldestReadable ? [sourcesTold] : [sourcesTold, listOf(header['policies'], 'the list of policies')]
  if (checksumOf(told).update(body).digest('hex') !== header['sha256'])
    throw new Bad('it is torn or was changed: its checksum does not fit')
  const sources = timesOf(told[0]).map(([name, asOfMs]) => [name, { asOfMs, services: new Map() }] as const)
  const policies = timesOf(told[1] ?? []).map(([name, asOfMs]) => [name, { asOfMs, documents: new Map() }] as const)
  return { sources: new Map(sources), policies: new Map(policies) }
}

const flaws: Readonly<Record<NonNullable<PolicyDocument['flaw']>, true>> = { 'too-large': true, 'not-utf8': true }

function documentOf(fields: Fields): PolicyDocument {
  const flaw = fields['flaw'] === undefined ? undefined : textOf(fields['flaw'], 'flaw')
  if (flaw !== undefined && !Object.hasOwn(flaws, flaw)) throw new Bad(`flaw ${JSON.stringify(flaw)} is none`)
  return Object.freeze({
    key: filledOf(fields['key'], 'key'),
    text: textOf(fields['text'], 'text'),
    modifyIndex: integerOf(fields['modifyIndex'], 'modifyIndex', 0, Number.MAX_SAFE_INTEGER),
    ...(flaw === undefined ? {} : { flaw: flaw as NonNullable<PolicyDocument['flaw']> }),
  })
}

function readDocument(fields: Fields, policies: Gathered['policies']): void {
  const policy = textOf(fields['policy'], 'policy')
  const document = documentOf(fields)
  const documents = policies.get(policy)?.documents
  if (!documents || documents.has(document.key))
    throw new Bad(`a line is of ${JSON.stringify(policy)}, which it may not be`)
  documents.set(document.key, document)
}

function readLine(text: string, { sources, policies }: Gathered): void {
  const fields = fieldsOf(JSON.parse(text), 'a line')
  if (Object.hasOwn(fields, 'policy')) return readDocument(fields, policies)
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
    for (const [name, { asOfMs, services }] of gathered.sources) {
      const snapshot = Object.freeze({ version: 0, services, problems: Object.freeze([]) })
      sources.set(name, Object.freeze({ name, snapshot, asOfMs }))
    }
    const policies = new Map<string, DocumentKnowledge>()
    for (const [source, { asOfMs, documents }] of gathered.policies)
      policies.set(source, Object.freeze({ source, documents, asOfMs }))
    return { kind: 'good', sources, policies }
  } catch (error) {
    if (error instanceof Bad) return { kind: 'bad', reason: error.message }
    if (error instanceof SyntaxError) return { kind: 'bad', reason: 'it is not JSON' }
    throw error
  }
}
