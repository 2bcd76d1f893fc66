import t from 'tap'
import { Deadlines } from '../../src/wire/deadlines.ts'
import { defaultWireLimits, type WireLimits } from '../../src/wire/limits.ts'
import { Pool } from '../../src/wire/pool.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { type BackendScript, okAnswer, RawBackend } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { Recording, type Sent, timeouts, Upstream } from '../fixtures/upstream-parts.ts'
import { until } from '../fixtures/until.ts'

/** Runs with a pool whose backend answers when told, and leaves nothing open. */
async function withPool(
  limits: Partial<WireLimits>,
  fn: (upstream: Upstream) => Promise<void>,
  script: BackendScript = { onRequest: () => undefined },
): Promise<void> {
  const upstream = await Upstream.open(script, limits)
  try {
    await fn(upstream)
  } finally {
    await upstream.close()
  }
  if (upstream.clock.pending !== 0) throw new Error('something is still watched')
}

/** Sends one request and waits until the backend has it; the connection there is the newest one, or the one given. */
async function send(upstream: Upstream): Promise<Sent> {
  const before = upstream.backend.requests.length
  const sent = upstream.send()
  await until(() => upstream.backend.requests.length === before + 1)
  return sent
}

async function answer(upstream: Upstream, index: number, text: string = okAnswer): Promise<void> {
  const before = upstream.pool.idle
  await upstream.backend.connections[index]?.send(text)
  await until(() => upstream.pool.idle !== before || upstream.pool.open < upstream.backend.connections.length)
}

/** Connections at the backend, by index, in the order in which the pool would take them. */
async function order(upstream: Upstream, count: number): Promise<number[]> {
  const taken: number[] = []
  for (let each = 0; each < count; each++) {
    const before = upstream.backend.connections.map((connection) => connection.requests.length)
    await send(upstream)
    taken.push(
      upstream.backend.connections.findIndex(
        (connection, index) => connection.requests.length !== (before[index] ?? 0),
      ),
    )
  }
  return taken
}

async function idleThree(upstream: Upstream): Promise<void> {
  for (let each = 0; each < 3; each++) await send(upstream)
  for (const index of [1, 0, 2]) await answer(upstream, index)
  if (upstream.pool.idle !== 3) throw new Error(`${upstream.pool.idle} idle`)
}

t.test('the latest idle connection is taken first', async (t) => {
  await withPool({}, async (upstream) => {
    await idleThree(upstream)
    t.equal(upstream.pool.open, 3)
    t.strictSame(await order(upstream, 3), [2, 0, 1])
    t.equal(upstream.pool.idle, 0)
    t.equal(upstream.backend.connections.length, 3, 'no new one')
  })
})

t.test('a fresh one is made on demand, the idle ones stay', async (t) => {
  await withPool({}, async (upstream) => {
    await idleThree(upstream)
    upstream.send({ fresh: true })
    await until(() => upstream.backend.connections.length === 4)
    t.equal(upstream.pool.idle, 3)
    t.equal(upstream.pool.open, 4)
  })
})

t.test('as many connections as may be, and no more', async (t) => {
  await withPool({ connectionsPerEndpoint: 2 }, async (upstream) => {
    await send(upstream)
    await send(upstream)
    t.equal(upstream.pool.acquire(Infinity), undefined)
    t.equal(upstream.pool.acquire(0), undefined)
    t.ok(upstream.pool.isFull)
    await answer(upstream, 0)
    t.notOk(upstream.pool.isFull)
    t.ok(await send(upstream))
    upstream.limits = { ...upstream.limits, connectionsPerEndpoint: 3 }
    t.ok(await send(upstream), 'a changed limit holds at once')
    t.equal(upstream.pool.open, 3)
  })
})

t.test('as many idle ones as may be; the others end after their answer', async (t) => {
  await withPool({ idleConnectionsPerEndpoint: 1 }, async (upstream) => {
    await send(upstream)
    await send(upstream)
    await answer(upstream, 0)
    await answer(upstream, 1)
    await until(() => upstream.pool.open === 1)
    t.equal(upstream.pool.idle, 1)
    await until(() => upstream.backend.connections[1]?.finished || upstream.backend.connections[1]?.reset)
    t.notOk(upstream.backend.connections[0]?.finished)
  })
})

t.test('a place in the middle of the idle ones may end, the others keep their order', async (t) => {
  await withPool({}, async (upstream) => {
    await idleThree(upstream)
    upstream.backend.connections[0]?.end()
    await until(() => upstream.pool.idle === 2)
    t.equal(upstream.pool.open, 2)
    t.strictSame(await order(upstream, 2), [2, 1])
  })
})

for (const [name, act] of [
  ['FIN', (upstream: Upstream) => upstream.backend.connections[1]?.end()],
  ['RST', (upstream: Upstream) => upstream.backend.connections[1]?.abort()],
  ['bytes nobody asked for', (upstream: Upstream) => void upstream.backend.connections[1]?.send(okAnswer)],
] as const)
  t.test(`an idle connection that brings ${name} is gone`, async (t) => {
    await withPool({}, async (upstream) => {
      await idleThree(upstream)
      act(upstream)
      await until(() => upstream.pool.idle === 2)
      t.equal(upstream.pool.open, 2)
      const taken = await order(upstream, 2)
      t.notOk(taken.includes(1), 'and is not taken')
    })
  })

