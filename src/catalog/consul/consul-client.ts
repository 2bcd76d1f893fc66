/**
 * One Consul agent's HTTP API: GET with the headers of blocking queries, PUT for registrations and transactions. Every
 * request has a deadline and an AbortSignal, every body is read whole or destroyed. It knows no retries and believes nothing.
 * For the catalog and for the sources of policy alike.
 * Source: Consul's HTTP API (blocking queries, consistency modes, filtered results).
 */
import type { Dispatcher } from 'undici'
import type { Clock, Milliseconds } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
import { bodyBytesMax, counted, readErrorText, skipBody, tooLarge } from './body.ts'
import type { DecodeKind, DecodeResult } from './decode.ts'
import { Decoder } from './decoder.ts'
import { type ConsulConnection, defaultAddress } from './options.ts'
import { parseTarget, type Target } from './target.ts'
import { StatusError } from './status-error.ts'
import { TokenSource } from './token.ts'
import { Transport } from './transport.ts'

export interface ReadQuery {
  /** Undefined or 0: answer at once. */
  readonly index?: bigint | undefined
  /** For a blocking query, how long it may wait. */
  readonly waitMs?: Milliseconds | undefined
  /** `consistent` asks the leader to be sure, `stale` takes any server; default is Consul's own. */
  readonly consistency?: 'default' | 'stale' | 'consistent' | undefined
  readonly signal: AbortSignal
}

export interface Answer<T> {
  readonly data: T
  /** `X-Consul-Index`; undefined when the answer has none that is a number. */
  readonly index: bigint | undefined
  /** False only when Consul says that there is no leader, or that its answer is older than half a minute. */
  readonly leader: boolean
  /** Consul says that the token hid something (1.11 and later say so). */
  readonly filtered: boolean
}

export interface ConsulClientDeps {
  readonly clock: Clock
  /** Smaller in tests; default 64 MiB. */
  readonly bodyBytesMax?: number | undefined
}

/** Added to every deadline: what an answer may take besides its blocking. */
const marginMs: Milliseconds = 10_000
const lastContactMaxMs: Milliseconds = 30_000

export class ConsulClient {
  readonly #target: Target
  readonly #connection: ConsulConnection
  readonly #clock: Clock
  readonly #token: TokenSource
  readonly #transport: Transport
  readonly #decoder = new Decoder()
  readonly #bodyBytesMax: number
  readonly #ended = new AbortController()
  #answeredMs = 0

  /** Throws `FL_CONFIG` when the address is none. */
  constructor(connection: ConsulConnection, deps: ConsulClientDeps) {
    this.#connection = connection
    this.#clock = deps.clock
    this.#bodyBytesMax = deps.bodyBytesMax ?? bodyBytesMax
    this.#target = parseTarget(connection.address ?? defaultAddress)
    this.#token = new TokenSource(connection.token, connection.tokenFile)
    this.#transport = new Transport(this.#target, connection.tls ?? {})
  }

  /** The address for log lines. */
  get shown(): string {
    return this.#target.shown
  }

  /** Whether blocking queries share connections (HTTP/2). */
  get multiplexed(): boolean {
    return this.#transport.multiplexed
  }

  /**
   * Reads `path` (with its own query, without `/v1`) and decodes the answer as `kind`; large ones off this thread.
   * Rejects with a {@link FairleadError} whose message names what went wrong, or with the signal's reason.
   */
  async get<K extends DecodeKind>(kind: K, path: string, query: ReadQuery): Promise<Answer<DecodeResult<K>>> {
    return (await this.#read(kind, path, query, isSuccess)) as Answer<DecodeResult<K>>
  }

  /**
   * As {@link get}, but what is not there is an answer too: a 404 with an `X-Consul-Index` has undefined as data. A 404
   * without one is none of Consul's answers about a thing, and an error.
   */
  async find<K extends DecodeKind>(
    kind: K,
    path: string,
    query: ReadQuery,
  ): Promise<Answer<DecodeResult<K> | undefined>> {
    return await this.#read(kind, path, query, isSuccessOrAbsent)
  }

  async #read<K extends DecodeKind>(
    kind: K,
    path: string,
    query: ReadQuery,
    isAnswer: IsAnswer,
  ): Promise<Answer<DecodeResult<K> | undefined>> {
    const blocking = query.index !== undefined && query.index > 0n
    const waitMs = blocking ? (query.waitMs ?? 0) : 0
    return await this.#within(waitMs + waitMs / 16 + marginMs, query.signal, async (signal) => {
      const answer = await this.#send('GET', this.#url(path, query, blocking), undefined, signal, isAnswer)
      const { headers } = answer
      if (answer.statusCode === 404) {
        await readErrorText(answer.body)
        return { data: undefined, ...aboutOf(headers) }
      }
      const type = header(headers, 'content-type')
      if (type === undefined || !/^application\/json\b/i.test(type)) {
        answer.body.on('error', () => {}).destroy()
        throw new FairleadError('FL_CATALOG_HTTP', `answered ${type ?? 'no content type'} instead of JSON`)
      }
      if (Number(header(headers, 'content-length') ?? 0) > this.#bodyBytesMax) {
        answer.body.on('error', () => {}).destroy()
        throw tooLarge(this.#bodyBytesMax)
      }
      const body = counted(answer.body, this.#bodyBytesMax)
      return { data: await this.#decoder.decode(kind, body, signal), ...aboutOf(headers) }
    })
  }

  /** Writes `body` as JSON. Rejects as {@link get} does. */
  async put(path: string, body: unknown, signal: AbortSignal, timeoutMs: Milliseconds = marginMs): Promise<void> {
    await this.#within(timeoutMs, signal, async (own) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const answer = await this.#send('PUT', this.#url(path, undefined, false), text, own, isSuccess)
      await skipBody(answer.body, this.#bodyBytesMax)
    })
  }

