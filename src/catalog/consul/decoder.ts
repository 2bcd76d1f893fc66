/**
 * Decodes bodies: small ones at once, large ones in a worker thread that is made when first needed and made anew when it
 * dies. What comes back from the worker is frozen as if it had been decoded here.
 */
import { Buffer } from 'node:buffer'
import { Worker } from 'node:worker_threads'
import { errorText, FairleadError } from '../../core/errors.ts'
import { collectMoreSeldom } from '../../core/heap.ts'
import { nextTurn } from '../../core/turn.ts'
import type { Instance } from '../snapshot.ts'
import { decode, type DecodeKind, type DecodeResult } from './decode.ts'
import type { WorkerJob, WorkerReply } from './json-worker.ts'
import type { ParsedService } from './parse.ts'

/** Bodies above this go to the worker: below it, decoding takes a millisecond or two at most. */
export const inlineBytesMax: number = 128 * 1024
/** They go there in pieces of about this, as they come: nothing is as long here as the body. */
const pieceBytes = 64 * 1024

interface Pending {
  readonly kind: DecodeKind
  readonly instances: Instance[]
  readonly resolve: (data: unknown) => void
  readonly reject: (error: Error) => void
}

/** A body on its way to the worker. */
interface Remote {
  /** What comes next of it. */
  send(chunks: readonly Buffer[]): void
  /** The last of it; resolves with what it means. */
  end(chunks: readonly Buffer[]): Promise<unknown>
  /** There is no more of it, and nobody waits. */
  drop(): void
}

export class Decoder {
  #worker: Worker | undefined
  #ids = 0
  #ended = false
  readonly #pending = new Map<number, Pending>()

  /**
   * Reads `body` and decodes it. Rejects with `FL_CATALOG_HTTP` for what is no JSON or not of that kind, and as `body` does when
   * that ends early.
   */
  async decode<K extends DecodeKind>(
    kind: K,
    body: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<DecodeResult<K>> {
    let remote: Remote | undefined
    let chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of body) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes <= (remote ? pieceBytes : inlineBytesMax)) continue
        remote ??= this.#remote(kind, signal)
        remote.send(chunks)
        chunks = []
        bytes = 0
        // The socket may have megabytes at once.
        await nextTurn()
      }
      // Many may have come to their ends at once.
      if (!remote) await nextTurn()
    } catch (error) {
      remote?.drop()
      throw error
    }
    try {
      return (await (remote ? remote.end(chunks) : decode(kind, joined(chunks)))) as DecodeResult<K>
    } catch (error) {
      if (error instanceof FairleadError || signal.aborted) throw error
      throw new FairleadError('FL_CATALOG_HTTP', `answered what cannot be used: ${errorText(error)}`, { cause: error })
    }
  }

  async destroy(): Promise<void> {
    this.#ended = true
    await this.#worker?.terminate()
  }

  /** Begins a body in the worker. */
  #remote(kind: DecodeKind, signal: AbortSignal): Remote {
    const worker = (this.#worker ??= this.#start())
    const id = this.#ids++
    const tell = (job: WorkerJob, transfer: readonly ArrayBuffer[] = []): void => worker.postMessage(job, transfer)
    const data = new Promise<unknown>((resolve, reject) => {
      const aborted = (): void => {
        this.#pending.delete(id)
        tell({ id, type: 'drop' })
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
    })
    // Its reader may not have come to the end yet, and learns of it there.
    data.catch(() => {})
    const send = (chunks: readonly Buffer[]): void => {
      if (!this.#pending.has(id)) return
      // A copy of its own: what is transferred is gone here, and chunks may share what they lie in.
      const own = copied(chunks)
      tell({ id, type: 'piece', bytes: own }, [own.buffer])
    }
    return {
      send,
      end: (chunks) => {
        send(chunks)
        if (this.#pending.has(id)) tell({ id, type: 'end', kind })
        return data
      },
      drop: () => {
        const pending = this.#pending.get(id)
        if (!pending) return
        this.#pending.delete(id)
        tell({ id, type: 'drop' })
        pending.reject(new Error('it ended early'))
      },
    }
  }

  #start(): Worker {
    // Such bodies are garbage of megabytes, and those of a large catalog.
    collectMoreSeldom()
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

const joined = (chunks: readonly Buffer[]): Buffer =>
  chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)

function copied(chunks: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  const own = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    own.set(chunk, at)
    at += chunk.length
  }
  return own
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
