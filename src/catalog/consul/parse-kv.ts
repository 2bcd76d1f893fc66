/**
 * What `GET /v1/kv/…` answers, decoded: keys with the text of their values. Pure. What a text means is its reader's.
 */

export interface KvEntry {
  /** Whole, with every prefix. */
  readonly key: string
  /** Empty when `flaw` says why there is none. */
  readonly text: string
  /** Consul's ModifyIndex, for compare-and-set. */
  readonly modifyIndex: number
  readonly flaw?: KvFlaw
}

/** Why a value has no text: it is larger than {@link valueBytesMax}, or its bytes are no UTF-8. */
export type KvFlaw = 'too-large' | 'not-utf8'

/** The largest value that is taken: a document. Consul itself takes 512 KiB. */
export const valueBytesMax: number = 64 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Body of a KV read; throws a plain Error when it is not one. */
export function parseKv(json: unknown): readonly KvEntry[] {
  if (!Array.isArray(json)) throw new Error('a KV answer is no list')
  return (json as unknown[]).map((item) => {
    if (typeof item !== 'object' || item === null) throw new Error('a KV entry is no object')
    const { Key: key, Value: value, ModifyIndex: modifyIndex } = item as Record<string, unknown>
    if (typeof key !== 'string') throw new Error('a KV entry has no key')
    if (typeof modifyIndex !== 'number' || !Number.isSafeInteger(modifyIndex) || modifyIndex < 0)
      throw new Error(`the KV entry ${JSON.stringify(key)} has no ModifyIndex`)
    if (value !== null && typeof value !== 'string')
      throw new Error(`the value of the KV entry ${JSON.stringify(key)} is no base64`)
    return { key, modifyIndex, ...textOf(value ?? '') }
  })
}

function textOf(value: string): Pick<KvEntry, 'text' | 'flaw'> {
  if (Buffer.byteLength(value, 'base64') > valueBytesMax) return { text: '', flaw: 'too-large' }
  try {
    return { text: utf8.decode(Buffer.from(value, 'base64')) }
  } catch {
    return { text: '', flaw: 'not-utf8' }
  }
}
