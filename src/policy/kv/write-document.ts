/**
 * Writes a document as its next revision, with its history entry in the same transaction, and removes what history has too
 * much of. Drains have no history: their handles come and go. It compares and sets, and never tries again by itself.
 */
import { type Clock, isoTime } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
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

/** As {@link WriteResult}; `envelope` is what was written. */
export type ChangeResult =
  | (Extract<WriteResult, { kind: 'written' }> & { readonly envelope: Envelope<unknown> })
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
    const before = reading?.kind === 'good' ? reading.envelope.revision : 0
    const revision = Math.max(before, ...revisions) + 1
    const envelope = { revision, by, at: isoTime(clock.wall()), reason, settings: change.settings ?? null }
    const result = await store.transact(stepsOf(change, cas, envelope, revisions))
    return result.kind === 'written' ? { ...result, envelope } : result
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

function stepsOf(
  { kind, name, settings }: DocumentChange,
  cas: number,
  envelope: Envelope<unknown>,
  revisions: readonly number[],
): readonly WriteStep[] {
  const text = encodeEnvelope(envelope)
  const key = documentKey(kind, name)
  const steps: WriteStep[] = [settings === undefined ? { kind: 'delete', key, cas } : { kind: 'put', key, text, cas }]
  if (kind === 'drains') return steps
  steps.push({ kind: 'put', key: historyKey(kind, name, envelope.revision), text, cas: 0 })
  // The new one counts; a transaction has only so many steps, and the next write goes on.
  const tooMany = revisions.toSorted((a, b) => a - b).slice(0, Math.max(0, revisions.length + 1 - historyMax))
  for (const old of tooMany.slice(0, stepsMax - steps.length))
    steps.push({ kind: 'delete', key: historyKey(kind, name, old) })
  return steps
}
