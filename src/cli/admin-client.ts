/**
 * Asks a running proxy's admin address, for the commands that need one. It knows how to get there and what its refusals
 * mean; what an answer holds is for the command that asked. One question, one connection.
 */
import { Client } from 'undici'
import { showAddress } from '../config/addresses.ts'
import type { Address } from '../config/config.ts'
import { errorText, FairleadError } from '../core/errors.ts'
import { bracketed } from '../core/host.ts'
import { escapeField } from '../telemetry/escape.ts'

const timeoutMs = 10_000
/** A kill ledger full of names is 4 MB; a table of ten thousand endpoints is about as much. */
const answerBytesMax = 64 * 1_024 * 1_024

const tokenHint = '--token-file, FAIRLEAD_TOKEN_FILE or FAIRLEAD_TOKEN gives one'
const elsewhere = '--admin or FAIRLEAD_ADMIN names another address'

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: `nothing listens there; ${elsewhere}`,
  ENOENT: `there is no such socket; ${elsewhere}`,
  EACCES: 'this user may not use that socket',
  ENOTFOUND: 'nobody knows this name',
}

export interface Question {
  /** With its query, encoded. */
  readonly path: string
  /** Undefined: none is shown. */
  readonly token?: string | undefined
  /** What is sent as JSON by POST; undefined: it is only asked. */
  readonly body?: Readonly<Record<string, unknown>> | undefined
}

/**
 * The JSON that is answered to the question. Rejects with FL_ADMIN, in words for the person who typed the
 * command: nobody answers there, it refuses, or it is no proxy's admin address.
 */
export async function askAdmin(address: Address, question: Question): Promise<unknown> {
  const where = showAddress(address)
  const { status, body } = await exchange(address, question).catch((error: unknown) => {
    throw new FairleadError('FL_ADMIN', `no proxy answers at ${where}: ${reasonOf(error)}`, { cause: error })
  })
  const value = parsed(body)
  if (status === 200 && value !== undefined) return value
  const said = saidIn(value)
  if (said === undefined) {
    throw new FairleadError('FL_ADMIN', `what answers at ${where} is no admin address of Fairlead; ${elsewhere}`)
  }
  const hint = status === 401 ? ` (${tokenHint})` : ''
  throw new FairleadError('FL_ADMIN', `the proxy at ${where} says: ${escapeField(said)}${hint}`)
}

async function exchange(
  address: Address,
  { path, token, body }: Question,
): Promise<{ readonly status: number; readonly body: string }> {
  const unix = address.kind === 'unix'
  const client = new Client(unix ? 'http://localhost' : `http://${bracketed(address.host)}:${address.port}`, {
    connect: { timeout: timeoutMs, ...(unix ? { socketPath: address.path } : {}) },
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

function reasonOf(error: unknown): string {
  // With several addresses behind a name, the first one's failure tells enough.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const code = first instanceof Error && 'code' in first ? String(first.code) : ''
  if (/^UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT$/.test(code)) return `it is silent for ${timeoutMs / 1_000} s`
  return reasons[code] ?? errorText(first)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function saidIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined
  return typeof value.error === 'string' ? value.error : undefined
}
