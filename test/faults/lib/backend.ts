/**
 * A backend of the fault suite, as a process of its own: `node backend.ts --service web --instance web-1 --log FILE …`.
 * It registers nothing. It prints its port once it listens and ends when its standard input does, so that it never outlives
 * the suite. Before anything else it writes each request down (backend-log.ts).
 *
 * Paths: `/work` after the latency that `--latency` names; `/hold?ms=` after that long; `/stream?ms=&bytes=&pieces=&chunked=`
 * head at once, body in pieces; `/half-head?ms=` half a head, and the rest after that long; `/poison` does what `--poison` names; all others at once.
 */
import { openSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { seededRandom } from '../../../src/core/random.ts'
import { answerBody } from './answer.ts'
import { type Step, logLine } from './backend-log.ts'
import { heavyTailMs } from './heavy-tail.ts'

const { values: args } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
    service: { type: 'string', default: 'web' },
    instance: { type: 'string', default: 'web-1' },
    log: { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** none, heavy, or milliseconds. */
    latency: { type: 'string', default: 'none' },
    /** MIN-MAX in milliseconds: it stands still for that long, at random times, `pauseEvery` apart on average. */
    pause: { type: 'string' },
    pauseEvery: { type: 'string', default: '3000' },
    /** none, kill, hang. */
    poison: { type: 'string', default: 'none' },
    behaviour: { type: 'string', default: 'normal' },
  },
})

const random = seededRandom(Number(args.seed))
const log = args.log === undefined ? undefined : openSync(args.log, 'a')

function note(step: Step, req: IncomingMessage): void {
  if (log !== undefined) writeSync(log, logLine(step, idOf(req), req.method ?? ''))
}

const idOf = (req: IncomingMessage): string => String(req.headers['x-check-id'] ?? '-')

/** Stands still as a whole, without burning a core that others need. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function schedulePauses(range: string, everyMs: number): void {
  const [min = 0, max = min] = range.split('-').map(Number)
  const next = (): void =>
    void setTimeout(
      () => {
        standStill(min + random() * (max - min))
        next()
      },
      -Math.log(1 - random()) * everyMs,
    )
  next()
}

function latencyMs(): number {
  if (args.latency === 'none') return 0
  return args.latency === 'heavy' ? heavyTailMs(random) : Number(args.latency)
}

interface Request {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly received: number
  readonly query: URLSearchParams
}

function bodyOf({ req, received }: Request, filler = 0): string {
  const { service, instance } = args
  return answerBody({ id: idOf(req), service, instance, method: req.method ?? '', received }, filler)
}

function answer(request: Request, status = 200): void {
  const { req, res } = request
  const body = bodyOf(request)
  res.writeHead(status, { 'content-type': 'text/plain', 'content-length': body.length })
  res.end(req.method === 'HEAD' ? '' : body)
  note('answered', req)
}

function stream(request: Request): void {
  const { req, res, query } = request
  const pieces = Number(query.get('pieces') ?? 10)
  const body = bodyOf(request, Number(query.get('bytes') ?? 10_000))
  res.writeHead(200, query.get('chunked') === '1' ? {} : { 'content-length': body.length })
  res.flushHeaders()
  const everyMs = Number(query.get('ms') ?? 0) / pieces
  const size = Math.ceil(body.length / pieces)
  let at = 0
  const next = (): void => {
    res.write(body.slice(at, at + size))
    at += size
    if (at < body.length) {
      setTimeout(next, everyMs)
      return
    }
    res.end()
    note('answered', req)
  }
  next()
}

function halfHead(request: Request): void {
  const { req, query } = request
  const { socket } = req
  const body = bodyOf(request)
  socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Le')
  setTimeout(
    () => {
      socket.end(`ngth: ${body.length}\r\n\r\n${body}`)
      note('answered', req)
    },
    Number(query.get('ms')),
  )
}

function takePoison(request: Request): void {
  if (args.poison === 'kill') process.kill(process.pid, 'SIGKILL')
  else if (args.poison === 'hang') standStill(3_600_000)
  else answer(request)
}

function normal(request: Request, path: string): void {
  switch (path) {
    case '/work':
      return later(request, latencyMs())
    case '/hold':
      return later(request, Number(request.query.get('ms')))
    case '/stream':
      return stream(request)
    case '/half-head':
      return halfHead(request)
    case '/poison':
      return takePoison(request)
    default:
      return answer(request)
  }
}

function later(request: Request, ms: number): void {
  if (ms <= 0) answer(request)
  else setTimeout(() => answer(request), ms)
}

const idleMs = 400
const stale = 'stale web leaked GET 0 0\n\nend stale\n'
const requestsOn = new WeakMap<Socket, number>()

/** A request that is on its way could be taken for the leak's own, by anybody: it waits until none has come for long. */
function leakWhenIdle(socket: Socket): void {
  const count = (requestsOn.get(socket) ?? 0) + 1
  requestsOn.set(socket, count)
  setTimeout(() => {
    // What has arrived meanwhile is read before this runs.
    setImmediate(() => {
      if (requestsOn.get(socket) === count && socket.writable)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${stale.length}\r\n\r\n${stale}`)
    })
  }, idleMs)
}

/** What it does in place of answering well once it was sent SIGUSR2; by `--behaviour`. */
const behaviours: Readonly<Record<string, (request: Request, path: string, socket: Socket) => void>> = {
  normal,
  /** Accepts, reads, runs, and says nothing. */
  silent: () => {},
  /** Half an answer, then the end. */
  half: (request, _, socket) => {
    const body = bodyOf(request, 2_000)
    request.res.writeHead(200, { 'content-length': body.length })
    request.res.write(body.slice(0, body.length / 2), () => socket.destroy())
  },
  reset: (_request, _path, socket) => void socket.resetAndDestroy(),
  garbage: (_request, _path, socket) => void socket.end('\u0000\u0001 this is no HTTP\r\n\r\n'),
  /** Good answers; and once a connection has been idle for a while, another one that nobody asked for. */
  leak: (request, path, socket) => {
    normal(request, path)
    leakWhenIdle(socket)
  },
  error: (request) => answer(request, 500),
}

const chosen = behaviours[args.behaviour]
if (chosen === undefined) throw new Error(`no behaviour ${args.behaviour}`)
let behave = normal as typeof chosen
// Whoever does wrong from the start is never trusted with a request.
process.on('SIGUSR2', () => void (behave = chosen))

// Node ends what was idle for 5 s; after a freeze it does so with a request already waiting there, and no proxy can help it.
const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
  note('began', req)
  let received = 0
  req.on('data', (chunk: Buffer) => void (received += chunk.length))
  req.on('error', () => {})
  req.on('end', () => {
    note('ran', req)
    const url = new URL(req.url ?? '/', 'http://backend')
    // Only the last segment counts: routes put their own before it.
    const path = url.pathname.slice(url.pathname.lastIndexOf('/'))
    behave({ req, res, received, query: url.searchParams }, path, req.socket)
  })
})
server.on('connection', (socket) => socket.on('error', () => socket.destroy()))
server.listen({ port: Number(args.port), host: args.host, backlog: 4_096 }, () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
if (args.pause !== undefined) schedulePauses(args.pause, Number(args.pauseEvery))
process.stdin.on('end', () => process.exit(0)).resume()
