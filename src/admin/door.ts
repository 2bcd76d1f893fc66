/**
 * One listener for people and machines that look at this proxy: status or admin. It owns its server and its sockets;
 * bounds their number, their heads and their time; asks the gate and who it is first; and answers from the handlers it is given.
 * Requests that are proxied never come here, and what is here can never slow one by more than its own CPU time.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Address } from '../config/config.ts'
import { type Clock, type Milliseconds, systemClock, type Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import { createServer } from '../core/http.ts'
import { listenError } from '../core/listen-error.ts'
import { isLoopback, showHostPort } from '../core/host.ts'
import type { Logger } from '../core/log.ts'
import type { Inherit } from '../core/inherit.ts'
import { listenUnix } from '../core/unix-socket.ts'
import type { Access, Caller } from './access.ts'
import { type BadBody, readBody } from './body.ts'
import { judge, loopbackHosts, type GateRules } from './gate.ts'
import { createTurns } from './turns.ts'

export interface Answer {
  readonly status: number
  /** Media type. */
  readonly type: string
  /** Whole, or in parts that are made as the reader takes them. */
  readonly body: string | AsyncIterable<string>
}

/** Answers a request; `query` is what follows the question mark, as sent, '' without one. */
export type Handler = (query: string) => Answer | Promise<Answer>

/** Finds what answers for a path (without query, as sent); undefined: 404. */
export type Router = (path: string) => Handler | undefined

/** Changes something; `body` is the JSON object that was sent, `by` whoever sent it. */
export type Action = (body: Readonly<Record<string, unknown>>, by: string) => Answer | Promise<Answer>

/** Finds what a POST to a path does; undefined: nothing. */
export type ActionRouter = (path: string) => Action | undefined

export interface DoorOptions {
  /** For logs and errors: `status`, `admin`. */
  readonly name: string
  readonly address: Address
  readonly router: Router
  /** Absent: nothing can be changed here. */
  readonly actions?: ActionRouter | undefined
  /** Who may see and change what is below /v1; absent: whoever reaches it. */
  readonly access?: Access | undefined
  readonly log: Logger
  /** Asked first for the socket; absent: a new one is opened. */
  readonly inherit?: Inherit | undefined
  /** Default: the system's. */
  readonly clock?: Pick<Clock, 'setTimer'>
  /** A reader that takes nothing of its answer for this long is let go, after twice as long at the latest; ms. Default 5000. */
  readonly stallMs?: Milliseconds
}

export interface Door {
  readonly address: Address
  /** Opens; resolves with the address as a person would write it. Rejects with FL_LISTEN. Called once. */
  listen(): Promise<string>
  /**
   * Frees the address, and ends every connection: at once, or, with a clock, once its answer is out, a second later at the latest.
   * Idempotent: the first call counts.
   */
  close(patience?: Pick<Clock, 'setTimer'>): Promise<void>
}

const headBytesMax = 16_384
const idleTimeoutMs = 30_000
const stallDefaultMs: Milliseconds = 5_000
/** An answer is taken whole within this time, however the reader doles it out, ms. */
const takenMs: Milliseconds = 60_000
/** A body is there whole within this time, ms. */
const bodyMs: Milliseconds = 2_000
/** Bodies that are awaited at one time; fewer than answers, so that who sends slowly keeps nobody from looking. */
const bodiesMax = 8
/** What is under way when the address is left to another process may take this long. */
const leaveMs = 1_000