  /**
   * Writes `operations` by `/v1/txn`, all or none; resolves with the answer's JSON, also that of a 409: which of them did
   * not hold. Rejects as {@link get} does; after `FL_CATALOG_UNREACHABLE` it may have been written or not.
   */
  async transact(operations: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    return await this.#within(marginMs, signal, async (own) => {
      const text = JSON.stringify(operations)
      const answer = await this.#send('PUT', this.#url('/txn', undefined, false), text, own, isSuccessOrConflict)
      return await this.#decoder.decode({ kind: 'json' }, counted(answer.body, this.#bodyBytesMax), own)
    })
  }

  /** Ends every request and connection. Idempotent. */
  async destroy(): Promise<void> {
    if (this.#ended.signal.aborted) return
    this.#ended.abort(new FairleadError('FL_CATALOG_UNREACHABLE', 'stopped'))
    await Promise.all([this.#transport.destroy(), this.#decoder.destroy()])
  }

  #url(path: string, query: ReadQuery | undefined, blocking: boolean): string {
    const parts: string[] = []
    if (this.#connection.datacenter !== undefined) parts.push(`dc=${encodeURIComponent(this.#connection.datacenter)}`)
    if (query?.consistency === 'stale' || query?.consistency === 'consistent') parts.push(query.consistency)
    if (blocking) parts.push(`index=${String(query?.index)}`, `wait=${String(Math.round(query?.waitMs ?? 0))}ms`)
    if (parts.length === 0) return `${this.#target.prefix}/v1${path}`
    return `${this.#target.prefix}/v1${path}${path.includes('?') ? '&' : '?'}${parts.join('&')}`
  }

  /** One request; a refused token is read again from its file, and tried once more if it is another one now. */
  async #send(
    method: 'GET' | 'PUT',
    path: string,
    body: string | undefined,
    signal: AbortSignal,
    isAnswer: IsAnswer,
  ): Promise<Dispatcher.ResponseData> {
    const token = await this.#token.current()
    const first = await this.#once(method, path, body, token, signal)
    if (isAnswer(first)) return first
    const text = await readErrorText(first.body)
    if (first.statusCode !== 403) throw new StatusError(first.statusCode, text)
    const other = await this.#token.current(true)
    if (other === token) throw new StatusError(403, text)
    const second = await this.#once(method, path, body, other, signal)
    if (isAnswer(second)) return second
    throw new StatusError(second.statusCode, await readErrorText(second.body))
  }

  async #once(
    method: 'GET' | 'PUT',
    path: string,
    body: string | undefined,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (token !== undefined) headers['x-consul-token'] = token
    const { httpAuth } = this.#connection
    if (httpAuth !== undefined) headers['authorization'] = `Basic ${Buffer.from(httpAuth).toString('base64')}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    const answer = await this.#transport.request({
      method,
      path,
      headers,
      body: body ?? null,
      signal,
      // A blocking query holds its connection; nothing may be queued behind it.
      blocking: true,
    })
    this.#answeredMs = this.#clock.now()
    return answer
  }

  async #within<T>(limitMs: Milliseconds, signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const text = `no answer within ${(limitMs / 1000).toFixed(1)} s`
    const startedMs = this.#clock.now()
    const timer = this.#clock.setTimer(limitMs, () => late.abort(new FairleadError('FL_CATALOG_UNREACHABLE', text)))
    try {
      return await run(AbortSignal.any([signal, this.#ended.signal, late.signal]))
    } catch (error) {
      if (signal.aborted || this.#ended.signal.aborted) throw error
      if (late.signal.aborted) {
        // A frozen HTTP/2 peer keeps its connection; only a new one tells whether it lives.
        if (this.#transport.multiplexed && this.#answeredMs < startedMs) this.#transport.reset()
        throw late.signal.reason
      }
      if (error instanceof FairleadError) throw error
      throw new FairleadError('FL_CATALOG_UNREACHABLE', networkText(error), { cause: error })
    } finally {
      timer.clear()
    }
  }
}

/** Whether a response says what was asked; all else is an error. */
type IsAnswer = (response: Dispatcher.ResponseData) => boolean

const isSuccess: IsAnswer = ({ statusCode }) => statusCode < 300
const isSuccessOrConflict: IsAnswer = ({ statusCode }) => statusCode < 300 || statusCode === 409
const isSuccessOrAbsent: IsAnswer = ({ statusCode, headers }) =>
  statusCode < 300 || (statusCode === 404 && header(headers, 'x-consul-index') !== undefined)

/** What the headers of a blocking query's answer say of it. */
function aboutOf(headers: Dispatcher.ResponseData['headers']): Omit<Answer<never>, 'data'> {
  const index = header(headers, 'x-consul-index')
  const lastContact = Number(header(headers, 'x-consul-lastcontact') ?? 0)
  return {
    index: index !== undefined && /^\d{1,20}$/.test(index) ? BigInt(index) : undefined,
    leader: header(headers, 'x-consul-knownleader') !== 'false' && !(lastContact > lastContactMaxMs),
    filtered: header(headers, 'x-consul-results-filtered-by-acls') === 'true',
  }
}

function header(headers: Dispatcher.ResponseData['headers'], name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Node hides the causes of a connect that tried several addresses. */
function networkText(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map((inner) => errorText(inner)).join('; ')
  return errorText(error)
}
