import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import t from 'tap'
import { startBackend } from '../../bench/lib/backend.ts'
import { becomeIdle, becomeWebSocket, echo, Held, holdOpen, someAtATime } from '../../bench/lib/held-connections.ts'
import { smallBody } from '../../bench/lib/payload.ts'
import { acceptOf, handshakeKey, textFrame } from '../../bench/lib/websocket.ts'
import { until } from '../fixtures/until.ts'

async function listening(t: { readonly teardown: (fn: () => void) => void }, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

t.test('idle clients and WebSockets before the bench’s own backend', async (t) => {
  const backend = await startBackend('node', undefined, '')
  t.teardown(() => backend.stop())
  const idle = await holdOpen(backend.port, 100, becomeIdle)
  const tunnels = await holdOpen(backend.port, 100, becomeWebSocket)
  await someAtATime(tunnels, (held, index) => echo(held, `text ${index}`))
  await someAtATime(tunnels, (held, index) => echo(held, `again ${index}`))
  t.equal([...idle, ...tunnels].filter((held) => held.open).length, 200)
  await backend.stop()
  await until(() => [...idle, ...tunnels].every((held) => !held.open))
})

t.test('a wrong answer is no idle client, and none is left open then', async (t) => {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer({ keepAliveTimeout: 60_000 }, (_, res) => {
    const body = ++count === 20 ? smallBody.toUpperCase() : smallBody
    res.writeHead(200, { 'content-length': body.length }).end(body)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  })
  const port = await listening(t, server)
  await t.rejects(holdOpen(port, 30, becomeIdle), { cause: { message: /wrong body/ } })
  await until(() => sockets.size === 0)
})

t.test('WebSockets that are refused, wrongly accepted, or echo something else', async (t) => {
  const server = (answer: string): Server =>
    createTcpServer((socket) => {
      socket
        .on('error', () => socket.destroy())
        .once('data', () => {
          socket.write(answer)
          socket.on('data', () => socket.write(textFrame('else', false)))
        })
    })
  const accepting = (accept: string): Server =>
    server(`HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)

  const refused = new Held(await listening(t, server('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')))
  await t.rejects(becomeWebSocket(refused), { message: /answered HTTP\/1.1 502/ })
  const wrong = new Held(await listening(t, accepting('AAAA')))
  await t.rejects(becomeWebSocket(wrong), { message: /wrong key/ })
  const held = new Held(await listening(t, accepting(acceptOf(handshakeKey))))
  await becomeWebSocket(held)
  await t.rejects(echo(held, 'this'), { message: "'else' came back for 'this'" })
  for (const each of [refused, wrong, held]) each.reset()
})

t.test('a connection that closes ends the wait', async (t) => {
  const port = await listening(
    t,
    createTcpServer((socket) => void socket.on('error', () => {}).once('data', () => socket.end())),
  )
  const held = new Held(port)
  await t.rejects(becomeIdle(held), { message: /closed/ })
  t.equal(held.open, false)
})
