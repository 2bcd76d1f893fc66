/**
 * Reads and writes keys below a prefix of Consul's KV. Every write is one transaction, so that what belongs together is
 * written together or not at all, and says what became of it in one of four ways. It never tries again by itself, and knows
 * no documents. Source: Consul's `/v1/txn` as Consul 1.8 answers it (409 with a list of errors, 403, at most 64 operations).
 */
import { ConsulClient } from '../../catalog/consul/consul-client.ts'
import type { ConsulConnection } from '../../catalog/consul/options.ts'
import { valueBytesMax } from '../../catalog/consul/parse-kv.ts'
import type { Clock } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
import type { PolicyDocument } from '../documents/documents.ts'
import { relativeDocuments } from './entries.ts'
import { kvPath, kvPrefix } from './keys.ts'

export type WriteResult =
  /** `modifyIndex` is that of the first key written; undefined when nothing but deletions was. */
  | { readonly kind: 'written'; readonly modifyIndex: number | undefined }
  /** Somebody else was first: `key` has `modifyIndex` now (0: it is not there). Nothing was written. */
  | { readonly kind: 'conflict'; readonly key: string; readonly modifyIndex: number; readonly message: string }
  /** The token has no right to write there, or it is more than can be written. Nothing was written. */
  | { readonly kind: 'refused'; readonly message: string }
  /** No answer that could be used. Whether it was written is not known. */
  | { readonly kind: 'unreachable'; readonly message: string }

/** One step of a transaction; keys are relative to the prefix. */
export type WriteStep =
  /** `cas`: only if the key has this ModifyIndex, 0 for: only if it is not there. Absent: in any case. */
  | { readonly kind: 'put'; readonly key: string; readonly text: string; readonly cas?: number | undefined }
  | { readonly kind: 'delete'; readonly key: string; readonly cas?: number | undefined }

export interface KvStore {
  put(key: string, text: string, options?: { readonly cas?: number | undefined }): Promise<WriteResult>
  /** What is not there is deleted successfully, unless `cas` names an index. */
  delete(key: string, options?: { readonly cas?: number | undefined }): Promise<WriteResult>
  /** All steps or none; at most {@link stepsMax} of them. */
  transact(steps: readonly WriteStep[]): Promise<WriteResult>
  /** The document now, as the leader has it; undefined: it is not there. Rejects with a FairleadError. */
  get(key: string): Promise<PolicyDocument | undefined>
  /** All documents whose key begins with `folder`, in order of keys. Rejects with a FairleadError. */
  list(folder: string): Promise<readonly PolicyDocument[]>
  /** Ends what is under way and every socket. Idempotent. */
  stop(): Promise<void>
}

export interface KvStoreOptions extends ConsulConnection {
  readonly prefix: string
}

/** Consul takes 64 operations at once; a delete with an index costs two. */
export const stepsMax: number = 32

/** Throws `FL_CONFIG` when the address is none. */
export function createKvStore(options: KvStoreOptions, deps: { readonly clock: Clock }): KvStore {
  return new ConsulKvStore(new ConsulClient(options, deps), kvPrefix(options.prefix))
}

class ConsulKvStore implements KvStore {
  readonly #client: ConsulClient
  readonly #prefix: string
  readonly #ended = new AbortController()

  constructor(client: ConsulClient, prefix: string) {
    this.#client = client
    this.#prefix = prefix
  }

  async put(key: string, text: string, options: { readonly cas?: number | undefined } = {}): Promise<WriteResult> {
    return await this.transact([{ kind: 'put', key, text, ...options }])
  }

  async delete(key: string, options: { readonly cas?: number | undefined } = {}): Promise<WriteResult> {
    return await this.transact([{ kind: 'delete', key, ...options }])
  }

