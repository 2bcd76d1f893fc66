/**
 * All instances of the soak, in one process: servers that are opened and closed one by one, as a fleet's containers come and go.
 * `node backend.ts`; orders are lines of JSON on standard input (`orders.ts`), answers the same on standard output. It ends
 * when its standard input does. It knows no catalog.
 *
 * Paths, by their last segment: `/stream?ms=&bytes=` sends its body in ten pieces over that long; all others answer at once; a
 * WebSocket echoes short text frames on any path.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { answerBody } from '../../test/faults/lib/answer.ts'
import { acceptOf, readFrame, textFrame } from '../lib/websocket.ts'
import type { Order, Report } from './orders.ts'

interface Instance {
  readonly service: string
  readonly name: string
}

const servers = new Map<string, Server>()
const pieces = 10

function answer({ service, name }: Instance, req: IncomingMessage, res: ServerResponse, received: number): void {
  const url = new URL(req.url ?? '/', 'http://backend')
  const overMs = url.pathname.endsWith('/stream') ? Number(url.searchParams.get('ms')) : 0
  const facts = {
    id: String(req.headers['x-check-id'] ?? '-'),
    service,
    instance: name,
    method: req.method ?? '',
    received,
  }
  const body = answerBody(facts, Number(url.searchParams.get('bytes') ?? 0))
  res.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length })
  if (overMs === 0) return void res.end(body)
  const size = Math.ceil(body.length / pieces)
  const next = (at: number): void => {
    if (at + size >= body.length) return void res.end(body.slice(at))
    res.write(body.slice(at, at + size))
    setTimeout(next, overMs / pieces, at + size)
  }
  next(0)
}

function serve(instance: Instance): Server {
  // Longer than the proxy keeps its connections: who closes first is not what is asked here.
  const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
    let received = 0
    req.on('data', (chunk: Buffer) => void (received += chunk.length))
    req.on('error', () => {})
    req.on('end', () => answer(instance, req, res, received))
  })
  server.on('connection', (socket) => socket.on('error', () => socket.destroy()))
  server.on('upgrade', (req, socket: Socket, head) => {
    const accept = acceptOf(String(req.headers['sec-websocket-key']))
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.on('end', () => socket.end())
    echoFrames(socket, head)
  })
  return server
}

function echoFrames(socket: Socket, head: Buffer): void {
  let pending: Buffer = head
  const read = (): void => {
    for (let frame = readFrame(pending); frame !== undefined; frame = readFrame(pending)) {
      pending = pending.subarray(frame.size)
      socket.write(textFrame(frame.text, false))
    }
  }
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    read()
  })
  read()
}

function report(what: Report): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

function obey(order: Order): void {
  const { name } = order
  if (order.kind === 'open') {
    const server = serve(order)
    servers.set(name, server)
    server.listen({ port: 0, host: order.host, backlog: 4_096 }, () => {
      report({ name, port: (server.address() as AddressInfo).port })
    })
    return
  }
  const server = servers.get(name)
  servers.delete(name)
  server?.close()
  server?.closeAllConnections()
}

createInterface(process.stdin)
  .on('line', (line) => obey(JSON.parse(line) as Order))
  .on('close', () => process.exit(0))
report({ name: '', port: 0 })
