/** Rows J1 to J9: Upgrade, WebSocket, h2c, CONNECT. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { okAnswer, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle, type RawClient, type SendMode } from '../fixtures/raw-client.ts'
import type { Rig } from '../fixtures/rig.ts'
import { expectServed, forwarded, get, head, refused, withRig } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { value, values } from '../fixtures/wire-message.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const line = 'GET /chat HTTP/1.1'
const handshake = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  `Sec-WebSocket-Key: ${key}`,
  'Sec-WebSocket-Version: 13',
]
const upgrade = head(line, ...handshake)
const switched = [
  'HTTP/1.1 101 Switching Protocols',
  'Connection: Upgrade',
  'Upgrade: websocket',
  `Sec-WebSocket-Accept: ${accept}`,
  '',
  '',
].join('\r\n')

/** Agrees to switch with `answer`, then sends back whatever comes. */
function echo(mode: SendMode, answer = switched): BackendScript {
  return {
    onRequest: (request, connection) => {
      if (values(request.fields, 'upgrade').length === 0) {
        void connection.send(okAnswer)
        return
      }
      connection.tunnel = true
      void connection.send(answer, mode)
    },
    onTunnel: (bytes, connection) => void connection.send(bytes),
  }
}

async function tunnel(rig: Rig, mode: SendMode, request = upgrade): Promise<RawClient> {
  const client = await rig.client()
  await client.send(request, mode)
  const answer = await client.answer()
  assert.equal(answer.status, 101)
  assert.equal(value(answer.fields, 'upgrade')?.toLowerCase(), 'websocket')
  assert.equal(value(answer.fields, 'connection')?.toLowerCase(), 'upgrade')
  assert.equal(value(answer.fields, 'sec-websocket-accept'), accept)
  return client
}

