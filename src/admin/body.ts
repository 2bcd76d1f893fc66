/** Reads the JSON object that a request to change something carries: bounded, in UTF-8, and nothing but an object. It knows no keys. */
import type { IncomingMessage } from 'node:http'
import { isObject } from './asked.ts'

const bodyBytesMax = 4_096
/** What is too large is read to its end up to this, so that its sender gets to see the answer. */
const droppedBytesMax = 262_144

export interface BadBody {
  readonly status: 400 | 408 | 413 | 415 | 503
  readonly error: string
}

/** A body of JSON; no body at all is an empty object. */
export async function readBody(req: IncomingMessage): Promise<{ readonly value: Record<string, unknown> } | BadBody> {
  // A web page can send other types without asking first.
  if (!/^application\/json[ \t]*(?:;[ \t]*charset=utf-8[ \t]*)?$/i.test(req.headers['content-type'] ?? '')) {
    return { status: 415, error: 'The body must be JSON, with Content-Type: application/json.' }
  }
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const part of req as AsyncIterable<Buffer>) {
      size += part.length
      if (size <= bodyBytesMax) parts.push(part)
      else if (size > droppedBytesMax) break
    }
  } catch {
    return { status: 400, error: 'The body did not come whole.' }
  }
  if (size > bodyBytesMax) return { status: 413, error: `The body may have ${bodyBytesMax} bytes.` }
  const value = size === 0 ? {} : parsed(Buffer.concat(parts))
  if (!isObject(value)) return { status: 400, error: 'The body must be a JSON object.' }
  return { value }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}
