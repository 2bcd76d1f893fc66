/**
 * Decodes bodies: small ones at once, large ones in a worker thread that is made when first needed and made anew when it
 * dies. What comes back from the worker is frozen as if it had been decoded here.
 */
import { Worker } from 'node:worker_threads'
import { errorText, FairleadError } from '../../core/errors.ts'
import type { Instance } from '../snapshot.ts'
import { decode, type DecodeKind, type DecodeResult } from './decode.ts'
import type { WorkerJob, WorkerReply } from './json-worker.ts'
import type { ParsedService } from './parse.ts'

/** Bodies above this go to the worker: below it, decoding takes a few milliseconds at most. */
export const inlineBytesMax: number = 256 * 1024

interface Pending {
  readonly kind: DecodeKind
  readonly instances: Instance[]
  readonly resolve: (data: unknown) => void
  readonly reject: (error: Error) => void
}

export class Decoder {
  #worker: Worker | undefined
  #ids = 0
  #ended = false
  readonly #pending = new Map<number, Pending>()

  /** Rejects with `FL_CATALOG_HTTP` for what is no JSON or not of that kind. */
  async decode<K extends DecodeKind>(kind: K, bytes: Buffer, signal: AbortSignal): Promise<DecodeResult<K>> {
    try {
      if (bytes.length <= inlineBytesMax) return decode(kind, bytes) as DecodeResult<K>
      return (await this.#remote(kind, bytes, signal)) as DecodeResult<K>
    } catch (error) {
      if (error instanceof FairleadError || signal.aborted) throw error
      throw new FairleadError('FL_CATALOG_HTTP', `answered what cannot be used: ${errorText(error)}`, { cause: error })
    }
  }

  async destroy(): Promise<void> {
    this.#ended = true
    await this.#worker?.terminate()
  }

  async #remote(kind: DecodeKind, bytes: Buffer, signal: AbortSignal): Promise<unknown> {
    const worker = (this.#worker ??= this.#start())
    const id = this.#ids++
    return await new Promise<unknown>((resolve, reject) => {
      const aborted = (): void => {
        this.#pending.delete(id)
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      if (signal.aborted || this.#ended) return aborted()
      signal.addEventListener('abort', aborted, { once: true })
      const settle = <T>(then: (value: T) => void) => {
        return (value: T): void => {
          signal.removeEventListener('abort', aborted)
          then(value)
        }
      }
      this.#pending.set(id, { kind, instances: [], resolve: settle(resolve), reject: settle(reject) })
      const own = new Uint8Array(bytes)
      const job: WorkerJob = { id, kind, bytes: own }
      worker.postMessage(job, [own.buffer])
    })
  }

  #start(): Worker {
    // Source runs unbuilt and dist is built: the worker is beside this file either way.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./json-worker.${extension}`, import.meta.url))
    worker.unref()
    worker.on('message', (reply: WorkerReply) => this.#took(reply))
    worker.on('error', (error) => this.#died(worker, error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', () => this.#died(worker, new Error('the decoding thread ended')))
    return worker
  }

  #took(reply: WorkerReply): void {
    const pending = this.#pending.get(reply.id)
    if (!pending) return
    switch (reply.type) {
      case 'part':
        for (const instance of reply.instances) pending.instances.push(refreeze(instance))
        return
      case 'failed':
        this.#pending.delete(reply.id)
        pending.reject(new Error(reply.message))
        return
      case 'done': {
        this.#pending.delete(reply.id)
        if (pending.kind.kind !== 'health-service') return pending.resolve(reply.data)
        const { problems } = reply.data as ParsedService
        const parsed: ParsedService = {
          instances: Object.freeze(pending.instances),
          problems: Object.freeze(problems.map((problem) => Object.freeze(problem))),
        }
        pending.resolve(parsed)
      }
    }
  }

  #died(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const lost = [...this.#pending.values()]
    this.#pending.clear()
    for (const pending of lost) pending.reject(error)
  }
}

/** Copies between threads lose freezing and missing prototypes. */
function refreeze(instance: Instance): Instance {
  return Object.freeze({
    ...instance,
    tags: Object.freeze(instance.tags),
    meta: bare(instance.meta),
    nodeMeta: bare(instance.nodeMeta),
    weights: Object.freeze(instance.weights),
  })
}

function bare(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const copy = Object.create(null) as Record<string, string>
  for (const [key, value] of Object.entries(record)) copy[key] = value
  return Object.freeze(copy)
}