  async transact(steps: readonly WriteStep[]): Promise<WriteResult> {
    const fault = faultOf(steps)
    if (fault !== undefined) return { kind: 'refused', message: fault }
    const operations = steps.flatMap((step) => operationsOf(this.#prefix, step))
    const sent = operations.map(({ operation }) => ({ KV: operation }))
    try {
      const answer = readAnswer(await this.#client.transact(sent, this.#ended.signal))
      if (answer.kind === 'written') return answer
      return await this.#failed(operations[answer.at]?.step ?? steps[0], answer.what)
    } catch (error) {
      const message = `Consul at ${this.#client.shown}: ${errorText(error)}`
      if (error instanceof FairleadError && error.code === 'FL_CATALOG_DENIED') return { kind: 'refused', message }
      return { kind: 'unreachable', message: `${message}; whether it was written is not known` }
    }
  }

  async get(key: string): Promise<PolicyDocument | undefined> {
    const query = { consistency: 'consistent', signal: this.#ended.signal } as const
    const { data } = await this.#client.find({ kind: 'kv' }, kvPath(this.#prefix + key), query)
    return relativeDocuments(this.#prefix, data ?? [])[0]
  }

  async list(folder: string): Promise<readonly PolicyDocument[]> {
    const query = { consistency: 'consistent', signal: this.#ended.signal } as const
    const { data } = await this.#client.find({ kind: 'kv' }, `${kvPath(this.#prefix + folder)}?recurse`, query)
    return relativeDocuments(this.#prefix, data ?? [])
  }

  async stop(): Promise<void> {
    this.#ended.abort(new FairleadError('FL_CATALOG_UNREACHABLE', 'stopped'))
    await this.#client.destroy()
  }

  async #failed(step: WriteStep | undefined, what: string): Promise<WriteResult> {
    if (step === undefined || /permission denied|ACL not found/i.test(what)) {
      const key = step === undefined ? '' : `${this.#prefix}${step.key}`
      return {
        kind: 'refused',
        message: `Consul at ${this.#client.shown} does not let this token write ${key}: ${what}`,
      }
    }
    const modifyIndex = (await this.get(step.key))?.modifyIndex ?? 0
    const now = modifyIndex === 0 ? 'is not there' : `has index ${String(modifyIndex)}`
    const wanted = step.cas === undefined ? '' : `, and not ${step.cas === 0 ? 'absent' : String(step.cas)}`
    const message = `${this.#prefix}${step.key} was changed by somebody else: it ${now}${wanted} (${what})`
    return { kind: 'conflict', key: step.key, modifyIndex, message }
  }
}

function faultOf(steps: readonly WriteStep[]): string | undefined {
  if (steps.length > stepsMax)
    return `${String(steps.length)} steps are too many for one transaction, at most ${String(stepsMax)} are taken`
  for (const step of steps) {
    const bytes = step.kind === 'put' ? Buffer.byteLength(step.text) : 0
    if (bytes > valueBytesMax)
      return `${step.key} would have ${String(bytes)} bytes, at most ${String(valueBytesMax)} (64 KiB) are taken`
  }
  return undefined
}

interface Operation {
  readonly step: WriteStep
  readonly operation: object
}

function operationsOf(prefix: string, step: WriteStep): readonly Operation[] {
  const Key = prefix + step.key
  const index = step.cas === undefined ? {} : { Index: step.cas }
  if (step.kind === 'put') {
    const Value = Buffer.from(step.text).toString('base64')
    return [{ step, operation: { Verb: step.cas === undefined ? 'set' : 'cas', Key, Value, ...index } }]
  }
  const gone = { step, operation: { Verb: 'delete', Key } }
  if (step.cas === undefined) return [gone]
  // Consul's own delete-cas succeeds when the key is not there, whatever index was expected.
  const verb = step.cas === 0 ? 'check-not-exists' : 'check-index'
  return [{ step, operation: { Verb: verb, Key, ...index } }, gone]
}

type TransactionAnswer =
  | { readonly kind: 'written'; readonly modifyIndex: number | undefined }
  | { readonly kind: 'failed'; readonly at: number; readonly what: string }

/** Throws `FL_CATALOG_HTTP` for what is no answer to a transaction. */
function readAnswer(json: unknown): TransactionAnswer {
  const { Results: results, Errors: errors } = (json ?? {}) as Record<string, unknown>
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (typeof first === 'object' && first !== null) {
    const { OpIndex: at, What: what } = first as Record<string, unknown>
    return { kind: 'failed', at: typeof at === 'number' ? at : 0, what: typeof what === 'string' ? what : 'no reason' }
  }
  if (!Array.isArray(results)) throw new FairleadError('FL_CATALOG_HTTP', 'answered what is no result of a transaction')
  const [written] = results as { readonly KV?: { readonly ModifyIndex?: unknown } }[]
  const index = written?.KV?.ModifyIndex
  return { kind: 'written', modifyIndex: typeof index === 'number' ? index : undefined }
}
