/**
 * The suite's client: keep-alive connections on plain sockets, one request at a time on each, never a retry. Every request
 * has an id of its own; every answer is checked whole. It judges nothing: it writes down what became of each request.
 */
import { connect, type Socket } from 'node:net'
import { type Answer, AnswerReader } from './answer-reader.ts'
import { judgeBody } from './answer.ts'

export type Outcome =
  | 'good'
  /** A whole answer with another status than 200. */
  | 'status'
  /** It began and was cut, visibly. */
  | 'cut'
  /** The connection ended without a byte of an answer. */
  | 'no-answer'
  /** No connection to the proxy. */
  | 'no-connection'
  /** Not within the client's own patience. */
  | 'timeout'
  /** The run was over before it ended; says nothing. */
  | 'abandoned'
  /** No HTTP, or bytes beyond the answer. */
  | 'invalid'
  | 'wrong-request'
  | 'wrong-service'
  /** Its framing said whole, its content did not. */
  | 'short'

export interface Sent {
  readonly id: string
  readonly method: string
  readonly path: string
  /** Monotonic ms, of this process. */
  readonly startMs: number
  readonly endMs: number
  readonly outcome: Outcome
  /** 0: no answer. */
  readonly status: number
  /** Who answered, as far as the body told. */
  readonly instance: string
  readonly retryAfter: string | undefined
  /** For people: an error, the start of an odd body, Proxy-Status. */
  readonly detail: string
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly bodyBytes: number
  /** The body goes out in ten pieces over this long. Default: with the head, at once. */
  readonly bodyOverMs?: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface LoadOptions {
  readonly port: number
  readonly connections: number
  /** Requests per second over all connections; undefined: each sends as soon as its last is answered. */
  readonly rate?: number | undefined
  /** The n-th request of this load. Default: {@link mixed}. */
  readonly ask?: (n: number) => Asked
  /** Service that must answer. Default `web`. */
  readonly service?: string
  /** Begins every id; unique in a run. */
  readonly name?: string
  /** Bounds: requests in all, and time from the start. One of them, or `stop`, ends it. */
  readonly requests?: number
  readonly forMs?: number
  /** The client's patience with one request. Default 60 s. */
  readonly timeoutMs?: number
  /** Which of those that ended `sent` holds, for loads that are too long to hold all. Default: all. */
  readonly keep?: (sent: Sent) => boolean
}

export interface Load {
  /** What ended so far, in the order of ends; of it what `keep` says. */
  readonly sent: readonly Sent[]
  /** How many ended so far, kept or not. */
  readonly ended: () => number
  /** Requests under way. */
  readonly underWay: () => number
  /** Resolves when its bounds are reached and all is answered. */
  readonly done: Promise<void>
  /** Sends nothing new; resolves when what is under way has ended, or has been abandoned after `graceMs` (40 s). */
  stop(graceMs?: number): Promise<void>
}

/** Four GETs, then a POST of 1 kB. */
export function mixed(path = '/work'): (n: number) => Asked {
  return (n) => (n % 5 === 4 ? { method: 'POST', path, bodyBytes: 1_000 } : { method: 'GET', path, bodyBytes: 0 })
}

export function onlyGets(path = '/work'): () => Asked {
  return () => ({ method: 'GET', path, bodyBytes: 0 })
}

let loads = 0

export function startLoad(options: LoadOptions): Load {
  const load = new RunningLoad(options)
  load.start()
  return load
}

/** One request, by itself. */
export async function askOnce(
  port: number,
  asked: Partial<Asked> = {},
  options: Partial<LoadOptions> = {},
): Promise<Sent> {
  const ask = (): Asked => ({ method: 'GET', path: '/work', bodyBytes: 0, ...asked })
  const load = startLoad({ port, connections: 1, requests: 1, ask, ...options })
  await load.done
  return load.sent[0] as Sent
}

interface Waiting {
  readonly id: string
  readonly asked: Asked
  readonly startMs: number
  readonly reader: AnswerReader
  readonly end: (outcome: Outcome, detail: string, answer?: Answer, instance?: string) => void
}

class RunningLoad implements Load {
  readonly sent: Sent[] = []
  readonly done: Promise<void>
  readonly #options: LoadOptions
  readonly #name: string
  readonly #ask: (n: number) => Asked
  readonly #clients: Client[]
  readonly #startedMs = performance.now()
  #next = 0
  #stopped = false
  #underWay = 0
  #ended = 0
  #resolveDone!: () => void
  readonly #sleepers = new Set<() => void>()

