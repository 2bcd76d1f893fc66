/**
 * Reads an answer's body whole, or ends it: nothing is left unread on a connection. It does not interpret what it reads.
 */
import type { Buffer } from 'node:buffer'
import type { Readable } from 'node:stream'
import { FairleadError } from '../../core/errors.ts'

const mebi = 1024 * 1024

/** The largest body that is taken: far above a catalog of 100,000 instances, far below what a process can hold. */
export const bodyBytesMax: number = 64 * mebi

/** An answer of more than `bytesMax`. */
export function tooLarge(bytesMax: number): FairleadError {
  const limit = bytesMax % mebi === 0 ? `${String(bytesMax / mebi)} MiB` : `${String(bytesMax)} bytes`
  return new FairleadError('FL_CATALOG_HTTP', `the answer is larger than ${limit}, the most that is taken`)
}

/** Reads all of `body` and keeps nothing. Throws as {@link counted} does. */
export async function skipBody(body: Readable, bytesMax: number): Promise<void> {
  for await (const chunk of counted(body, bytesMax)) void chunk
}

/** The chunks of `body`; throws `FL_CATALOG_HTTP` above `bytesMax`, and whatever the stream fails with when it is torn. */
export async function* counted(body: Readable, bytesMax: number): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop by a throw destroys the stream, and with it the connection.
    if (bytes > bytesMax) throw tooLarge(bytesMax)
    yield chunk
  }
}

/** The beginning of an error's text, for a log line; what exceeds it is thrown away with the connection. */
export async function readErrorText(body: Readable): Promise<string> {
  let text = ''
  for await (const chunk of body as AsyncIterable<Buffer>) {
    text += chunk.toString('utf8')
    if (text.length > 4096) break
  }
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 200)
}
