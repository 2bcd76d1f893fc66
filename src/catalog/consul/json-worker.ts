/**
 * The worker thread that decodes large bodies, so that no request waits for JSON. Lists of instances go back in pieces:
 * taking each one over costs the main thread about a millisecond.
 */
import { parentPort } from 'node:worker_threads'
import { decode, type DecodeKind } from './decode.ts'
import type { ParsedService } from './parse.ts'

/** What is said of the body `id`, in order. */
export type WorkerJob =
  | { readonly id: number; readonly type: 'piece'; readonly bytes: Uint8Array }
  /** It is whole; answered. */
  | { readonly id: number; readonly type: 'end'; readonly kind: DecodeKind }
  /** It will not be whole; not answered. */
  | { readonly id: number; readonly type: 'drop' }

export type WorkerReply =
  | { readonly id: number; readonly type: 'part'; readonly instances: ParsedService['instances'] }
  | { readonly id: number; readonly type: 'done'; readonly data: unknown }
  | { readonly id: number; readonly type: 'failed'; readonly message: string }

const instancesPerMessage = 250

const bodies = new Map<number, Uint8Array[]>()

parentPort?.on('message', (job: WorkerJob) => {
  const { id } = job
  const pieces = bodies.get(id) ?? []
  if (job.type === 'piece') {
    pieces.push(job.bytes)
    bodies.set(id, pieces)
    return
  }
  bodies.delete(id)
  if (job.type === 'end') answer(id, job.kind, Buffer.concat(pieces))
})

function answer(id: number, kind: DecodeKind, bytes: Uint8Array): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port has no origin; the rule means windows
  const reply = (message: WorkerReply): void => parentPort?.postMessage(message)
  try {
    const data = decode(kind, bytes)
    if (kind.kind !== 'health-service') return reply({ id, type: 'done', data })
    const { instances, problems } = data as ParsedService
    for (let at = 0; at < instances.length; at += instancesPerMessage)
      reply({ id, type: 'part', instances: instances.slice(at, at + instancesPerMessage) })
    reply({ id, type: 'done', data: { instances: [], problems } })
  } catch (error) {
    reply({ id, type: 'failed', message: error instanceof Error ? error.message : String(error) })
  }
}
