/** Rows P1 to P7 and N8: every timer on a clock that only moves when told, and the caps. */
import assert from 'node:assert/strict'
import t from 'tap'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { runCases, type Case } from '../fixtures/cases.ts'
import { okAnswer, type BackendConnection } from '../fixtures/raw-backend.ts'
import { settle, type RawClient } from '../fixtures/raw-client.ts'
import { assertOwnAnswer, type Rig, type RigOptions } from '../fixtures/rig.ts'
import { expectCut, expectRefusal, expectServed, get, head, withRig } from '../fixtures/rules.ts'
import { openFullListener } from '../fixtures/full-listener.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'
import { defaultServicePolicy } from '../../src/policy/policy.ts'
import type { WireLimits } from '../../src/wire/limits.ts'

const ended = (connection: BackendConnection): boolean => connection.finished || connection.reset || connection.closed

/** A case on a clock of its own. */
function timed(name: string, options: RigOptions, run: (rig: Rig, clock: FakeClock) => Promise<void>): Case {
  return {
    name,
    modes: ['whole'],
    run: async () => {
      const clock = new FakeClock()
      await withRig({ ...options, clock }, (rig) => run(rig, clock))
      assert.equal(clock.pending, 0, 'no timer is left')
    },
  }
}

/** Lets what was sent arrive, then moves the clock. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  await settle()
  clock.advance(ms)
  await settle()
}

const limits = (some: Partial<WireLimits>): RigOptions => ({ limits: some })
const post = head('POST / HTTP/1.1', 'Content-Length: 100000')
const started = (rig: Rig): Promise<unknown> => until(() => rig.backend.connections[0]?.received.includes('\r\n\r\n'))

const heads: Case[] = [
  timed('P1 a byte of a head every second ends in 408 all the same', {}, async (rig, clock) => {
    const client = await rig.client()
    const slow = `GET / HTTP/1.1\r\nHost: a.test\r\nX: ${'y'.repeat(100)}`
    let sent = 0
    while (client.received === '' && sent < slow.length) {
      await client.send(slow.charAt(sent++))
      await pass(clock, 1_000)
    }
    assert.ok(sent >= 9 && sent <= 13, `refused after ${sent} s, limit 10`)
    await expectRefusal(client, 408)
    rig.assertUntouched()
  }),
  timed('P1 a head just in time is served', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send('GET / HT')
    await pass(clock, 9_800)
    await client.send('TP/1.1\r\nHost: a.test\r\n\r\n')
    assert.equal((await client.answer()).status, 200)
  }),
  timed('P1 the second head on a connection has its own time', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(get)
    await client.answer()
    await pass(clock, 30_000)
    await client.send('G')
    await pass(clock, 9_000)
    assert.equal(client.open, true)
    await pass(clock, 2_000)
    await expectRefusal(client, 408)
  }),
  timed(
    'P1 empty lines do not buy time',
    limits({ firstRequestTimeoutMs: 5_000, headTimeoutMs: 5_000 }),
    async (rig, clock) => {
      const client = await rig.client()
      await client.send('\r\n')
      for (let i = 0; i < 12; i++) await pass(clock, 1_000)
      await client.wait('end', () => !client.open)
    },
  ),
  timed('P2 a client that sends nothing is closed without a word', {}, async (rig, clock) => {
    const client = await rig.client()
    await until(() => rig.load.open === 1)
    await pass(clock, 9_000)
    assert.equal(client.open, true)
    await pass(clock, 1_100)
    await client.wait('end', () => !client.open)
    assert.equal(client.received, '')
    await until(() => rig.load.open === 0)
  }),
  timed('P2 an idle connection is closed without a word after its own time', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(get)
    await client.answer()
    await pass(clock, 59_000)
    assert.equal(client.open, true)
    await pass(clock, 1_100)
    await client.closedByPeer()
  }),
  timed('P2 a request starts the idle time anew', {}, async (rig, clock) => {
    const client = await rig.client()
    for (let i = 0; i < 3; i++) {
      await client.send(get)
      assert.equal((await client.answer()).status, 200)
      await pass(clock, 40_000)
    }
    assert.equal(client.open, true)
  }),
]

const bodies: Case[] = [
  timed('P3 a body that stops ends in 408, the upstream is aborted', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(`${post}${'x'.repeat(50_000)}`)
    await started(rig)
    await pass(clock, 29_000)
    assert.equal(client.received, '')
    await pass(clock, 1_100)
    await expectRefusal(client, 408)
    await until(() => ended(rig.connection))
    assert.equal(rig.requests.length, 0)
  }),
  timed('P3 a chunked body that stops', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(`${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}ffff\r\n${'x'.repeat(50_000)}`)
    await started(rig)
    await pass(clock, 30_100)
    await expectRefusal(client, 408)
    await until(() => ended(rig.connection))
  }),
  timed('P3 a body that drips under the least rate ends in 408', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(post)
    await started(rig)
    let seconds = 0
    while (client.received === '' && seconds < 40) {
      await client.send('x'.repeat(500))
      await pass(clock, 1_000)
      seconds++
    }
    assert.ok(seconds >= 9 && seconds <= 13, `refused after ${seconds} s, grace 10`)
    await expectRefusal(client, 408)
    await until(() => ended(rig.connection))
  }),
  timed('P3 a connection that is old is not given more time', { backend: {} }, async (rig, clock) => {
    const client = await rig.client()
    for (let i = 0; i < 4; i++) {
      await client.send(get)
      await client.answer()
      await pass(clock, 50_000)
    }
    await client.send(post)
    await started(rig)
    let seconds = 0
    while (!client.received.slice(client.consumed).includes('HTTP/1.1 ') && seconds < 40) {
      await client.send('x'.repeat(500))
      await pass(clock, 1_000)
      seconds++
    }
    assert.ok(seconds >= 9 && seconds <= 13, `refused after ${seconds} s, grace 10`)
    await expectRefusal(client, 408)
  }),
  timed('P3 nor less', { backend: {} }, async (rig, clock) => {
    const client = await rig.client()
    await client.send(get)
    await client.answer()
    await pass(clock, 50_000)
    await client.send(head('POST / HTTP/1.1', 'Content-Length: 5'))
    await pass(clock, 9_000)
    await client.send('hello')
    assert.equal((await client.answer()).status, 200)
    assert.equal(rig.records.at(-1)?.durationMs, 9_000)
  }),
  timed(
    'P5 an upload that its client interrupts is not held against the backend',
    { policy: { timeouts: { connectMs: 1_000, firstByteMs: 2_000, idleMs: 3_000 } } },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(`${head('POST / HTTP/1.1', 'Content-Length: 10')}hello`)
      await started(rig)
      await pass(clock, 6_000)
      await client.send('hello')
      assert.equal((await client.answer()).status, 200)
    },
  ),
  timed('P3 a body above the least rate goes on', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(post)
    for (let seconds = 0; seconds < 50; seconds++) {
      await client.send('x'.repeat(2_000))
      await pass(clock, 1_000)
    }
    assert.equal((await client.answer()).status, 200)
    assert.equal(rig.requests[0]?.body.length, 100_000)
  }),
  timed(
    'P3 a backend that does not read is not the client’s fault',
    { backend: { deaf: true }, policy: { timeouts: { connectMs: 1_000, firstByteMs: 3_600_000, idleMs: 3_600_000 } } },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(head('POST / HTTP/1.1', 'Content-Length: 50000000'))
      const block = 'x'.repeat(1_000_000)
      for (let i = 0; i < 50; i++) client.socket.write(block, 'latin1')
      await until(async () => {
        const before = client.socket.writableLength
        await settle(50)
        return client.socket.writableLength === before
      })
      await pass(clock, 60_000)
      assert.equal(client.received, '', 'no 408 while the proxy itself does not read')
      await rig.backend.close()
      await client.wait('an answer or the end', () => client.received !== '' || !client.open)
    },
  ),
  timed('P5 a backend that does not read an upload is given up', { backend: { deaf: true } }, async (rig, clock) => {
    const client = await rig.client()
    await client.send(head('POST / HTTP/1.1', 'Content-Length: 50000000'))
    const block = 'x'.repeat(1_000_000)
    for (let i = 0; i < 50; i++) client.socket.write(block, 'latin1')
    await until(async () => {
      const before = client.socket.writableLength
      await settle(50)
      return client.socket.writableLength === before
    })
    await pass(clock, 59_000)
    assert.equal(client.received, '')
    await pass(clock, 1_200)
    const answer = await client.answer()
    assert.equal(answer.status, 504)
    assertOwnAnswer(answer)
  }),
]

const responses: Case[] = [
  timed(
    'P4 a client that reads nothing is cut off',
    {
      backend: {
        onRequest: (_request, connection) =>
          void connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n${'x'.repeat(50_000_000)}`),
      },
      policy: { timeouts: { connectMs: 1_000, firstByteMs: 3_600_000, idleMs: 3_600_000 } },
    },
    async (rig, clock) => {
      const client = await rig.client()
      client.socket.pause()
      await client.send(get)
      let pulled = -1
      await until(async () => {
        await settle(50)
        const now = rig.backend.connections[0]?.socket.bytesWritten ?? 0
        const stalled = now === pulled && now > 0
        pulled = now
        return stalled
      })
      await pass(clock, 29_000)
      assert.equal(rig.load.open, 1)
      for (let i = 0; i < 4; i++) await pass(clock, 30_000)
      await until(() => rig.load.open === 0, { what: 'the client to be cut off' })
      await until(() => ended(rig.connection))
    },
  ),
  timed(
    'P5 no answer within the first-byte time: 504, the upstream is closed',
    { backend: { onRequest() {} } },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await until(() => rig.requests.length === 1)
      await pass(clock, 29_000)
      assert.equal(client.received, '')
      await pass(clock, 1_100)
      const answer = await client.answer()
      assert.equal(answer.status, 504)
      assertOwnAnswer(answer)
      await until(() => ended(rig.connection))
      assert.equal(rig.requests.length, 1, 'not tried again')
    },
  ),
  timed(
    'N8 a byte of a response head every second: 504 at the total',
    {
      backend: { onRequest() {} },
    },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await until(() => rig.requests.length === 1)
      const slow = `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(100)}`
      let sent = 0
      while (client.received === '' && sent < slow.length) {
        await rig.connection.send(slow.charAt(sent++))
        await pass(clock, 1_000)
      }
      assert.ok(sent >= 29 && sent <= 33, `504 after ${sent} s, limit 30`)
      assert.equal((await client.answer()).status, 504)
      await until(() => ended(rig.connection))
    },
  ),
  timed('N8 interim answers do not buy time', { backend: { onRequest() {} } }, async (rig, clock) => {
    const client = await rig.client()
    await client.send(get)
    await until(() => rig.requests.length === 1)
    for (let i = 0; i < 5; i++) {
      await rig.connection.send('HTTP/1.1 102 Processing\r\n\r\n')
      await pass(clock, 8_000)
    }
    const answer = await client.answer()
    assert.equal(answer.status, 504)
    await until(() => ended(rig.connection))
  }),
  timed(
    'P5 an answer that stops in its body is cut',
    {
      backend: {
        onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
      },
    },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await client.wait('half', () => client.received.endsWith('half'))
      await pass(clock, 59_000)
      assert.equal(client.open, true)
      await pass(clock, 1_200)
      await expectCut(client)
      await until(() => ended(rig.connection))
    },
  ),
  timed(
    'P5 a chunked answer that stops is cut, without a last chunk',
    {
      backend: {
        onRequest: (_request, connection) =>
          void connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
      },
    },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await client.wait('half', () => client.received.includes('half'))
      await pass(clock, 60_200)
      await expectCut(client)
    },
  ),
  timed(
    'P5 a slow but steady answer is not cut',
    {
      backend: {
        onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'),
      },
    },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await client.wait('the head', () => client.received.endsWith('\r\n\r\n'))
      for (const byte of 'hello') {
        await pass(clock, 50_000)
        await rig.connection.send(byte)
      }
      assert.equal((await client.answer()).body, 'hello')
    },
  ),
  timed(
    'P5 an upload is not held against the first byte of the answer',
    { backend: { onRequest: (_request, connection) => void connection.send(okAnswer) } },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(post)
      for (let seconds = 0; seconds < 50; seconds++) {
        await client.send('x'.repeat(2_000))
        await pass(clock, 1_000)
      }
      assert.equal((await client.answer()).status, 200)
    },
  ),
  timed(
    'P5 times are the service’s own',
    { backend: { onRequest() {} }, policy: { timeouts: { ...defaultServicePolicy.timeouts, firstByteMs: 500 } } },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await until(() => rig.requests.length === 1)
      await pass(clock, 600)
      assert.equal((await client.answer()).status, 504)
    },
  ),
  timed('P5 an idle upstream connection is closed before its backend would', {}, async (rig, clock) => {
    const client = await rig.client()
    await client.send(get)
    await client.answer()
    await pass(clock, 3_900)
    assert.equal(ended(rig.connection), false)
    await pass(clock, 200)
    await until(() => ended(rig.connection))
    await expectServed(rig, client)
    assert.equal(rig.backend.connections.length, 2)
  }),
]

const lingering: Case[] = [
  timed(
    'M6 a client that neither reads nor leaves is cut off after lingering',
    limits({ lingerTimeoutMs: 2_000 }),
    async (rig, clock) => {
      const client = await rig.client()
      await client.send('BAD\r\n\r\n')
      await expectRefusal(client)
      await pass(clock, 1_900)
      assert.equal(rig.load.open, 1)
      await pass(clock, 200)
      await until(() => rig.load.open === 0)
    },
  ),
  timed(
    'M6 a client that keeps on sending is cut off all the same',
    limits({ lingerTimeoutMs: 2_000 }),
    async (rig, clock) => {
      const client = await rig.client()
      await client.send('BAD\r\n\r\n')
      await expectRefusal(client)
      for (let i = 0; i < 30 && rig.load.open > 0; i++) {
        await client.send('x')
        await pass(clock, 100)
      }
      await until(() => rig.load.open === 0)
    },
  ),
]

const websocket = [
  'GET / HTTP/1.1',
  'Host: a.test',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '',
  '',
].join('\r\n')
const switched =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'
const tunnelling: RigOptions = {
  backend: {
    onRequest: (_request, connection) => {
      connection.tunnel = true
      void connection.send(switched)
    },
  },
  limits: { tunnelIdleTimeoutMs: 100_000 },
}

async function openTunnel(rig: Rig): Promise<RawClient> {
  const client = await rig.client()
  await client.send(websocket)
  assert.equal((await client.answer()).status, 101)
  return client
}

const tunnels: Case[] = [
  timed('P6 a tunnel outlives every other timer', tunnelling, async (rig, clock) => {
    const client = await openTunnel(rig)
    await pass(clock, 99_000)
    assert.equal(client.open, true)
    await rig.connection.send('x')
    await client.wait('x', () => client.received.endsWith('x'))
  }),
  timed('P6 an idle tunnel is ended', tunnelling, async (rig, clock) => {
    const client = await openTunnel(rig)
    await pass(clock, 100_200)
    await client.wait('end', () => !client.open)
    await until(() => ended(rig.connection))
  }),
  ...(['client', 'backend'] as const).map((side) =>
    timed(`P6 a byte from the ${side} starts its idle time anew`, tunnelling, async (rig, clock) => {
      const client = await openTunnel(rig)
      for (let i = 0; i < 3; i++) {
        await pass(clock, 70_000)
        if (side === 'client') await client.send('x')
        else await rig.connection.send('x')
      }
      await pass(clock, 70_000)
      assert.equal(client.open, true)
      await pass(clock, 31_000)
      await client.wait('end', () => !client.open)
    }),
  ),
]

const caps: Case[] = [
  {
    name: 'P7 connections beyond the limit are not served until one ends',
    modes: ['whole'],
    run: () =>
      withRig({ limits: { connections: 2 } }, async (rig) => {
        const first = await rig.client()
        const second = await rig.client()
        await first.send(get)
        await second.send(get)
        await first.answer()
        await second.answer()
        const third = await rig.client().catch(() => undefined)
        await third?.send(get)
        await settle(40)
        assert.equal(third?.received ?? '', '')
        assert.equal(rig.requests.length, 2)
        first.destroy()
        await until(async () => {
          // Whether the third waited or was closed, a client that comes now is served.
          const later = third?.open ? third : await rig.client().catch(() => undefined)
          if (!later) return false
          if (later !== third) await later.send(get)
          return later.answer('GET', 300).then(
            (answer) => answer.status === 200,
            () => false,
          )
        })
      }),
  },
  {
    name: 'P7 connections of one address beyond its limit are closed',
    modes: ['whole'],
    run: () =>
      withRig({ limits: { connectionsPerClient: 2 } }, async (rig) => {
        const first = await rig.client()
        const second = await rig.client()
        await first.send(get)
        await first.answer()
        await second.send(get)
        await second.answer()
        const third = await rig.client()
        await third.wait('end', () => !third.open)
        assert.equal(third.received, '')
        const elsewhere = await rig.client('127.0.0.2')
        await elsewhere.send(get)
        assert.equal((await elsewhere.answer()).status, 200)
        second.destroy()
        await until(() => rig.load.open === 2)
        await expectServed(rig, await rig.client())
      }),
  },
  {
    name: 'P7 connections to an endpoint beyond the limit: the other endpoint',
    modes: ['whole'],
    run: () =>
      withRig(
        { backend: { onRequest() {} }, siblings: [{ onRequest() {} }], limits: { connectionsPerEndpoint: 1 } },
        async (rig) => {
          const clients = [await rig.client(), await rig.client(), await rig.client()]
          for (const client of clients) await client.send(get)
          await until(() => rig.requests.length === 2 && clients.some((client) => client.received !== ''))
          assert.deepEqual(
            rig.backends.map((backend) => backend.connections.length),
            [1, 1, 0],
          )
          const refused = clients.find((client) => client.received !== '')
          const answer = await refused?.answer()
          assert.equal(answer?.status, 503)
          if (answer) assertOwnAnswer(answer)
        },
      ),
  },
  {
    name: 'P7 idle upstream connections beyond the limit are closed',
    modes: ['whole'],
    run: () =>
      withRig({ backend: { onRequest() {} }, limits: { idleConnectionsPerEndpoint: 1 } }, async (rig) => {
        const clients = [await rig.client(), await rig.client(), await rig.client()]
        for (const client of clients) await client.send(get)
        await until(() => rig.requests.length === 3)
        for (const connection of rig.backend.connections) await connection.send(okAnswer)
        for (const client of clients) await client.answer()
        await until(() => rig.backend.openConnections === 1, { what: 'two connections to be closed' })
        assert.equal(rig.plane.figures().upstream.idle, 1)
      }),
  },
]

/** No SYN is answered here. */
const full = await openFullListener()
t.teardown(() => full.close())

