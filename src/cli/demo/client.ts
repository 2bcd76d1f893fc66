/**
 * The client of the demonstration: a few keep-alive connections, mostly GETs and some POSTs, and it never tries again:
 * whatever fails is told. What it was answered is told too. It knows the proxy's address and nothing else.
 */
import { Agent, request } from 'node:http'
import { type Clock, sleep } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'

export interface Outcome {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** 0: no answer. */
  readonly status: number
  /** The proxy's id of the request; '' without an answer. */
  readonly requestId: string
  /** From the instance's own answer; '' when there was none that could be read. */
  readonly version: string
  readonly instance: string
  /** Why there was no whole answer; ''. */
  readonly error: string
  readonly durationMs: number
}

export interface ClientOptions {
  readonly port: number
  readonly clock: Clock
  readonly random: Random
  readonly onOutcome: (outcome: Outcome) => void
  /** Connections, each with one request at a time. */
  readonly connections: number
}

/** Share of requests that are POSTs. */
const unsafeShare = 0.1
const pauseMs = 10
const timeoutMs = 10_000

export class Client {
  readonly #options: ClientOptions
  readonly #agent: Agent
  readonly #ended = new AbortController()
  #workers: Promise<void>[] = []
  #count = 0

  constructor(options: ClientOptions) {
    this.#options = options
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections })
  }

  start(): void {
    this.#workers = Array.from({ length: this.#options.connections }, () => this.#work())
  }

  /** Lets the requests under way end, then closes the connections. */
  async stop(): Promise<void> {
    this.#ended.abort()
    await Promise.all(this.#workers)
    this.#agent.destroy()
  }

  async #work(): Promise<void> {
    const { clock, random, onOutcome } = this.#options
    const { signal } = this.#ended
    while (!signal.aborted) {
      const unsafe = random() < unsafeShare
      const number = ++this.#count
      onOutcome(await this.#ask(unsafe ? 'POST' : 'GET', unsafe ? `/orders/${number}` : `/items/${number}`))
      await sleep(clock, pauseMs * (0.5 + random()), signal)
    }
  }

  #ask(method: 'GET' | 'POST', path: string): Promise<Outcome> {
    const { port, clock } = this.#options
    const start = clock.now()
    return new Promise((resolve) => {
      let status = 0
      let requestId = ''
      let body = ''
      const done = (error: string): void => {
        const { version, instance } = told(body)
        resolve({ method, path, status, requestId, version, instance, error, durationMs: clock.now() - start })
      }
      const headers = method === 'POST' ? { 'content-type': 'application/json' } : {}
      const req = request(
        { host: '127.0.0.1', port, method, path, headers, agent: this.#agent, timeout: timeoutMs },
        (res) => {
          status = res.statusCode ?? 0
          const id = res.headers['x-request-id']
          requestId = typeof id === 'string' ? id : ''
          res.setEncoding('utf8')
          res.on('data', (text: string) => (body += text))
          res.on('end', () => done(res.complete ? '' : 'the answer was cut'))
          res.on('error', (error) => done(errorText(error)))
        },
      )
      req.on('timeout', () => req.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)))
      req.on('error', (error) => done(errorText(error)))
      req.end(method === 'POST' ? '{"quantity":1}' : undefined)
    })
  }
}

function told(body: string): { readonly version: string; readonly instance: string } {
  try {
    const { version, instance } = JSON.parse(body) as { readonly version?: unknown; readonly instance?: unknown }
    if (typeof version === 'string' && typeof instance === 'string') return { version, instance }
  } catch {
    // The proxy's own answers are not JSON.
  }
  return { version: '', instance: '' }
}
