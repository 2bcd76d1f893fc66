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

t.test('a tunnel that ended both ways sends what still waits, for as long as somebody takes it', async (t) => {
  const size = 32_000_000
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