const binary = String.fromCharCode(...Array(256).keys())
const switching: Case[] = [
  {
    name: 'J4 a tunnel after a matching 101, every byte both ways',
    run: (mode) =>
      withRig({ backend: echo(mode) }, async (rig) => {
        const client = await tunnel(rig, mode)
        const [request] = rig.requests
        assert.ok(request)
        assert.equal(value(request.fields, 'upgrade')?.toLowerCase(), 'websocket')
        assert.equal(value(request.fields, 'connection')?.toLowerCase(), 'upgrade')
        assert.equal(value(request.fields, 'sec-websocket-key'), key)
        assert.equal(value(request.fields, 'sec-websocket-version'), '13')
        await client.send(binary, mode)
        await client.wait('echo', () => client.received.endsWith(binary))
        assert.equal(client.received.slice(client.consumed), binary)
      }),
  },
  ...(
    [
      ['Connection: keep-alive, Upgrade', 'Upgrade: websocket'],
      ['Connection: upgrade', 'Upgrade: WebSocket'],
      ['connection: keep-alive', 'connection: UPGRADE', 'upgrade: WEBSOCKET'],
    ] as const
  ).map((lines): Case => ({
    name: `J1 ${lines.join(', ')} is a WebSocket`,
    run: (mode) =>
      withRig({ backend: echo(mode) }, async (rig) => {
        const client = await tunnel(rig, mode, head(line, ...lines, ...handshake.slice(2)))
        await client.send('x')
        await client.wait('echo', () => client.received.endsWith('x'))
      }),
  })),
  {
    name: 'J4 bytes right behind the 101 reach the client',
    run: (mode) =>
      withRig({ backend: echo(mode, `${switched}first`) }, async (rig) => {
        const client = await tunnel(rig, mode)
        await client.wait('first', () => client.received.endsWith('first'))
      }),
  },
  {
    name: 'J5 bytes before the 101 are held until it has come',
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (_request, connection) => void (connection.tunnel = true),
            onTunnel: (bytes, connection) => void connection.send(bytes),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(`${upgrade}early`, mode)
          await until(() => rig.requests.length === 1)
          await settle(30)
          assert.ok(!rig.connection.received.includes('early'), 'held')
          await rig.connection.send(switched, mode)
          assert.equal((await client.answer()).status, 101)
          await client.wait('echo', () => client.received.endsWith('early'))
        },
      ),
  },
  {
    name: 'J5 bytes before a refusal are the next request',
    run: (mode) =>
      withRig(
        { backend: { onRequest: (_request, connection) => void connection.send(okAnswer, mode) } },
        async (rig) => {
          const client = await rig.client()
          await client.send(upgrade + get, mode)
          const answer = await client.answer()
          assert.equal(answer.status, 200)
          if (value(answer.fields, 'connection') === 'close') return client.closedByPeer()
          assert.equal((await client.answer()).status, 200)
          assert.deepEqual(
            rig.requests.map((request) => request.startLine),
            [line, 'GET / HTTP/1.1'],
          )
        },
      ),
  },
  ...[
    ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
    [
      '200 with Upgrade',
      'HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok',
      200,
    ],
    ['426', 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno', 426],
    ['403', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', 403],
  ].map(([what, bytes, status]): Case => ({
    name: `J4 answered with ${String(what)}: no tunnel`,
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (request, connection) =>
              void connection.send(request.startLine.includes('/chat') ? String(bytes) : okAnswer, mode),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(upgrade, mode)
          const answer = await client.answer()
          assert.equal(answer.status, status)
          // What follows is HTTP again: a request is parsed as one and refused as one.
          if (value(answer.fields, 'connection') === 'close') return client.closedByPeer()
          await client.send('\x81\x05hello\r\n\r\n', mode)
          assert.equal((await client.answer()).status, 400)
          await client.closedByPeer()
          assert.ok(!rig.connection.received.includes('hello'))
        },
      ),
  })),
  ...[
    ['without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n'],
    ['without Connection', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'],
    ['to another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n'],
    ['to two protocols', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n'],
  ].map(([what, bytes]): Case => ({
    name: `J4 101 ${what}: 502, no tunnel`,
    run: (mode) =>
      withRig({ backend: echo(mode, `${bytes}Sec-WebSocket-Accept: ${accept}\r\n\r\n`) }, async (rig) => {
        const client = await rig.client()
        await client.send(upgrade, mode)
        assert.equal((await client.answer()).status, 502)
        const first = rig.connection
        await until(() => first.finished || first.reset || first.closed, { what: 'the upstream to be closed' })
      }),
  })),
  ...[
    ['absent', ''],
    ['wrong', 'Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n'],
    ['twice', `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Accept: ${accept}\r\n`],
    ['the key itself', `Sec-WebSocket-Accept: ${key}\r\n`],
  ].map(([what, text]): Case => ({
    name: `J4 Sec-WebSocket-Accept ${what}: 502, no tunnel`,
    run: (mode) =>
      withRig(
        {
          backend: echo(
            mode,
            `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${text}\r\n`,
          ),
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(upgrade, mode)
          assert.equal((await client.answer()).status, 502)
        },
      ),
  })),
  {
    name: 'J7 an interim answer before 101',
    run: (mode) =>
      withRig({ backend: echo(mode, `HTTP/1.1 103 Early Hints\r\n\r\n${switched}`) }, async (rig) => {
        const client = await rig.client()
        await client.send(upgrade, mode)
        const answer = await client.answer()
        assert.equal(answer.status, 101)
        assert.equal(answer.interim.length, 1)
      }),
  },
]

const plain = (name: string, bytes: string, method = 'GET'): Case => ({
  name,
  run: (mode) =>
    withRig({ backend: echo(mode) }, async (rig) => {
      const client = await rig.client()
      await client.send(bytes, mode)
      const answer = await client.answer(method)
      assert.ok(answer.status === 200 || answer.status === 400, `status ${answer.status}`)
      for (const request of rig.requests) {
        assert.deepEqual(values(request.fields, 'upgrade'), [])
        assert.deepEqual(values(request.fields, 'http2-settings'), [])
        assert.ok(!/upgrade|settings/i.test(value(request.fields, 'connection') ?? ''))
      }
    }),
})

const post = 'POST /chat HTTP/1.1'
const stripping: Case[] = [
  plain('J1 Upgrade without Connection', head(line, ...handshake.slice(1))),
  plain('J1 Connection without Upgrade', head(line, 'Connection: Upgrade', ...handshake.slice(2))),
  plain('J1 Connection that names something else', head(line, 'Connection: x-upgrade', ...handshake.slice(1))),
  ...['foo', 'foo/1', 'TLS/1.0', 'HTTP/2.0', 'websocket/13', 'xwebsocket', 'websockets', '', '"websocket"'].map(
    (token) =>
      plain(
        `J1 Upgrade: ${JSON.stringify(token)} is not supported`,
        head(line, 'Connection: Upgrade', `Upgrade: ${token}`, ...handshake.slice(2)),
      ),
  ),
  ...['websocket, h2c', 'h2c, websocket', 'foo, websocket'].map((token) =>
    // A client may offer a list; choosing from it is optional, passing h2c on is not allowed.
    ({
      name: `J1 Upgrade: ${token}`,
      run: (mode: SendMode) =>
        withRig({ backend: echo(mode) }, async (rig) => {
          const client = await rig.client()
          await client.send(head(line, 'Connection: Upgrade', `Upgrade: ${token}`, ...handshake.slice(2)), mode)
          const answer = await client.answer()
          assert.ok([200, 101, 400].includes(answer.status))
          for (const request of rig.requests)
            for (const sent of values(request.fields, 'upgrade')) assert.equal(sent.toLowerCase(), 'websocket')
        }),
    }),
  ),
  plain(
    'J2 h2c',
    head(
      'GET / HTTP/1.1',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
    ),
  ),
  plain(
    'J2 h2c without naming its settings',
    head('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
  ),
  plain(
    'J2 h2c, POST',
    `${head('POST / HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMA', 'Content-Length: 2')}hi`,
    'POST',
  ),
  plain('J2 settings alone', head('GET / HTTP/1.1', 'HTTP2-Settings: AAMAAABk')),
  ...['POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE'].map((method) =>
    plain(`J3 ${method} is no WebSocket`, head(`${method} /chat HTTP/1.1`, ...handshake), method),
  ),
  plain('J3 no key', head(line, ...handshake.filter((each) => !each.startsWith('Sec-WebSocket-Key')))),
  ...[`x${key}`, `${key}x`, key.slice(1), key.slice(0, -1), key.replace('h', '-'), `${key} x`, '', 'x'.repeat(24)].map(
    (bad) =>
      plain(
        `J3 key ${JSON.stringify(bad)}`,
        head(line, ...handshake.filter((each) => !each.includes(key)), `Sec-WebSocket-Key: ${bad}`),
      ),
  ),
  plain('J3 two keys', head(line, ...handshake, `Sec-WebSocket-Key: ${key}`)),
  plain('J6 with a body by length', `${head(line, ...handshake, 'Content-Length: 5')}hello`),
  plain('J6 with a chunked body', `${head(line, ...handshake, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`),
  plain('J6 POST with a body', `${head(post, ...handshake, 'Content-Length: 5')}hello`, 'POST'),
  plain('J9 HTTP/1.0', head('GET /chat HTTP/1.0', ...handshake)),
  forwarded(
    'J6 the body of a stripped upgrade is whole',
    `${head(post, 'Connection: Upgrade', 'Upgrade: foo', 'Content-Length: 5')}hello`,
    {
      line: post,
      body: 'hello',
    },
  ),
  ...['a.test:443', 'a.test:80'].map((target) =>
    refused(`I4 CONNECT ${target} opens no tunnel`, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\nhello`, {
      status: [400, 405, 501],
    }),
  ),
]

const ending: Case[] = [
  {
    name: 'J8 the client ends its half: the backend sees it and can still answer',
    run: (mode) =>
      withRig(
        {
          backend: {
            ...echo(mode),
            onEnd: (connection) => void connection.send('last words').then(() => connection.end()),
          },
        },
        async (rig) => {
          const client = await tunnel(rig, mode)
          await client.send('question', mode)
          await client.wait('echo', () => client.received.endsWith('question'))
          client.end()
          await client.wait('last words', () => client.received.endsWith('last words') && client.finished)
          assert.equal(client.reset, false)
          assert.equal(rig.connection.finished, true)
        },
      ),
  },
  {
    name: 'J8 the backend ends its half: the client sees it and can still send',
    run: (mode) =>
      withRig(
        {
          backend: {
            ...echo(mode),
            onTunnel: (_bytes, connection) => void (connection.received.endsWith('bye') && connection.end()),
          },
        },
        async (rig) => {
          const client = await tunnel(rig, mode)
          await client.send('bye', mode)
          await client.wait('FIN', () => client.finished)
          await client.send('after', mode)
          await until(() => rig.connection.received.endsWith('after'), { what: 'bytes after the half-close' })
          client.end()
          await until(() => rig.connection.finished)
        },
      ),
  },
  ...(['client', 'backend'] as const).map((side): Case => ({
    name: `J8 the ${side} resets: the other side is ended`,
    run: (mode) =>
      withRig({ backend: echo(mode) }, async (rig) => {
        const client = await tunnel(rig, mode)
        if (side === 'client') {
          client.abort()
          await until(() => rig.connection.finished || rig.connection.reset, { what: 'the end upstream' })
        } else {
          rig.connection.abort()
          await client.wait('end', () => client.finished || client.reset)
        }
      }),
  })),
  {
    name: 'J8 after a tunnel the upstream connection is not used again',
    run: (mode) =>
      withRig({ backend: echo(mode) }, async (rig) => {
        const client = await tunnel(rig, mode)
        client.end()
        await client.wait('FIN', () => client.finished)
        await expectServed(rig, await rig.client())
        assert.equal(rig.backend.connections.length, 2)
        await until(() => rig.records.some((record) => record.status === 101), { what: 'a record of the tunnel' })
      }),
  },
  {
    name: 'J8 a megabyte each way through a tunnel',
    modes: ['whole'],
    run: (mode) =>
      withRig({ backend: echo(mode) }, async (rig) => {
        const client = await tunnel(rig, mode)
        const block = binary.repeat(4_096)
        await client.send(block)
        await client.wait('echo', () => client.received.length - client.consumed === block.length, 8_000)
        assert.equal(client.received.slice(client.consumed), block)
      }),
  },
]

await runCases(t, [...switching, ...stripping, ...ending])