t.test('idle connections end after a while; a used one starts anew', async (t) => {
  await withPool({ upstreamIdleTimeoutMs: 4_000 }, async (upstream) => {
    await send(upstream)
    await send(upstream)
    await answer(upstream, 0)
    await answer(upstream, 1)
    upstream.clock.advance(3_000)
    t.equal(upstream.pool.idle, 2)
    const { exchange } = await send(upstream)
    await upstream.backend.connections[1]?.send(okAnswer)
    await until(() => exchange.ended)
    upstream.clock.advance(1_100)
    t.equal(upstream.pool.idle, 1, 'the one that rested')
    t.equal(upstream.pool.open, 1)
    upstream.clock.advance(3_000)
    t.equal(upstream.pool.open, 0)
  })
})

t.test('what the upstream says of its own patience, less two seconds, and never more than ours', async (t) => {
  for (const [says, rests] of [
    ['timeout=5', 3_000],
    ['timeout=3', 1_000],
    ['timeout=100', 4_000],
    ['max=5', 4_000],
  ] as const)
    await withPool({ upstreamIdleTimeoutMs: 4_000 }, async (upstream) => {
      await send(upstream)
      await answer(upstream, 0, `HTTP/1.1 200 OK\r\nKeep-Alive: ${says}\r\nContent-Length: 0\r\n\r\n`)
      upstream.clock.advance(rests - 100)
      t.equal(upstream.pool.idle, 1, `${says}: before`)
      upstream.clock.advance(200)
      t.equal(upstream.pool.idle, 0, `${says}: after`)
    })
})

t.test('a pool that closes ends the idle at once and lets the others finish', async (t) => {
  await withPool({}, async (upstream) => {
    await send(upstream)
    const busy = await send(upstream)
    await answer(upstream, 0)
    upstream.pool.close()
    t.equal(upstream.pool.idle, 0)
    t.equal(upstream.pool.open, 1)
    await until(() => upstream.backend.connections[0]?.finished || upstream.backend.connections[0]?.reset)
    t.equal(busy.exchange.failure, undefined)
    await upstream.backend.connections[1]?.send(okAnswer)
    await until(() => busy.exchange.ended)
    t.equal(busy.exchange.body, 'ok', 'the answer comes in full')
    t.equal(upstream.pool.open, 0, 'and then it ends')
    upstream.pool.close()
    t.equal(upstream.pool.open, 0)
  })
})

t.test('a pool that is destroyed ends all, and tells nobody', async (t) => {
  await withPool({}, async (upstream) => {
    await send(upstream)
    const busy = await send(upstream)
    await answer(upstream, 0)
    const connecting = upstream.send({ fresh: true })
    upstream.pool.destroy()
    t.equal(upstream.pool.open, 0)
    t.equal(upstream.pool.idle, 0)
    t.equal(upstream.deadlines.size, 0)
    await until(() => upstream.backend.openConnections === 0)
    await settle()
    t.equal(busy.exchange.failure, undefined)
    t.strictSame(connecting.exchange.events, [])
    upstream.pool.destroy()
  })
})

t.test('a connection that nobody took is there for the next', async (t) => {
  await withPool({}, async (upstream) => {
    const connection = upstream.pool.acquire(Infinity)
    t.ok(connection)
    t.equal(upstream.pool.open, 1)
    t.equal(upstream.pool.idle, 0)
    await until(() => upstream.pool.idle === 1)
    t.equal(upstream.pool.acquire(Infinity), connection)
  })
})

t.test(
  'that all idle connections ended at once is told, where there were two and the pool is not closing',
  async (t) => {
    const backend = await RawBackend.open({})
    let told = 0
    const clock = new FakeClock()
    const deadlines = new Deadlines(clock)
    const pool = new Pool(
      '127.0.0.1',
      backend.port,
      deadlines,
      () => defaultWireLimits,
      () => told++,
    )
    const warm = async (count: number, method = 'GET'): Promise<void> => {
      const before = backend.connections.length
      const exchanges = Array.from({ length: count }, () => {
        const exchange = new Recording()
        const connection = pool.acquire(0)
        exchange.on.connected = () => {
          connection?.requestDone()
          connection?.write(`${method} / HTTP/1.1\r\nHost: a.test\r\n\r\n`)
        }
        connection?.begin(exchange, method === 'HEAD', false, timeouts)
        return exchange
      })
      await until(() => exchanges.every(({ ended }) => ended) && backend.connections.length === before + count)
    }
    const end = async (count: number, how: 'end' | 'abort' = 'end'): Promise<void> => {
      const open = backend.connections.filter(({ closed }) => !closed).slice(0, count)
      const before = pool.open
      for (const connection of open) connection[how]()
      await until(() => pool.open === before - count)
    }
    try {
      await warm(3)
      await end(2)
      t.equal(told, 0, 'one stays')
      await end(1)
      t.equal(told, 1)
      clock.advance(101)
      await warm(2)
      await end(2, 'abort')
      t.equal(told, 2, 'whether in order or not')
      clock.advance(101)
      await warm(1)
      await end(1)
      t.equal(told, 2, 'one alone says nothing')
      await warm(1)
      clock.advance(101)
      await end(1)
      t.equal(told, 2, 'nor does one long after another')
      clock.advance(101)
      // Such as rest are idle too, and have not been given back yet.
      backend.script = {
        onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'),
      }
      await warm(2, 'HEAD')
      pool.close()
      t.equal(pool.open, 2)
      await end(2)
      t.equal(told, 2, 'of what leaves nobody asks')
    } finally {
      pool.destroy()
      await backend.close()
    }
  },
)
