/**
 * The catalog's HTTP server on `node:http`: finds the route, bounds the body, answers, and says what it will not do.
 * It is meant for loopback or a trusted network: it has no ACL (tokens are accepted and ignored), and a registered HTTP
 * check makes it call any address. A page of another origin cannot write, since a PUT needs a preflight that is never
 * granted; but the Host header is not checked (as in Consul), so a page that rebinds its own name could. Not the data path.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorText, FairleadError } from '../../core/errors.ts'
import { createServer } from '../../core/http.ts'
import { listenError } from '../../core/listen-error.ts'
import type { Logger } from '../../core/log.ts'
import { absentApi } from './absent.ts'
import type { Route } from './parts.ts'
import { answerBlocking, type Blocker } from './query.ts'
import { Refusal, text, type Reply } from './reply.ts'

/** Consul's default for KV values, here for every body. */
export const BODY_BYTES_MAX: number = 524_288
const DRAIN_BYTES_MAX = 16 * 1_048_576

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** What says where it listens, for the message that it cannot; default: the command's `--address`. */
  readonly setting?: string | undefined
}

export class CatalogServer {
  readonly #log: Logger
  readonly #exact = new Map<string, Route>()
  /** Longest first. */
  #prefixes: readonly Route[] = []
  #blocker: Blocker | undefined
  readonly #server: Server
  /** Requests that are not answered yet. */
  #open = 0

  constructor(log: Logger) {
    this.#log = log
    this.#server = createServer({ keepAliveTimeout: 120_000 }, (req, res) => void this.#handle(req, res))
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    })
  }

  /** Throws FL_LISTEN if the address cannot be bound. */
  listen(options: ListenOptions): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        const where = `${options.host}:${String(options.port)}`
        reject(listenError(`the catalog's address ${where}`, options.setting ?? '--address', error))
      }
      this.#server.once('error', fail)
      this.#server.listen(options.port, options.host, () => {
        this.#server.off('error', fail)
        resolve(this.#server.address() as AddressInfo)
      })
    })
  }

  /** Sets what is answered; until then everything is a 503. */
  serve(blocker: Blocker, routes: readonly Route[]): void {
    this.#blocker = blocker
    for (const route of routes) if (route.path === '/' || !route.path.endsWith('/')) this.#exact.set(route.path, route)
    this.#prefixes = routes
      .filter((route) => route.path !== '/' && route.path.endsWith('/'))
      .sort((a, b) => b.path.length - a.path.length)
  }

  /** Takes no more requests, and closes every connection once the last answer is out. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#server.listening) return resolve()
      this.#server.close(() => resolve())
      this.#endIfDone()
    })
  }

  #endIfDone(): void {
    if (this.#open === 0 && !this.#server.listening) this.#server.closeAllConnections()
  }

  /** Cuts what is left. */
  destroy(): void {
    this.#server.closeAllConnections()
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const gone = new AbortController()
    this.#open++
    res.on('close', () => {
      this.#open--
      gone.abort()
      this.#endIfDone()
    })
    let reply: Reply
    try {
      reply = await this.#answer(req, gone.signal)
    } catch (error) {
      // A client that went away in the middle of its body is no fault.
      if (req.destroyed && !req.complete) return void res.destroy()
      reply = this.#refuse(error, req)
    }
    if (gone.signal.aborted && !res.writable) return
    send(res, reply, new URLSearchParams(req.url?.split('?')[1] ?? '').has('pretty'), !this.#server.listening)
    // What is left of a refused body is not read to its end.
    if (!req.complete && reply.status === 413) res.once('finish', () => req.destroy())
  }

  async #answer(req: IncomingMessage, signal: AbortSignal): Promise<Reply> {
    const blocker = this.#blocker
    if (!blocker) return text(503, 'The catalog is starting')
    const [path, search] = splitOnce(req.url ?? '/', '?')
    const method = req.method ?? 'GET'
    const found = this.#find(decodePath(path))
    if (!found) {
      const absent = absentApi(path)
      return absent !== undefined
        ? text(501, `The embedded catalog has no ${absent}`)
        : { status: 404, body: '', type: undefined, headers: {} }
    }
    const { route, rest } = found
    const allow = ['OPTIONS', ...Object.keys(route.methods)].join(',')
    if (method === 'OPTIONS') return { status: 200, body: '', type: undefined, headers: { Allow: allow } }
    const handler = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined
    if (!handler) return text(405, `method ${method} not allowed`, { Allow: allow })
    const query = new URLSearchParams(search)
    const body = await readBody(req)
    const blocking: Parameters<typeof handler>[0]['blocking'] = (topic, read) =>
      answerBlocking(blocker, query, signal, topic, read)
    return handler({ method, rest, query, body, signal, blocking })
  }

  #find(path: string): { route: Route; rest: string } | undefined {
    const exact = this.#exact.get(path)
    if (exact) return { route: exact, rest: '' }
    const route = this.#prefixes.find((candidate) => path.startsWith(candidate.path))
    return route && { route, rest: path.slice(route.path.length) }
  }

  #refuse(error: unknown, req: IncomingMessage): Reply {
    if (error instanceof Refusal)
      return text(error.status, error.message, error.status === 413 ? { Connection: 'close' } : {})
    this.#log.error({ method: req.method, path: req.url, error: errorText(error) }, 'a catalog request failed')
    // Nothing was changed and nobody asked wrongly: another catalog, or this one with a mended disk, may take it.
    if (error instanceof FairleadError && error.code === 'FL_STORE') return text(503, error.message)
    return text(500, error instanceof FairleadError ? error.message : 'internal error')
  }
}

function send(res: ServerResponse, reply: Reply, pretty: boolean, last: boolean): void {
  const body = pretty && reply.type === 'application/json' ? indent(reply.body) : Buffer.from(reply.body)
  res.writeHead(reply.status, {
    ...(reply.type === undefined ? {} : { 'Content-Type': reply.type }),
    Vary: 'Accept-Encoding',
    ...Object.fromEntries(Object.entries(reply.headers).map(([name, value]) => [name, printable(value)])),
    ...(last ? { Connection: 'close' } : {}),
    'Content-Length': body.length,
  })
  res.end(body)
}

/** Names that clients chose end up in headers; what cannot stand there is replaced. */
function printable(value: string): string {
  return value.replaceAll(/[^\t\x20-\x7e]/g, '?')
}

function indent(body: string | Buffer): Buffer {
  return Buffer.from(`${JSON.stringify(JSON.parse(body.toString()), undefined, 4)}\n`)
}

/** A body that is too large is read to its end, unkept, so that the refusal arrives; beyond a limit it is not. */
async function readBody(req: IncomingMessage): Promise<Buffer> {
  const declared = Number(req.headers['content-length'] ?? 0)
  if (declared > DRAIN_BYTES_MAX) throw tooLarge(String(declared))
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= BODY_BYTES_MAX) chunks.push(chunk)
    else if (size > DRAIN_BYTES_MAX) throw tooLarge(`over ${String(DRAIN_BYTES_MAX)}`)
  }
  if (size > BODY_BYTES_MAX) throw tooLarge(String(size))
  return Buffer.concat(chunks)
}

function tooLarge(size: string): Refusal {
  return new Refusal(413, `Request body(${size} bytes) too large, max size: ${String(BODY_BYTES_MAX)} bytes`)
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new Refusal(400, 'Invalid percent-encoding in the path')
  }
}

function splitOnce(value: string, separator: string): [string, string] {
  const at = value.indexOf(separator)
  return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at + 1)]
}
