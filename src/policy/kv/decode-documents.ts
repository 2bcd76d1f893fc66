/**
 * From a snapshot's documents to what they say: envelopes checked, settings handed to their parser. A bad document is a
 * problem that names its key, costs only itself and keeps its last good form. Pure.
 */
import { valueBytesMax } from '../../catalog/consul/parse-kv.ts'
import type { Problem } from '../../core/problem.ts'
import type { PolicyDocument } from '../documents/documents.ts'
import { decodeEnvelope, type Envelope } from './envelope.ts'
import { documentFolders, type DocumentKind, readKey } from './keys.ts'

export type SettingsReading<S> =
  | { readonly kind: 'good'; readonly settings: S }
  /** Each says what is wrong and where in the settings; at least one. */
  | { readonly kind: 'bad'; readonly messages: readonly string[] }

/** Turns settings as JSON gave them into their typed form. Must not throw, and must not keep what it is given. */
export type ParseSettings<S> = (settings: unknown, kind: DocumentKind, name: string) => SettingsReading<S>

/** A document in force. */
export interface DecodedDocument<S> {
  readonly kind: DocumentKind
  /** A service's or a route's name, or an endpoint's handle. */
  readonly name: string
  readonly envelope: Envelope<S>
  /** Of the document this was read from, which is not the newest one while that is bad. */
  readonly modifyIndex: number
}

/** Everything read so far; the next reading keeps of it what did not change. */
export interface DecodedDocuments<S> {
  /** By key, `services/web`; in the order of keys. The very same object as before while its document is the same. */
  readonly documents: ReadonlyMap<string, DecodedDocument<S>>
  readonly problems: readonly Problem[]
  /** What each key was read from and came to; for the next reading only. */
  readonly read: ReadonlyMap<string, Read<S>>
}

interface Read<S> {
  readonly from: PolicyDocument
  readonly decoded: DecodedDocument<S> | undefined
  readonly problems: readonly Problem[]
}

/**
 * Reads every document. `source` is the name of where they come from (`kv:fairlead`), for problems; `previous` is the
 * result before this one, read with the same `parse`. A document that is gone is gone, bad or not.
 */
export function decodeDocuments<S>(
  source: string,
  documents: ReadonlyMap<string, PolicyDocument>,
  parse: ParseSettings<S>,
  previous: DecodedDocuments<S> | undefined,
): DecodedDocuments<S> {
  const read = new Map<string, Read<S>>()
  const inForce = new Map<string, DecodedDocument<S>>()
  const problems: Problem[] = []
  for (const [key, document] of documents) {
    const before = previous?.read.get(key)
    const now = before?.from === document ? before : readOne(source, document, parse, before?.decoded)
    read.set(key, now)
    if (now.decoded) inForce.set(key, now.decoded)
    problems.push(...now.problems)
  }
  return Object.freeze({ documents: inForce, problems: Object.freeze(problems), read })
}

function foreign(where: string): Problem {
  const message = `nothing reads this: documents are in the folders ${documentFolders.join(', ')}`
  return Object.freeze({ code: 'stray-key', notice: true, where, message })
}

/** What is wrong with one document, so many at most; more are counted. */
const reasonsMax = 8

function readOne<S>(
  source: string,
  from: PolicyDocument,
  parse: ParseSettings<S>,
  lastGood: DecodedDocument<S> | undefined,
): Read<S> {
  const bad = (reasons: readonly string[]): Read<S> => {
    const kept =
      lastGood === undefined
        ? 'it has no effect'
        : `its last good form, revision ${String(lastGood.envelope.revision)} by ${lastGood.envelope.by}, stays in force`
    const where = `${source}/${from.key}`
    const named = reasons.slice(0, reasonsMax)
    if (reasons.length > named.length) named.push(`and ${String(reasons.length - named.length)} more`)
    const message = `the document is not used: ${named.join('; ')}; ${kept}. Write it again, or delete it`
    return { from, decoded: lastGood, problems: [Object.freeze({ code: 'bad-policy-document', where, message })] }
  }
  const key = readKey(from.key)
  if (key.kind === 'foreign') return { from, decoded: undefined, problems: [foreign(`${source}/${from.key}`)] }
  if (key.kind === 'bad') return bad([key.reason])
  if (from.flaw === 'not-utf8') return bad(['it is no UTF-8'])
  if (from.flaw === 'too-large') return bad([`it is larger than ${String(valueBytesMax)} bytes (64 KiB)`])
  const envelope = decodeEnvelope(from.text)
  if (envelope.kind === 'bad') return bad(envelope.reasons)
  const settings = parse(envelope.envelope.settings, key.kind, key.name)
  if (settings.kind === 'bad') return bad(settings.messages)
  const decoded = Object.freeze({
    ...key,
    envelope: Object.freeze({ ...envelope.envelope, settings: settings.settings }),
    modifyIndex: from.modifyIndex,
  })
  return { from, decoded, problems: [] }
}