const fixedHeaders: readonly (readonly [string, string])[] = [
  ['cache-control', 'no-store'],
  ['x-content-type-options', 'nosniff'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
]

export function createDoor(options: DoorOptions): Door {
  let rules: GateRules = { hosts: undefined }
  const desk: Desk = { ...options, clock: options.clock ?? systemClock, bodies: 0 }
  const server = createServer(
    {
      maxHeaderSize: headBytesMax,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: true,
    },
    (req, res) => {
      if (!turns.take(req, res)) return
      serve(desk, rules, req, res).catch((error: unknown) => {
        options.log.debug(
          { reason: errorText(error) },
          `An answer on the ${options.name} address did not reach its reader`,
        )
        res.destroy()
      })
    },
  )
  server.setTimeout(idleTimeoutMs)
  const turns = createTurns(server)
  let closed: Promise<void> | undefined
  return {
    address: options.address,
    listen: async () => {
      const bound = await bind(server, options)
      // Not before: what keeps it from opening is said by whoever asked.
      server.on('error', (error) =>
        options.log.error({ reason: error.message }, `The ${options.name} address has an error`),
      )
      rules = bound.rules
      return bound.text
    },
    close: (patience) => {
      closed ??= new Promise((resolve) => {
        const timer = patience?.setTimer(leaveMs, () => server.closeAllConnections())
        server.close(() => {
          timer?.clear()
          resolve()
        })
        if (patience) server.closeIdleConnections()
        else server.closeAllConnections()
      })
      return closed
    },
  }
}

async function bind(server: Server, options: DoorOptions): Promise<{ text: string; rules: GateRules }> {
  const { address, name } = options
  const acts = options.actions !== undefined
  try {
    if (address.kind === 'unix') {
      await listenUnix(server, address.path)
      return { text: `unix:${address.path}`, rules: { hosts: undefined, acts } }
    }
    const inherited = await options.inherit?.(address.host, address.port)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(inherited ?? { host: address.host, port: address.port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    const bound = server.address()
    const port = typeof bound === 'object' && bound ? bound.port : address.port
    const hosts = isLoopback(address.host) ? loopbackHosts(address.host, port) : undefined
    return { text: showHostPort(address.host, port), rules: { hosts, acts } }
  } catch (error) {
    const where = address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`
    throw listenError(`The ${name} address ${where}`, `the setting ${name}.address`, error)
  }
}

/** A door while it is open. */
interface Desk extends DoorOptions {
  readonly clock: Pick<Clock, 'setTimer'>
  /** That are awaited. */
  bodies: number
}

async function serve(options: Desk, rules: GateRules, req: IncomingMessage, res: ServerResponse): Promise<void> {
  for (const [name, value] of fixedHeaders) res.setHeader(name, value)
  // A body has no meaning here: it is not read, so the connection cannot be used again.
  if (req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined) {
    res.setHeader('connection', 'close')
  }
  const method = req.method ?? ''
  const refusal = judge(rules, method, req.headers)
  if (refusal) {
    if (refusal.status === 405) res.setHeader('allow', rules.acts ? 'GET, HEAD, POST' : 'GET, HEAD')
    return send(options, res, method, json(refusal.status, { error: refusal.reason }))
  }
  const url = req.url ?? '/'
  const mark = url.indexOf('?')
  const path = mark === -1 ? url : url.slice(0, mark)
  const caller = await callerOf(options, path, req, res)
  if ('body' in caller) return send(options, res, method, caller)
  let answer: Answer
  try {
    const query = mark === -1 ? '' : url.slice(mark + 1)
    answer =
      method === 'POST' ? await act(options, path, query, caller, req, res) : await look(options, path, query, res)
  } catch (error) {
    options.log.error({ err: error, path }, `A request on the ${options.name} address failed`)
    answer = json(500, { error: 'This failed here; the log says why.' })
  }
  return send(options, res, method, answer)
}

const nothing: Answer = json(404, { error: 'There is nothing at this path.' })
const nobody: Caller = { name: 'local', role: 'operate' }

/** Who asks, or the answer to whoever may not. Nobody learns which paths there are before. */
async function callerOf(
  { access, address }: DoorOptions,
  path: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Caller | Answer> {
  if (!access || !(path === '/v1' || path.startsWith('/v1/'))) return nobody
  const local = address.kind === 'unix' || isLoopback(address.host)
  const caller = await access.check(req.headers.authorization, req.socket.remoteAddress ?? '', local)
  if (!('status' in caller)) return caller
  if (caller.status === 401) res.setHeader('www-authenticate', 'Bearer')
  else res.setHeader('retry-after', '10')
  return json(caller.status, { error: caller.reason })
}

function look(
  { router, actions }: DoorOptions,
  path: string,
  query: string,
  res: ServerResponse,
): Answer | Promise<Answer> {
  const handler = router(path)
  if (handler) return handler(query)
  if (!actions?.(path)) return nothing
  res.setHeader('allow', 'POST')
  return json(405, { error: 'This is done with POST.' })
}

async function act(
  desk: Desk,
  path: string,
  query: string,
  caller: Caller,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Answer> {
  const action = desk.actions?.(path)
  if (!action) {
    if (!desk.router(path)) return nothing
    res.setHeader('allow', 'GET, HEAD')
    return json(405, { error: 'This can only be read.' })
  }
  if (caller.role !== 'operate') return json(403, { error: `The token of ${caller.name} may only read.` })
  if (query !== '') return json(400, { error: 'There are no parameters here; what is wanted stands in the body.' })
  const body = await bodyOf(desk, req)
  if ('error' in body) return json(body.status, { error: body.error })
  return action(body.value, caller.name)
}

/** Who sends slowly costs little, and only others who send. */
async function bodyOf(desk: Desk, req: IncomingMessage): ReturnType<typeof readBody> {
  if (desk.bodies >= bodiesMax) return { status: 503, error: 'Too many others are sending at this moment.' }
  desk.bodies++
  let timer: Timer | undefined
  try {
    return await Promise.race([
      readBody(req),
      new Promise<BadBody>((resolve) => {
        timer = desk.clock.setTimer(bodyMs, () =>
          resolve({ status: 408, error: `The body must be there within ${bodyMs / 1_000} s.` }),
        )
      }),
    ])
  } finally {
    timer?.clear()
    desk.bodies--
  }
}

async function send(
  { clock, stallMs = stallDefaultMs }: Desk,
  res: ServerResponse,
  method: string,
  answer: Answer,
): Promise<void> {
  // Who reads nothing would keep a turn from others.
  res.socket?.setTimeout(stallMs)
  const timer = clock.setTimer(takenMs, () => res.destroy())
  res.once('close', () => timer.clear())
  res.statusCode = answer.status
  res.setHeader('content-type', answer.type)
  if (typeof answer.body === 'string') {
    const bytes = Buffer.from(answer.body)
    res.setHeader('content-length', bytes.length)
    res.end(method === 'HEAD' ? undefined : bytes)
  } else if (method === 'HEAD') {
    res.end()
  } else {
    await pipeline(Readable.from(answer.body), res)
  }
}

/** A JSON answer. */
export function json(status: number, value: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` }
}
