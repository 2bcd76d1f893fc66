import t from 'tap'
import { headText } from '../fixtures/heads.ts'
import type { BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { until } from '../fixtures/until.ts'
import { withUpstream } from '../fixtures/upstream-parts.ts'

t.test('a tunnel: what came with the 101, both ways, half-close', async (t) => {
  const script: BackendScript = {
    onRequest: (_request, connection) => {
      connection.tunnel = true
      void connection.send(headText('HTTP/1.1 101 X', 'Connection: upgrade', 'Upgrade: websocket') + 'first')
    },
    onTunnel: (bytes, connection) => void connection.send(bytes.toUpperCase()),
    onEnd: (connection) => void connection.send('last').then(() => connection.end()),
  }
  await withUpstream(script, async (upstream) => {
    const { exchange, connection } = upstream.send({ upgrade: true })
    await until(() => exchange.tunnel === 'first')
    connection.writeBytes(Buffer.from('abc'))
    await until(() => exchange.tunnel === 'firstABC')
    upstream.clock.advance(1_000_000)
    t.equal(exchange.failure, undefined, 'its timeout is the tunnel’s own')
    connection.endTunnel()
    await until(() => exchange.events.includes('tunnel end'))
    t.equal(exchange.tunnel, 'firstABClast')
    t.equal(upstream.pool.idle, 0)
  })
})

/** More than the kernels hold. */
const size = 32_000_000

t.test('a tunnel that ended both ways sends what still waits, for as long as somebody takes it', async (t) => {
  for (const taken of [true, false]) {
    const script: BackendScript = {
      onRequest: (_request, connection) => {
        connection.tunnel = true
        connection.socket.pause()
        void connection.send(headText('HTTP/1.1 101 X', 'Connection: upgrade', 'Upgrade: websocket'))
        connection.end()
      },
      onEnd: () => undefined,
    }
    await withUpstream(script, async (upstream) => {
      const { exchange, connection } = upstream.send({ upgrade: true })
      await until(() => exchange.events.includes('tunnel end'))
      connection.writeBytes(Buffer.alloc(size))
      connection.finishTunnel()
      await settle()
      t.equal(upstream.pool.open, 1)
      if (taken) {
        upstream.backend.connections[0]?.socket.resume()
        await until(() => upstream.backend.connections[0]?.finished)
        t.ok(upstream.backend.bytesReceived > size)
      } else upstream.clock.advance(upstream.limits.writeStallTimeoutMs + 100)
      await until(() => upstream.pool.open === 0)
      t.equal(exchange.failure, undefined)
    })
  }
})

t.test(
  'a tunnel whose other end takes no bytes is ended, also while nothing is read from it; one that rests is not',
  async (t) => {
    const switching = headText('HTTP/1.1 101 X', 'Connection: upgrade', 'Upgrade: websocket')
    const script: BackendScript = {
      sink: true,
      onConnect: ({ socket }) => void socket.pause(),
    }
    for (const stalls of [true, false])
      for (const pauses of [[], ['pause'], ['pause', 'resume']] as const)
        await withUpstream(script, async (upstream) => {
          const { exchange, connection } = upstream.send({ upgrade: true })
          await until(() => upstream.backend.connections.length === 1)
          const [backend] = upstream.backend.connections
          await backend?.send(switching)
          await until(() => exchange.events.includes('upgrade'))
          t.equal(connection.writeBytes(Buffer.alloc(size)), false)
          if (!stalls) {
            backend?.socket.resume()
            await until(() => exchange.events.includes('writable'))
          }
          for (const verb of pauses) connection[verb]()
          upstream.clock.advance(upstream.limits.writeStallTimeoutMs - 100)
          t.equal(exchange.failure, undefined)
          upstream.clock.advance(stalls ? 200 : 1_000_000)
          t.match(exchange.failure, stalls ? { kind: 'idle-timeout', detail: 'tunnel' } : undefined, pauses.join())
          connection.cancel()
        })
  },
)
