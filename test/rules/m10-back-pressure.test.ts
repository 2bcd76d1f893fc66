/** Row M10: whoever reads nothing costs the proxy a bounded amount of memory, whatever the other side would send. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { BackendScript } from '../fixtures/raw-backend.ts'
import { settle, type RawClient } from '../fixtures/raw-client.ts'
import { createRig } from '../fixtures/rig.ts'
import { head } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { values } from '../fixtures/wire-message.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const gigabyte = 1_073_741_824
/** Connections that stall at once, so that what one holds can be told from noise. */
const stalled = 5
/** What a stalled connection may hold in this process, bytes: it holds up to 393,000, and what else the process does a little. */
const heldMax = 430_000

const block = Buffer.alloc(65_536, 'x')
const chunk = Buffer.concat([Buffer.from('10000\r\n'), block, Buffer.from('\r\n')])

/** A proxy that would take it all is not given it all: this much of the gigabyte proves the point. */
const pouredMax = 80 << 20

/** Writes the same block again and again, for as long as the socket takes it. */
function pour(socket: Socket, piece: Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.bytesWritten < pouredMax && socket.write(piece));
  }
  socket.on('drain', more)
  more()
}

async function memory(): Promise<number> {
  collect()
  await settle()
  collect()
  const usage = process.memoryUsage()
  return usage.heapUsed + usage.arrayBuffers
}

/** Resolves when the socket has taken nothing for a while. */
async function quiet(sockets: readonly Socket[]): Promise<void> {
  let before = -1
  await until(async () => {
    await settle(100)
    const now = sockets.reduce((sum, socket) => sum + socket.bytesWritten, 0)
    const same = now === before
    before = now
    return same && now > 0
  })
}

const wantsSocket = head(
  'GET / HTTP/1.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
)
const switched =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

const pouring = (start: string, piece: Buffer): BackendScript => ({
  onRequest: (request, connection) => {
    if (values(request.fields, 'upgrade').length > 0) connection.tunnel = true
    connection.socket.write(start)
    pour(connection.socket, piece)
  },
})

const downloads = [
  ['by length', head('GET / HTTP/1.1'), `HTTP/1.1 200 OK\r\nContent-Length: ${gigabyte}\r\n\r\n`, block],
  ['chunked', head('GET / HTTP/1.1'), 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', chunk],
  ['to the end', head('GET / HTTP/1.1'), 'HTTP/1.1 200 OK\r\n\r\n', block],
  ['to the end, HTTP/1.0', head('GET / HTTP/1.0'), 'HTTP/1.1 200 OK\r\n\r\n', block],
  ['a tunnel', wantsSocket, switched, block],
] as const

for (const [what, request, start, piece] of downloads)
  await t.test(`M10 a gigabyte (${what}) to a client that reads nothing`, async (t) => {
    const rig = await createRig({ backend: pouring(start, piece) })
    const warm = await rig.client()
    warm.socket.pause()
    await warm.send(request)
    await until(() => rig.backend.connections.length === 1)
    await quiet(rig.backend.connections.map((each) => each.socket))
    const before = await memory()
    const clients: RawClient[] = []
    for (let i = 0; i < stalled; i++) {
      const client = await rig.client()
      client.socket.pause()
      await client.send(request)
      clients.push(client)
    }
    await until(() => rig.backend.connections.length === stalled + 1)
    await quiet(rig.backend.connections.map((each) => each.socket))
    const held = ((await memory()) - before) / stalled
    t.ok(held < heldMax, `${Math.round(held)} bytes are held for each`)
    const pulled = rig.backend.connections.reduce((sum, each) => sum + each.socket.bytesWritten, 0) / (stalled + 1)
    t.ok(pulled < pouredMax / 2, `the backend could send ${pulled} of ${gigabyte} bytes`)

    // It goes on as soon as the client reads again.
    let read = 0
    warm.socket.removeAllListeners('data')
    warm.socket.on('data', (data: Buffer) => void (read += data.length))
    warm.socket.resume()
    await until(() => read > pulled * 2, { what: 'the stream to go on' })
    await rig.abandon()
  })

const uploads = [
  ['by length', head('POST / HTTP/1.1', `Content-Length: ${gigabyte}`), block],
  ['chunked', head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'), chunk],
] as const

for (const [what, request, piece] of uploads)
  await t.test(`M10 a gigabyte (${what}) to a backend that reads nothing`, async (t) => {
    const rig = await createRig({ backend: { deaf: true } })
    const send = async (): Promise<RawClient> => {
      const client = await rig.client()
      await client.send(request)
      pour(client.socket, piece)
      return client
    }
    const warm = await send()
    await quiet([warm.socket])
    const before = await memory()
    const clients: RawClient[] = []
    for (let i = 0; i < stalled; i++) clients.push(await send())
    await quiet(clients.map((client) => client.socket))
    const held = ((await memory()) - before) / stalled
    t.ok(held < heldMax, `${Math.round(held)} bytes are held for each`)
    const taken = clients.reduce((sum, client) => sum + client.socket.bytesWritten, 0) / stalled
    t.ok(taken < pouredMax / 2, `${taken} of ${gigabyte} bytes were taken from the client`)

    let read = 0
    const connection = rig.backend.connections[0]
    assert(connection)
    connection.socket.on('data', (data: Buffer) => void (read += data.length))
    await until(() => read > taken * 2, { what: 'the upload to go on' })
    await rig.abandon()
  })

await t.test('M10 a tunnel to a backend that reads nothing', async (t) => {
  const rig = await createRig({
    backend: {
      onRequest: (_request, connection) => {
        connection.tunnel = true
        connection.socket.pause()
        connection.socket.write(switched)
      },
    },
  })
  const open = async (): Promise<RawClient> => {
    const client = await rig.client()
    await client.send(wantsSocket)
    assert.equal((await client.answer()).status, 101)
    pour(client.socket, block)
    return client
  }
  const warm = await open()
  await quiet([warm.socket])
  const before = await memory()
  const clients: RawClient[] = []
  for (let i = 0; i < stalled; i++) clients.push(await open())
  await quiet(clients.map((client) => client.socket))
  const held = ((await memory()) - before) / stalled
  t.ok(held < heldMax, `${Math.round(held)} bytes are held for each`)
  await rig.abandon()
})
