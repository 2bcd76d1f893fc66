/**
 * What a KV write changes: set, compare-and-set, lock, unlock, delete. Pure: `undefined` is the refusal that Consul answers
 * with `false`, an empty list is success without a change.
 */
import type { Change, KvRecord, SessionRecord } from './records.ts'

/** The entries that a write looks at: the catalog's own, or those of a transaction under way. */
export interface KvEntries {
  readonly kv: {
    get(key: string): KvRecord | undefined
    keys(): Iterable<string>
  }
}

export interface KvWrite {
  readonly key: string
  /** Base64. */
  readonly value: string
  readonly flags: string
}

/** `cas` is the ModifyIndex the entry must have, 0 for none; undefined sets in any case. */
export function setKey(state: KvEntries, write: KvWrite, cas: number | undefined, index: number): Change[] | undefined {
  const before = state.kv.get(write.key)
  if (cas !== undefined && cas !== (before?.modifyIndex ?? 0)) return undefined
  return put(before, { ...write, session: before?.session ?? '', lockIndex: before?.lockIndex ?? 0 }, index)
}

/** Takes the lock for `session`; one that holds it already writes the value again. */
export function acquireKey(
  state: KvEntries,
  write: KvWrite,
  session: SessionRecord,
  index: number,
): Change[] | undefined {
  const before = state.kv.get(write.key)
  if (before && before.session !== '' && before.session !== session.id) return undefined
  const lockIndex = (before?.lockIndex ?? 0) + (before?.session === session.id ? 0 : 1)
  return put(before, { ...write, session: session.id, lockIndex }, index)
}

/** Gives the lock back and writes the value. */
export function releaseKey(state: KvEntries, write: KvWrite, session: string, index: number): Change[] | undefined {
  const before = state.kv.get(write.key)
  if (!before || before.session === '' || before.session !== session) return undefined
  return put(before, { ...write, session: '', lockIndex: before.lockIndex }, index)
}

export function deleteKey(state: KvEntries, key: string, cas: number | undefined): Change[] | undefined {
  const before = state.kv.get(key)
  if (!before) return cas === undefined || cas === 0 ? [] : undefined
  if (cas !== undefined && cas !== before.modifyIndex) return undefined
  return [{ kind: 'kv-gone', key }]
}

export function deletePrefix(state: KvEntries, prefix: string): Change[] {
  return [...state.kv.keys()].filter((key) => key.startsWith(prefix)).map((key) => ({ kind: 'kv-gone', key }))
}

/** A transaction under way: the catalog's entries with what its steps changed so far. */
export class KvDraft implements KvEntries {
  readonly #base: KvEntries['kv']
  readonly #changed = new Map<string, KvRecord | undefined>()
  readonly changes: Change[] = []

  constructor(base: KvEntries) {
    this.#base = base.kv
  }

  get kv(): KvEntries['kv'] {
    return {
      get: (key) => (this.#changed.has(key) ? this.#changed.get(key) : this.#base.get(key)),
      keys: () => this.#keys(),
    }
  }

  take(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'kv') this.#changed.set(change.entry.key, change.entry)
      if (change.kind === 'kv-gone') this.#changed.set(change.key, undefined)
      this.changes.push(change)
    }
  }

  *#keys(): Generator<string> {
    for (const key of this.#base.keys()) if (!this.#changed.has(key)) yield key
    for (const [key, entry] of this.#changed) if (entry) yield key
  }
}

function put(
  before: KvRecord | undefined,
  after: KvWrite & { readonly session: string; readonly lockIndex: number },
  index: number,
): Change[] {
  const unchanged =
    before?.value === after.value &&
    before.flags === after.flags &&
    before.session === after.session &&
    before.lockIndex === after.lockIndex
  if (unchanged) return []
  return [{ kind: 'kv', entry: { ...after, createIndex: before?.createIndex ?? index, modifyIndex: index } }]
}
