/** Rows H1 to H9: Expect, and answers before the final one. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { okAnswer } from '../fixtures/raw-backend.ts'
import { settle, type SendMode } from '../fixtures/raw-client.ts'
import {
  answered,
  answering,
  badGateway,
  expectServed,
  forwarded,
  get,
  head,
  refused,
  withRig,
} from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { value, values } from '../fixtures/wire-message.ts'

const line = 'POST / HTTP/1.1'
const expecting = head(line, 'Expect: 100-continue', 'Content-Length: 5')
const expectingChunked = head(line, 'Expect: 100-continue', 'Transfer-Encoding: chunked')
const proceed = 'HTTP/1.1 100 Continue\r\n\r\n'

function continuing(mode: SendMode): {
  onHead: (head: unknown, connection: { send(b: string, m: SendMode): Promise<void> }) => void
  onRequest: (request: unknown, connection: { send(b: string, m: SendMode): Promise<void> }) => void
} {
  return {
    onHead: (_head, connection) => void connection.send(proceed, mode),
    onRequest: (_request, connection) => void connection.send(okAnswer, mode),
  }
}

const continued: Case[] = [
  ...[
    ['by length', expecting, 'hello'],
    ['chunked', expectingChunked, '5\r\nhello\r\n0\r\n\r\n'],
    ['upper case', head(line, 'expect: 100-Continue', 'Content-Length: 5'), 'hello'],
  ].map(([what, start, body]): Case => ({
    name: `H1 ${what}: the head goes on at once, 100 comes back, then the body goes`,
    run: (mode) =>
      withRig({ backend: continuing(mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(start ?? '', mode)
        await client.wait('100', () => client.received.includes('\r\n\r\n'))
        assert.match(client.received, /^HTTP\/1\.1 100 [^\r\n]*\r\n([!-9;-~]+: [^\r\n]*\r\n)*\r\n$/)
        assert.equal(rig.connection.requests.length, 0)
        assert.match(rig.connection.received.toLowerCase(), /\r\nexpect: 100-continue\r\n/)
        await client.send(body ?? '', mode)
        const answer = await client.answer()
        assert.equal(answer.status, 200)
        assert.equal(rig.requests[0]?.body, 'hello')
        await expectServed(rig, client)
        assert.equal(rig.backend.connections.length, 1)
      }),
  })),
  {
    name: 'H1 a client that does not wait for 100',
    run: (mode) =>
      withRig({ backend: continuing(mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(`${expecting}hello`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal(rig.requests[0]?.body, 'hello')
      }),
  },
  {
    name: 'H1 a backend that never sends 100: the proxy sends none either',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(expecting, mode)
        await until(() => rig.backend.connections[0]?.received.includes('\r\n\r\n'), { what: 'the head upstream' })
        await settle(30)
        assert.equal(client.received, '')
        await client.send('hello', mode)
        const answer = await client.answer()
        assert.equal(answer.status, 200)
        assert.deepEqual(answer.interim, [])
      }),
  },
  ...['413 Content Too Large', '200 OK', '401 Unauthorized'].map((status): Case => ({
    name: `H2 ${status} before the body is passed on, no 100`,
    run: (mode) =>
      withRig(
        {
          backend: {
            onHead: (_head, connection) =>
              void connection.send(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`, mode),
            onRequest() {},
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(expecting, mode)
          const answer = await client.answer()
          assert.equal(answer.startLine, `HTTP/1.1 ${status}`)
          assert.equal(answer.body, 'no')
          assert.deepEqual(answer.interim, [])
          // Nobody knows whether the client will still send its body: the connection cannot carry another request.
          assert.equal(value(answer.fields, 'connection'), 'close')
          await client.send(`hello${head('GET /smuggled HTTP/1.1')}`, mode)
          await client.closedByPeer()
          await settle()
          assert.ok(!rig.connection.received.includes('smuggled'))
          const first = rig.connection
          await until(() => first.finished || first.reset || first.closed, { what: 'the upstream to be closed' })
        },
      ),
  })),
  ...[
    '200-ok',
    '101-continue',
    '100-continue-x',
    '100-continue, x',
    'y 100-continue',
    '100-continue 100-continue',
    '"100-continue"',
    '',
    '100',
    'x=y',
    '100-continue;q=1',
  ].map((text) =>
    refused(`H3 Expect: ${JSON.stringify(text)}`, `${head(line, `Expect: ${text}`, 'Content-Length: 5')}hello`, {
      status: [400, 417],
    }),
  ),
  refused('H5 a folded Expect', `${head(line, 'Expect:\r\n 100-continue', 'Content-Length: 5')}hello`),
  refused('H5 Expect with a bare LF', `${head(line, 'Expect:\n 100-continue', 'Content-Length: 5')}hello`),
  refused(
    'H5 two different Expect lines',
    `${head(line, 'Expect: 100-continue', 'Expect: x', 'Content-Length: 5')}hello`,
    {
      status: [400, 417],
    },
  ),
  {
    name: 'H1 Expect on a request without a body',
    run: (mode) =>
      withRig({ backend: continuing(mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(head('GET / HTTP/1.1', 'Expect: 100-continue'), mode)
        assert.equal((await client.answer()).status, 200)
        await expectServed(rig, client)
      }),
  },
  {
    name: 'H4 Expect in HTTP/1.0 is ignored, and no 100 comes back',
    run: (mode) =>
      withRig({ backend: continuing(mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(`${head('POST / HTTP/1.0', 'Expect: 100-continue', 'Content-Length: 5')}hello`, mode)
        const answer = await client.answer()
        assert.equal(answer.status, 200)
        assert.deepEqual(answer.interim, [])
        assert.equal(rig.requests[0]?.body, 'hello')
        assert.deepEqual(values(rig.requests[0]?.fields ?? [], 'expect'), [])
        await client.closedByPeer()
      }),
  },
  {
    name: 'H4 another Expect in HTTP/1.0 is ignored too',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head('GET / HTTP/1.0', 'Expect: x'), mode)
        assert.equal((await client.answer()).status, 200)
      }),
  },
]

const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'
const processing = 'HTTP/1.1 102 Processing\r\n\r\n'
const interim: Case[] = [
  ...(
    [
      ['100', proceed, [100]],
      ['102', processing, [102]],
      ['103', early, [103]],
      ['103 twice', early + early, [103, 103]],
      ['100, 102, 103', proceed + processing + early, [100, 102, 103]],
      ['199', 'HTTP/1.1 199 Odd\r\nX: y\r\n\r\n', [199]],
      ['16 of them', processing.repeat(16), Array(16).fill(102)],
    ] as const
  ).map(([what, bytes, wanted]) =>
    answered(`H6 ${what} before the final answer`, bytes + okAnswer, {
      status: 200,
      body: 'ok',
      upstream: 'reused',
      check: (answer) => {
        assert.deepEqual(
          answer.interim.map((each) => Number(each.startLine.slice(9, 12))),
          wanted,
        )
        for (const each of answer.interim)
          if (each.startLine.includes('103')) assert.equal(value(each.fields, 'link'), '</a.css>; rel=preload')
      },
    }),
  ),
  answered('H6 none of it to an HTTP/1.0 client', proceed + processing + early + okAnswer, {
    request: head('GET / HTTP/1.0'),
    status: 200,
    body: 'ok',
    client: 'closes',
    upstream: 'reused',
    check: (answer) => assert.deepEqual(answer.interim, []),
  }),
  answered('H6 before an answer to HEAD', `${early}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n`, {
    request: head('HEAD / HTTP/1.1'),
    method: 'HEAD',
    status: 200,
    upstream: 'reused',
    check: (answer) => assert.equal(answer.interim.length, 1),
  }),
  answered(
    'H6 fields of one hop in a 103',
    `HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nLink: y\r\n\r\n${okAnswer}`,
    {
      status: 200,
      upstream: 'reused',
      check: (answer) =>
        assert.deepEqual(
          answer.interim[0]?.fields.filter(([name]) => !/^(via|x-request-id)$/i.test(name)),
          [['Link', 'y']],
        ),
    },
  ),
  {
    name: 'H7 more than the limit of them: 502 or cut, upstream closed',
    run: (mode) =>
      withRig({ backend: answering(processing.repeat(17) + okAnswer, mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(get)
        const answer = await client.answer()
        assert.equal(answer.status, 502)
        assert.equal(answer.interim.length, 16)
        const first = rig.connection
        await until(() => first.finished || first.reset || first.closed, { what: 'the upstream to be closed' })
        await expectServed(rig, await rig.client())
        assert.equal(rig.backend.connections.length, 2)
      }),
  },
  badGateway(
    'H8 101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  ),
  badGateway('H8 101 without fields', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  ...['Content-Length: 5', 'Transfer-Encoding: chunked'].map((text) =>
    // Row H9 has these ignored; refusing them would be as strict. Either way the client must not see them.
    answered(
      `H9 ${text} on a 103 frames nothing`,
      `HTTP/1.1 103 Early Hints\r\n${text}\r\nLink: y\r\n\r\n${okAnswer}`,
      {
        status: 200,
        body: 'ok',
        upstream: 'reused',
      },
    ),
  ),
  {
    name: 'H6 an interim answer is not held back until the final one',
    run: (mode) =>
      withRig({ backend: { onRequest: (_request, connection) => void connection.send(early, mode) } }, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        await client.wait('103', () => client.received.includes('</a.css>'))
        await rig.connection.send(okAnswer, mode)
        assert.equal((await client.answer()).interim.length, 1)
      }),
  },
  forwarded('H1 Expect goes on with a body that is already there', `${expecting}hello`, { line, body: 'hello' }),
]

await runCases(t, [...continued, ...interim])
