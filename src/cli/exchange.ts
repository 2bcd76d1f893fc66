/** One question over HTTP on a connection of its own, for commands. What an answer means is for whoever asked. */
import { errorText } from '../core/errors.ts'
import { undici } from '../core/undici.ts'

const timeoutMs = 10_000
/** A kill ledger full of names is 4 MB; a table of ten thousand endpoints is about as much. */
const answerBytesMax = 64 * 1_024 * 1_024

export interface Exchange {
  /** `http://host:port`, or `https:`. */
  readonly origin: string
  /** A Unix socket to connect to in place of the origin. */
  readonly socketPath?: string | undefined
  /** With its query, encoded. */
  readonly path: string
  /** Undefined: none is shown. */
  readonly token?: string | undefined
  /** What is sent as JSON by POST; undefined: it is only asked. */
  readonly body?: Readonly<Record<string, unknown>> | undefined
}

/** Rejects with what the connection met; {@link reasonOf} says it for people. */
export async function exchange({ origin, socketPath, path, token, body }: Exchange): Promise<{
  readonly status: number
  readonly body: string
}> {
  const client = new (undici().Client)(origin, {
    connect: { timeout: timeoutMs, ...(socketPath === undefined ? {} : { socketPath }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: answerBytesMax,
  })
  try {
    const answer = await client.request({
      path,
      method: body ? 'POST' : 'GET',
      headers: {
        accept: 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      body: body ? JSON.stringify(body) : null,
    })
    return { status: answer.statusCode, body: await answer.body.text() }
  } finally {
    await client.destroy()
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not use that socket',
  ENOTFOUND: 'nobody knows this name',
}

/** Where another address may be what was meant. */
const misplaced = new Set(['ECONNREFUSED', 'ENOENT'])

/** Why there was no answer; `elsewhere` says how another address is given. */
export function reasonOf(error: unknown, elsewhere: string): string {
  // With several addresses behind a name, the first one's failure tells enough.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const code = first instanceof Error && 'code' in first ? String(first.code) : ''
  if (/^UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT$/.test(code)) return `it is silent for ${timeoutMs / 1_000} s`
  const reason = reasons[code] ?? errorText(first)
  return misplaced.has(code) ? `${reason}; ${elsewhere}` : reason
}

/** The JSON in `text`; undefined: it is none. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