const connects: Case[] = [
  timed(
    'P5 an endpoint that answers no SYN: 504 after the connect time',
    { ports: [full.port], portsOnly: true },
    async (rig, clock) => {
      const client = await rig.client()
      await client.send(get)
      await pass(clock, 950)
      assert.equal(client.received, '')
      await pass(clock, 150)
      const answer = await client.answer()
      assert.equal(answer.status, 504)
      assertOwnAnswer(answer)
      assert.match(value(answer.fields, 'proxy-status') ?? '', /error=connection_timeout/)
    },
  ),
  ...['GET', 'POST'].map((method) =>
    timed(
      `Q1 ${method}: an endpoint that answers no SYN is given up for another`,
      { ports: [full.port] },
      async (rig, clock) => {
        const client = await rig.client()
        for (let i = 0; i < 6; i++) {
          await client.send(`${head(`${method} /${i} HTTP/1.1`, 'Content-Length: 2')}hi`)
          await settle(40)
          if (client.received.length === client.consumed) await pass(clock, 1_100)
          assert.equal((await client.answer()).status, 200)
        }
        assert.equal(rig.requests.length, 6)
      },
    ),
  ),
]

await runCases(t, [...connects, ...heads, ...bodies, ...responses, ...lingering, ...tunnels, ...caps])
