/**
 * Writes a document as its next revision, with its history entry in the same transaction, and removes what history has too
 * much of. What another tool wrote or removed since has no entry yet, and gets one then, so that it can be gone back to.
 * Drains have no history: their handles come and go. It compares and sets, and never tries again by itself.
 */
import { type Clock, isoTime } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
import { sameData } from '../../core/same.ts'
import type { PolicyDocument } from '../documents/documents.ts'
import { byCharsMax, decodeEnvelope, encodeEnvelope, type Envelope, reasonCharsMax } from './envelope.ts'
import { type DocumentKind, documentKey, historyFolder, historyKey, nameFault, revisionOf } from './keys.ts'
import { type KvStore, stepsMax, type WriteResult, type WriteStep } from './kv-store.ts'

/** Revisions of one document that are kept. */
export const historyMax = 50

export interface DocumentChange {
  readonly kind: DocumentKind
  readonly name: string
  /** Who writes. */
  readonly by: string
  readonly reason: string
  /** JSON; undefined removes the document, which history keeps as a revision with `settings` null. */
  readonly settings: unknown
  /** The ModifyIndex that the change was made for, 0: there was no document. Absent: whatever is there now. */
  readonly cas?: number | undefined
}

/**
 * As {@link WriteResult}; `envelope` is what was written, `replaced` the revision of what was there before: 0 for nothing,
 * undefined for what is no document.
 */
export type ChangeResult =
  | (Extract<WriteResult, { kind: 'written' }> & {
      readonly envelope: Envelope<unknown>
      readonly replaced: number | undefined
    })
  | Exclude<WriteResult, { kind: 'written' }>

/** Never rejects. */
export async function writeDocument(store: KvStore, clock: Clock, change: DocumentChange): Promise<ChangeResult> {
  const fault = faultOf(change)
  if (fault !== undefined) return { kind: 'refused', message: fault }
  const { kind, name, by, reason } = change
  const key = documentKey(kind, name)
  try {
    const current = await store.get(key)
    const cas = change.cas ?? current?.modifyIndex ?? 0
    const history = kind === 'drains' ? [] : await store.list(historyFolder(kind, name))
    const revisions = history.flatMap((entry) => revisionOf(entry.key) ?? [])
    const reading = current === undefined ? undefined : decodeEnvelope(current.text)
    const found = reading?.kind === 'good' ? reading.envelope : undefined
    const at = isoTime(clock.wall())
    const nothing = { revision: 0, by: 'unknown', at, reason: 'removed by another tool', settings: null }
    const hasHistory = kind !== 'drains' && (current === undefined || found !== undefined)
    const missing = hasHistory ? unkept(found ?? nothing, history) : undefined
    const revision = Math.max(found?.revision ?? 0, missing?.revision ?? 0, ...revisions) + 1
    const envelope = { revision, by, at, reason, settings: change.settings ?? null }
    const result = await store.transact(stepsOf(change, cas, envelope, missing, revisions))
    if (result.kind !== 'written') return result
    const replaced = current === undefined ? 0 : found && (missing ?? found).revision
    return { ...result, envelope, replaced }
  } catch (error) {
    const message = `${key} could not be read before writing: ${errorText(error)}; nothing was written`
    const denied = error instanceof FairleadError && error.code === 'FL_CATALOG_DENIED'
    return { kind: denied ? 'refused' : 'unreachable', message }
  }
}

function faultOf({ name, by, reason }: DocumentChange): string | undefined {
  if (by === '' || by.length > byCharsMax) return `who writes must have 1 to ${String(byCharsMax)} characters`
  if (reason.length > reasonCharsMax) return `the reason is longer than ${String(reasonCharsMax)} characters`
  return nameFault(name)
}

/** What history must say of `before` first; undefined: it does. A revision that is of something else there gets the next number. */
function unkept(before: Envelope<unknown>, history: readonly PolicyDocument[]): Envelope<unknown> | undefined {
  const kept = history.flatMap(({ text }) => {
    const reading = decodeEnvelope(text)
    return reading.kind === 'good' ? [reading.envelope] : []
  })
  const newest = Math.max(0, ...kept.map(({ revision }) => revision))
  const wanted = before.revision === 0 ? newest : before.revision
  const same = kept.find(({ revision }) => revision === wanted)
  if (same ? sameData(same.settings, before.settings) : wanted === 0) return undefined
  return { ...before, revision: wanted > newest ? wanted : newest + 1 }
}

function stepsOf(
  { kind, name, settings }: DocumentChange,
  cas: number,
  envelope: Envelope<unknown>,
  missing: Envelope<unknown> | undefined,
  revisions: readonly number[],
): readonly WriteStep[] {
  const text = encodeEnvelope(envelope)
  const key = documentKey(kind, name)
  const steps: WriteStep[] = [settings === undefined ? { kind: 'delete', key, cas } : { kind: 'put', key, text, cas }]
  if (kind === 'drains') return steps
  for (const one of missing ? [missing, envelope] : [envelope])
    steps.push({ kind: 'put', key: historyKey(kind, name, one.revision), text: encodeEnvelope(one), cas: 0 })
  // The new ones count; a transaction has only so many steps, and the next write goes on.
  const count = revisions.length + steps.length - 1
  const tooMany = revisions.toSorted((a, b) => a - b).slice(0, Math.max(0, count - historyMax))
  for (const old of tooMany.slice(0, stepsMax - steps.length))
    steps.push({ kind: 'delete', key: historyKey(kind, name, old) })
  return steps
}
