/** Has a drain, or its end, written where every proxy reads it, and waits until this proxy has. It judges no request. */
import type { SharedDrains } from '../app/shared-drains.ts'
import type { Clock } from '../core/clock.ts'
import { encodeDrain } from '../policy/kv/drain-document.ts'
import { type DocumentChange, writeDocument } from '../policy/kv/write-document.ts'
import type { Endpoint } from '../table/table.ts'
import { json, type Answer } from './door.ts'

export interface Sharing {
  readonly drains: Pick<SharedDrains, 'source' | 'store' | 'find' | 'indexOf' | 'changed'>
  readonly clock: Clock
}

interface Wanted {
  readonly endpoint: Endpoint
  readonly by: string
  readonly reason: string
}

export type SharedOutcome =
  | { readonly kind: 'written'; readonly warnings: readonly string[] }
  /** Nothing is changed anywhere, or it is not known; the answer says which. */
  | { readonly kind: 'failed'; readonly answer: Answer }

/** Undefined: there is nowhere to write it. `forMs` undefined: until it is restored. */
export async function drainEverywhere(
  sharing: Sharing,
  { endpoint, by, reason, forMs }: Wanted & { readonly forMs: number | undefined },
): Promise<SharedOutcome | undefined> {
  const { key, life, handle } = endpoint
  const before = sharing.drains.find(key, life)
  const untilMs = forMs === undefined ? undefined : sharing.clock.wall() + forMs
  const settings = encodeDrain({ key, life, untilMs })
  return await write(sharing, { kind: 'drains', name: before?.name ?? handle, by, reason, settings })
}

/** Undefined: no document that this proxy has seen drains it. */
export async function restoreEverywhere(
  sharing: Sharing,
  { endpoint, by, reason }: Wanted,
): Promise<SharedOutcome | undefined> {
  const drain = sharing.drains.find(endpoint.key, endpoint.life)
  if (!drain) return undefined
  const { name, modifyIndex: cas } = drain
  return await write(sharing, { kind: 'drains', name, by, reason, settings: undefined, cas })
}

async function write({ drains, clock }: Sharing, change: DocumentChange): Promise<SharedOutcome | undefined> {
  const store = drains.store()
  if (!store) return undefined
  const before = drains.indexOf(change.name)
  const result = await writeDocument(store, clock, change)
  if (result.kind !== 'written') {
    const status = { conflict: 409, refused: 403, unreachable: 502 }[result.kind]
    const error = `${result.message}. With --local ("local": true over HTTP) it is done at this proxy alone.`
    return { kind: 'failed', answer: json(status, { error }) }
  }
  const seen = await drains.changed(change.name, before)
  return { kind: 'written', warnings: seen ? [] : ['It is written, but this proxy has not read it yet.'] }
}