  constructor(options: LoadOptions) {
    this.#options = options
    this.#name = `${options.name ?? 'load'}${++loads}`
    this.#ask = options.ask ?? mixed()
    this.done = new Promise((resolve) => (this.#resolveDone = resolve))
    this.#clients = Array.from({ length: options.connections }, () => new Client(options.port))
  }

  start(): void {
    const all = this.#clients.map((client, at) => this.#run(client, at))
    void Promise.all(all).then(() => {
      for (const client of this.#clients) client.close()
      this.#resolveDone()
    })
  }

  ended(): number {
    return this.#ended
  }

  underWay(): number {
    return this.#underWay
  }

  async stop(graceMs = 40_000): Promise<void> {
    this.#stopped = true
    for (const wake of this.#sleepers) wake()
    const timer = setTimeout(() => {
      for (const client of this.#clients) client.abandon()
    }, graceMs)
    await this.done
    clearTimeout(timer)
  }

  #over(): boolean {
    const { requests = Infinity, forMs = Infinity } = this.#options
    return this.#stopped || this.#next >= requests || performance.now() - this.#startedMs >= forMs
  }

  async #run(client: Client, at: number): Promise<void> {
    const { rate, connections } = this.#options
    for (let turn = 0; !this.#over(); turn++) {
      if (rate !== undefined) await this.#waitUntil(this.#startedMs + ((turn * connections + at) * 1_000) / rate)
      if (this.#over()) return
      await this.#sendOne(client, this.#next++)
    }
  }

  /** A client that fell behind sends at once, and catches up. */
  async #waitUntil(ms: number): Promise<void> {
    const left = ms - performance.now()
    if (left <= 0 || this.#stopped) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#sleepers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, left)
      this.#sleepers.add(wake)
    })
  }

  async #sendOne(client: Client, n: number): Promise<void> {
    const asked = this.#ask(n)
    const id = `${this.#name}-${n}`
    const { service = 'web', timeoutMs = 60_000, keep } = this.#options
    this.#underWay++
    const sent = await client.send(id, asked, service, timeoutMs)
    this.#underWay--
    this.#ended++
    if (keep === undefined || keep(sent)) this.sent.push(sent)
  }
}

/** One connection; opened when needed. */
class Client {
  readonly #port: number
  #socket: Socket | undefined
  #waiting: Waiting | undefined

  constructor(port: number) {
    this.#port = port
  }

  send(id: string, asked: Asked, service: string, timeoutMs: number): Promise<Sent> {
    return new Promise((resolve) => {
      const startMs = performance.now()
      const timer = setTimeout(() => this.#fail('timeout', `${timeoutMs} ms`), timeoutMs)
      const { method, path, bodyBytes } = asked
      const end: Waiting['end'] = (outcome, detail, answer, instance = '') => {
        clearTimeout(timer)
        this.#waiting = undefined
        const retryAfter = answer?.headers.get('retry-after')
        const status = answer?.status ?? 0
        const endMs = performance.now()
        resolve({ id, method, path, startMs, endMs, outcome, status, instance, retryAfter, detail })
      }
      this.#waiting = { id, asked, startMs, reader: new AnswerReader(method), end }
      const socket = (this.#socket ??= this.#open(service))
      const more = Object.entries(asked.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
      const length = bodyBytes > 0 || method === 'POST' ? `Content-Length: ${bodyBytes}\r\n` : ''
      const head = `${method} ${path} HTTP/1.1\r\nHost: check\r\nX-Check-Id: ${id}\r\nX-Request-Id: ${id}\r\n`
      const { bodyOverMs = 0 } = asked
      const text = `${head}${length}${more.join('')}\r\n`
      socket.write(bodyOverMs > 0 ? text : text + 'x'.repeat(bodyBytes), 'latin1')
      if (bodyOverMs > 0) this.#upload(socket, bodyBytes, bodyOverMs)
    })
  }

  #upload(socket: Socket, bodyBytes: number, overMs: number): void {
    const size = Math.ceil(bodyBytes / 10)
    let left = bodyBytes
    const end = (): void => {
      clearInterval(timer)
      // The connection may carry many more.
      socket.off('close', end)
    }
    const timer = setInterval(() => {
      // An answer may come before the body is through, and end the connection.
      if (socket.destroyed || left <= 0) return end()
      socket.write('x'.repeat(Math.min(size, left)), 'latin1')
      left -= size
    }, overMs / 10)
    socket.on('close', end)
  }

  abandon(): void {
    this.#fail('abandoned', '')
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #open(service: string): Socket {
    const socket = connect(this.#port, '127.0.0.1').setNoDelay(true)
    let connected = false
    let error = ''
    socket.on('connect', () => void (connected = true))
    socket.on('data', (chunk: Buffer) => this.#read(socket, chunk, service))
    socket.on('error', (cause) => void (error = cause.message))
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      const waiting = this.#waiting
      if (!waiting) return
      const answer = waiting.reader.end()
      if (answer && error === '') return this.#judge(waiting, answer, service)
      if (!connected) waiting.end('no-connection', error)
      else waiting.end(waiting.reader.started ? 'cut' : 'no-answer', error || 'closed')
    })
    return socket
  }

  #read(socket: Socket, chunk: Buffer, service: string): void {
    const waiting = this.#waiting
    if (!waiting) {
      // Bytes that no request asked for are charged to the connection's next one, as a real client would.
      socket.destroy(new Error('bytes without a request'))
      return
    }
    let answer: Answer | undefined
    try {
      answer = waiting.reader.push(chunk)
    } catch (error) {
      return this.#fail('invalid', String(error))
    }
    if (!answer) return
    if (!answer.reusable) this.close()
    this.#judge(waiting, answer, service)
  }

  #judge(waiting: Waiting, answer: Answer, service: string): void {
    const { id, asked } = waiting
    const proxyStatus = answer.headers.get('proxy-status') ?? ''
    if (answer.status !== 200) return waiting.end('status', proxyStatus, answer)
    if (asked.method === 'HEAD') return waiting.end('good', '', answer)
    const { method, bodyBytes: received } = asked
    const verdict = judgeBody(answer.body, { id, service, method, received })
    if (verdict.kind === 'right') return waiting.end('good', '', answer, verdict.instance)
    waiting.end(verdict.kind, answer.body.slice(0, 120), answer, verdict.instance)
  }

  #fail(outcome: Outcome, detail: string): void {
    const waiting = this.#waiting
    this.close()
    waiting?.end(outcome, detail)
  }
}
