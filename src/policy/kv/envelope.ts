/**
 * The envelope of a document: who wrote it, when, why, and which revision it is, around settings that somebody else reads.
 * `{"revision":7,"by":"alice","at":"2026-11-26T07:00:00Z","reason":"canary","settings":{…}}`. Pure. Fields it does not know
 * are let be: a later release may have written them.
 */
import { nearest } from '../../config/nearest.ts'
import { revisionMax } from './keys.ts'

export interface Envelope<S> {
  /** From 1; each write of a document adds one. */
  readonly revision: number
  /** The name of the admin token, or whoever wrote. */
  readonly by: string
  /** ISO 8601 in UTC. */
  readonly at: string
  /** Empty when none was given. */
  readonly reason: string
  readonly settings: S
}

export type EnvelopeReading =
  | { readonly kind: 'good'; readonly envelope: Envelope<unknown> }
  /** Each completes "the document is not used: ". */
  | { readonly kind: 'bad'; readonly reasons: readonly string[] }

export const byCharsMax = 256
export const reasonCharsMax = 1024

const timePattern = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z$/

/** Reads a document's text; whatever it is, nothing is thrown. `settings` is as JSON gave it, null where it was removed. */
export function decodeEnvelope(text: string): EnvelopeReading {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return { kind: 'bad', reasons: [`it is not JSON: ${error instanceof Error ? error.message : ''}`] }
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return { kind: 'bad', reasons: ['it is no JSON object with revision, by, at, reason and settings'] }
  const fields = new Map(Object.entries(json))
  const reasons: string[] = []
  const revision: unknown = fields.get('revision')
  if (!isRevision(revision)) reasons.push(`revision is no whole number from 1 to ${String(revisionMax)}`)
  const by: unknown = fields.get('by')
  if (!isText(by, 1, byCharsMax)) reasons.push(`by is no text of 1 to ${String(byCharsMax)} characters`)
  const at: unknown = fields.get('at')
  if (!isTime(at)) reasons.push('at is no time such as "2026-11-26T07:00:00Z"')
  const reason: unknown = fields.get('reason') ?? ''
  if (!isText(reason, 0, reasonCharsMax))
    reasons.push(`reason is no text of at most ${String(reasonCharsMax)} characters`)
  if (!fields.has('settings')) {
    const near = nearest('settings', fields.keys())
    reasons.push(
      `it has no settings${near === undefined ? '' : `; by ${JSON.stringify(near)}, did you mean "settings"?`}`,
    )
  }
  if (reasons.length > 0 || !isRevision(revision) || typeof by !== 'string') return { kind: 'bad', reasons }
  const envelope = { revision, by, at: String(at), reason: String(reason), settings: fields.get('settings') as unknown }
  return { kind: 'good', envelope: Object.freeze(envelope) }
}

/** The text that {@link decodeEnvelope} reads back to the same. */
export function encodeEnvelope(envelope: Envelope<unknown>): string {
  const { revision, by, at, reason, settings } = envelope
  return JSON.stringify({ revision, by, at, reason, settings })
}

function isRevision(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= revisionMax
}

function isText(value: unknown, min: number, max: number): boolean {
  return typeof value === 'string' && value.length >= min && value.length <= max
}

/** ISO 8601 in UTC, as {@link Envelope.at}. */
export function isTime(value: unknown): value is string {
  return typeof value === 'string' && timePattern.test(value)
}
