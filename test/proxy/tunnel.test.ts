import t from 'tap'
import { digest, noise } from '../fixtures/noise.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { get, stateOf, statsOf, underWay, versionOf, withRig } from '../fixtures/plane-parts.ts'
import type { BackendConnection, BackendScript } from '../fixtures/raw-backend.ts'
import { type RawClient, settle } from '../fixtures/raw-client.ts'
import type { Rig, RigOptions } from '../fixtures/rig.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
const ask = get(
  '/chat',
  'Connection: Upgrade',
  'Upgrade: websocket',
  `Sec-WebSocket-Key: ${key}`,
  'Sec-WebSocket-Version: 13',
)
const switching = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`

interface Joined {
  readonly rig: Rig
  readonly client: RawClient
  readonly backend: BackendConnection
  /** What came through, each way. */
  readonly atClient: () => string
  readonly atBackend: () => string
}

/** Runs with a tunnel that stands; `script` says what the backend does with it. */
async function withTunnel(
  script: BackendScript,
  fn: (joined: Joined) => Promise<void>,
  options: RigOptions = {},
): Promise<void> {
  let atBackend = ''
  const backend: BackendScript = {
    onEnd: () => undefined,
    ...script,
    onRequest: (_request, connection) => {
      connection.tunnel = true
      void connection.send(switching)
    },
    onTunnel: (bytes, connection) => {
      atBackend += bytes
      script.onTunnel?.(bytes, connection)
    },
  }
  await withRig({ ...options, backend }, async (rig) => {
    const client = await rig.client()
    await client.send(ask)
    const answer = await client.answer()
    if (answer.status !== 101 || value(answer.fields, 'sec-websocket-accept') !== accept) throw new Error(answer.head)
    const head = client.consumed
    await fn({
      rig,
      client,
      backend: rig.connection,
      atClient: () => client.received.slice(head),
      atBackend: () => atBackend,
    })
  })
}

t.test('bytes both ways, all of them, in order, whoever is slower', async (t) => {
  const down = noise(6_000_000, 1)
  const up = noise(6_000_000, 2)
  await withTunnel({}, async ({ client, backend, atClient, atBackend, rig }) => {
    client.socket.pause()
    void backend.send(down)
    backend.socket.pause()
    void client.send(up)
    await settle(40)
    t.equal(stateOf(rig.plane, 'one-0').inFlight, 1)
    backend.socket.resume()
    await until(() => atBackend().length === up.length)
    client.socket.resume()
    await until(() => atClient().length === down.length)
    t.equal(digest(atBackend()), digest(up))
    t.equal(digest(atClient()), digest(down))
    client.end()
    await until(() => backend.finished)
    backend.end()
    await until(() => underWay(rig.plane) === 0)
    t.match(rig.records, [{ status: 101, origin: 'upstream', cause: '', attempts: 1 }])
    t.ok((rig.records[0]?.bytesReceived ?? 0) >= up.length)
    t.ok((rig.records[0]?.bytesSent ?? 0) >= down.length)
  })
})

t.test('what one side does not read the other cannot send', async (t) => {
  await withTunnel({}, async ({ client, backend, atClient }) => {
    const size = 32_000_000
    client.socket.pause()
    let left = false
    backend.socket.write(Buffer.alloc(size), () => {
      left = true
    })
    await settle(60)
    t.notOk(left, 'the backend still has some of it')
    client.socket.resume()
    await until(() => atClient().length === size)
  })
})

t.test('each side may end first, and the other goes on', async (t) => {
  await withTunnel({}, async ({ client, backend, atClient, rig }) => {
    client.end()
    await until(() => backend.finished)
    await backend.send('still here')
    await until(() => atClient() === 'still here')
    t.equal(underWay(rig.plane), 2)
    backend.end()
    await client.wait('FIN', () => client.finished)
    await until(() => underWay(rig.plane) === 0)
  })
  await withTunnel({}, async ({ client, backend, atBackend, rig }) => {
    backend.end()
    await client.wait('FIN', () => client.finished)
    await client.send('still here')
    await until(() => atBackend() === 'still here')
    t.equal(underWay(rig.plane), 2)
    client.end()
    await until(() => backend.finished)
    await until(() => underWay(rig.plane) === 0)
    t.equal(stateOf(rig.plane, 'one-0').pool.open, 0, 'its connection is not used again')
    t.equal(rig.records.at(-1)?.cause, '', 'both ended in order')
  })
})

t.test('what was sent before the end arrives, however slow the reader and whoever ended first', async (t) => {
  const up = noise(4_000_000 + 10_001, 3)
  for (const upstreamFirst of [true, false])
    await withTunnel({}, async ({ client, backend, atBackend, rig }) => {
      backend.socket.pause()
      if (upstreamFirst) backend.end()
      void client.send(up)
      client.end()
      if (!upstreamFirst) backend.end()
      await until(async () => {
        backend.socket.resume()
        await settle(1)
        backend.socket.pause()
        await settle(1)
        return backend.finished || backend.reset || atBackend().length === up.length
      })
      backend.socket.resume()
      await until(() => backend.finished || backend.reset)
      t.equal(atBackend().length, up.length, `${upstreamFirst ? 'upstream' : 'client'} first`)
      t.notOk(backend.reset)
      await until(() => underWay(rig.plane) === 0)
    })
})

t.test('a side that breaks takes the other with it', async (t) => {
  await withTunnel({}, async ({ client, backend, rig }) => {
    client.abort()
    await until(() => backend.reset || backend.closed || backend.finished)
    await until(() => underWay(rig.plane) === 0)
    t.match(rig.records, [{ status: 101, cause: 'client-gone' }])
    t.equal(versionOf(rig.plane).attempts.get('client'), 1)
  })
  await withTunnel({}, async ({ client, backend, rig }) => {
    backend.abort()
    await client.wait('the end', () => !client.open)
    await until(() => underWay(rig.plane) === 0)
    t.match(rig.records, [{ status: 101, cause: 'reset' }])
  })
})

t.test('silence both ways ends it, a byte either way does not', async (t) => {
  const clock = new FakeClock()
  await withTunnel({}, async ({ client, backend, atClient, atBackend, rig }) => {
    clock.advance(900)
    await client.send('a')
    await until(() => atBackend() === 'a')
    clock.advance(900)
    await backend.send('b')
    await until(() => atClient() === 'b')
    clock.advance(900)
    t.ok(client.open)
    clock.advance(200)
    await client.wait('the end', () => !client.open)
    await until(() => backend.closed || backend.finished || backend.reset)
    t.equal(underWay(rig.plane), 0)
  }, { clock, limits: { tunnelIdleTimeoutMs: 1_000 } }) // prettier-ignore
})

t.test('drain leaves a tunnel be until its deadline', async (t) => {
  const clock = new FakeClock()
  await withTunnel({}, async ({ client, backend, atBackend, rig }) => {
    const drained = rig.plane.drain(5_000)
    await client.send('a')
    await until(() => atBackend() === 'a')
    clock.advance(4_900)
    t.ok(client.open)
    clock.advance(200)
    await drained
    await client.wait('the end', () => !client.open)
    await until(() => backend.closed || backend.finished || backend.reset)
    t.equal(underWay(rig.plane), 0)
  }, { clock }) // prettier-ignore
})

t.test('an answer that refuses, or switches to something else, is no tunnel', async (t) => {
  const answers: readonly (readonly [name: string, answer: string, status: number])[] = [
    ['426', 'HTTP/1.1 426 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno', 426],
    ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
    ['another protocol', switching.replace('websocket', 'h2c'), 502],
    ['no protocol', switching.replace('Upgrade: websocket\r\n', ''), 502],
    ['another key', switching.replace('s3pP', 'XXXX'), 502],
    ['no key', switching.replace('Sec-WebSocket-Accept', 'X'), 502],
  ]
  for (const [name, answer, status] of answers)
    await withRig({ backend: { onRequest: (_request, connection) => void connection.send(answer) } }, async (rig) => {
      const client = await rig.client()
      await client.send(`${ask}GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n`)
      t.equal((await client.answer()).status, status, name)
      await client.wait('the next', () => client.received.length > client.consumed || !client.open)
      const first = rig.connection.requests[0]?.startLine
      t.equal(first, 'GET /chat HTTP/1.1')
      if (status === 502)
        t.ok(rig.connection.finished || rig.connection.reset || rig.connection.closed, `${name}: its connection ends`)
      client.destroy()
      await until(() => statsOf(rig.plane).inFlight === 0)
    })
})
