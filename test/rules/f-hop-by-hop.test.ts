/** Rows F1 to F8: fields of one hop, and what `Connection` names. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { settle } from '../fixtures/raw-client.ts'
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

const line = 'GET / HTTP/1.1'
const host = ['host', 'a.test'] as const
const kept = ['x-kept', '1'] as const

const stripped: Case[] = [
  ...[
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Connection: close',
    'TE: gzip',
    'Trailer: X',
    'Upgrade: h2c',
    'Upgrade: foo/1',
    'Proxy-Authorization: Basic x',
    'Proxy-Authenticate: Basic',
    'Connection: keep-alive',
    'Connection:',
    'Connection: ,',
    'Connection: Keep-Alive, , ',
  ].map((text) =>
    forwarded(`F1 ${text} is not sent on`, head(line, text, 'X-Kept: 1'), {
      line,
      check: (request) => {
        const name = (text.split(':')[0] ?? '').toLowerCase()
        if (name !== 'connection') assert.deepEqual(values(request.fields, name), [])
        assert.deepEqual(values(request.fields, 'x-kept'), ['1'])
      },
    }),
  ),
  ...[
    ['X-Hop', ['X-Hop: 1']],
    ['x-hop', ['X-HOP: 1']],
    ['X-Hop, X-Skip', ['X-Skip: 1', 'X-Hop: 1']],
    ['X-Hop,X-Skip', ['X-Skip: 1', 'X-Hop: 1']],
    [', ,X-Hop\t,, X-Skip ,', ['X-Skip: 1', 'X-Hop: 1']],
    ['keep-alive, X-Hop', ['X-Hop: 1', 'x-hop: 2', 'X-hOp: 3']],
  ].map(([nominated, lines]) =>
    forwarded(
      `F2 Connection: ${String(nominated)}`,
      head(line, `Connection: ${String(nominated)}`, ...(lines as string[]), 'X-Kept: 1'),
      {
        line,
        check: (request) => {
          assert.deepEqual(values(request.fields, 'x-hop'), [])
          assert.deepEqual(values(request.fields, 'x-skip'), [])
          assert.deepEqual(values(request.fields, 'x-kept'), ['1'])
        },
      },
    ),
  ),
  forwarded(
    'F2 named before and after, in several Connection lines',
    head(line, 'X-Hop: 1', 'Connection: X-Hop', 'X-Skip: 1', 'connection: X-Skip', 'X-Kept: 1'),
    {
      line,
      check: (request) => {
        assert.deepEqual(values(request.fields, 'x-hop'), [])
        assert.deepEqual(values(request.fields, 'x-skip'), [])
        assert.deepEqual(values(request.fields, 'x-kept'), ['1'])
      },
    },
  ),
  forwarded('F2 a name that only starts alike stays', head(line, 'Connection: X-Ho', 'X-Hop: 1'), {
    line,
    check: (request) => assert.deepEqual(values(request.fields, 'x-hop'), ['1']),
  }),
  forwarded('F3 nothing of the client is left in Connection', head(line, 'Connection: X-Hop, keep-alive', 'X-Hop: 1'), {
    line,
    check: (request) => assert.ok(!(value(request.fields, 'connection') ?? '').includes('X-Hop')),
  }),
  ...['a b', 'x;y', '"close"', 'close;', '@', 'a/b', 'caf\xe9'].map((text) =>
    refused(`F2 Connection: ${JSON.stringify(text)} is not a list of names`, head(line, `Connection: ${text}`)),
  ),
]

const nominations: Case[] = [
  ...['Host', 'host', 'Content-Length', 'Transfer-Encoding', 'keep-alive, Host', 'close, Content-Length'].map((name) =>
    refused(`F4 Connection: ${name}`, head(line, `Connection: ${name}`)),
  ),
  refused(
    'F4 Connection: Content-Length on a body',
    `${head('POST / HTTP/1.1', 'Content-Length: 5', 'Connection: Content-Length')}hello`,
  ),
  refused(
    'F4 Connection: Transfer-Encoding on a body',
    `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Connection: Transfer-Encoding')}5\r\nhello\r\n0\r\n\r\n`,
  ),
  ...[
    ['Cookie', 'a=1'],
    ['Authorization', 'Bearer x'],
  ].map(([name, text]) =>
    forwarded(`F4 Connection: ${name} does not remove it`, head(line, `Connection: ${name}`, `${name}: ${text}`), {
      line,
      check: (request) => assert.deepEqual(values(request.fields, name ?? ''), [text]),
    }),
  ),
  ...[
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
    'Forwarded',
    'X-Real-IP',
    'Via',
    'X-Request-Id',
  ].map((name) =>
    forwarded(`F4 Connection: ${name} does not remove ours`, head(line, `Connection: close, ${name}`), {
      line,
      closes: true,
      check: (request) => assert.equal(values(request.fields, name).length, 1),
    }),
  ),
  ...['X-Forwarded-For', 'X-Forwarded-Proto', 'Forwarded', 'X-Real-IP'].map((name) =>
    forwarded(`F4 Connection: ${name} from a trusted peer does not remove it`, head(line, `Connection: ${name}`), {
      line,
      rig: { trust: ['127.0.0.0/8'] },
      check: (request) => assert.equal(values(request.fields, name).length, 1),
    }),
  ),
]

const closes = [
  'close',
  'Close',
  'CLOSE',
  'keep-alive, close',
  'close, keep-alive',
  'close,',
  ', close',
  ' \tclose\t ',
  'X-Hop,close',
]
const closing: Case[] = [
  ...closes.map((text): Case => ({
    name: `F5 Connection: ${JSON.stringify(text)} closes and ignores what follows`,
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head(line, `Connection: ${text}`) + head('GET /ignored HTTP/1.1'), mode)
        const answer = await client.answer()
        assert.equal(answer.status, 200)
        assert.equal(value(answer.fields, 'connection'), 'close')
        await client.closedByPeer()
        await settle()
        assert.deepEqual(
          rig.requests.map((request) => request.startLine),
          [line],
        )
      }),
  })),
  forwarded('F5 close in the second of two lines', head(line, 'Connection: keep-alive', 'Connection: close'), {
    line,
    closes: true,
  }),
  ...['keep-alive', 'closed', 'x-close', 'clos'].map((text) =>
    forwarded(`F5 Connection: ${text} keeps the connection`, head(line, `Connection: ${text}`), { line }),
  ),
  {
    name: 'F5 the upstream connection is kept when the client closes',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head(line, 'Connection: close'), mode)
        await client.answer()
        await client.closedByPeer()
        await expectServed(rig, await rig.client())
        assert.equal(rig.backend.connections.length, 1)
      }),
  },
  ...['keep-alive', 'Keep-Alive', 'keep-alive, x'].map((text) =>
    forwarded(`F7 HTTP/1.0 with Connection: ${text} is closed`, head('GET / HTTP/1.0', `Connection: ${text}`), {
      line,
      closes: true,
      checkAnswer: (answer) => assert.deepEqual(values(answer.fields, 'keep-alive'), []),
    }),
  ),
  forwarded('F7 HTTP/1.0 without Connection is closed', head('GET / HTTP/1.0'), { line, closes: true }),
  {
    name: 'F7 what follows an HTTP/1.0 request is ignored',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(head('GET / HTTP/1.0', 'Connection: keep-alive') + head('GET /ignored HTTP/1.0'), mode)
        assert.equal((await client.answer()).status, 200)
        await client.closedByPeer()
        await settle()
        assert.equal(rig.requests.length, 1)
      }),
  },
]

const ok = (version: string, ...lines: string[]): string =>
  [`HTTP/${version} 200 OK`, ...lines, 'Content-Length: 2', '', 'ok'].join('\r\n')
const answers: Case[] = [
  ...['close', 'Close', 'keep-alive, close', 'close, keep-alive', 'x, CLOSE'].map((text) =>
    answered(`F6 Connection: ${text} from upstream is not pooled and not passed on`, ok('1.1', `Connection: ${text}`), {
      status: 200,
      body: 'ok',
      fields: [],
      upstream: 'closed',
    }),
  ),
  answered(
    'F4 Connection: Set-Cookie of an answer does not remove it',
    ok('1.1', 'Connection: Set-Cookie', 'Set-Cookie: a=b'),
    {
      status: 200,
      fields: [['set-cookie', 'a=b']],
      upstream: 'reused',
    },
  ),
  answered('F6 HTTP/1.0 from upstream is not pooled', ok('1.0'), { status: 200, body: 'ok', upstream: 'closed' }),
  answered('F6 HTTP/1.0 with keep-alive and close', ok('1.0', 'Connection: keep-alive, close'), {
    status: 200,
    upstream: 'closed',
  }),
  answered('F6 HTTP/1.0 with keep-alive among others', ok('1.0', 'Connection: X-Hop, keep-alive', 'X-Hop: 1'), {
    status: 200,
    fields: [],
    upstream: 'reused',
  }),
  ...['a b', '"close"', 'x;y', '@'].map((text) =>
    badGateway(`F2 Connection: ${text} of an answer`, ok('1.1', `Connection: ${text}`)),
  ),
  answered('F6 HTTP/1.0 with keep-alive goes to the client as HTTP/1.1', ok('1.0', 'Connection: keep-alive'), {
    status: 200,
    body: 'ok',
    upstream: 'reused',
    check: (answer) => assert.equal(answer.startLine, 'HTTP/1.1 200 OK'),
  }),
  answered('F6 Proxy-Connection from upstream means nothing', ok('1.1', 'Proxy-Connection: close'), {
    status: 200,
    fields: [],
    upstream: 'reused',
  }),
  ...[
    'Keep-Alive: timeout=5',
    'Proxy-Connection: close',
    'TE: x',
    'Upgrade: h2c',
    'Proxy-Authenticate: Basic',
    'Trailer: X',
    'Connection: keep-alive',
  ].map((text) =>
    answered(`F1 ${text} of an answer is not passed on`, ok('1.1', text, 'X-Kept: 1'), {
      status: 200,
      fields: [kept],
      upstream: 'reused',
    }),
  ),
  answered(
    'F2 fields that an answer nominates are removed',
    ok('1.1', 'X-Hop: 1', 'Connection: x-hop, X-Skip', 'X-Skip: 1', 'X-Kept: 1'),
    {
      status: 200,
      fields: [kept],
      upstream: 'reused',
    },
  ),
  // As F4 does for requests: an answer that names its own framing a field of one hop is not believed.
  ...['Content-Length', 'Transfer-Encoding', 'close, content-length'].map((name) =>
    badGateway(`F2 an answer with Connection: ${name}`, ok('1.1', `Connection: ${name}`)),
  ),
  ...['trailers;q=0.5', 'gzip', 'xtrailers', '', 'chunked'].map((te) =>
    forwarded(`F8 TE: ${JSON.stringify(te)} is not sent on`, head(line, `TE: ${te}`, 'Connection: TE'), {
      line,
      fields: [host],
    }),
  ),
  // What is sent on, if anything, is checked for every request: `TE: trailers` with `Connection: TE`.
  ...['trailers', 'Trailers', 'gzip, trailers', 'trailers, deflate'].map((te) =>
    forwarded(`F8 TE: ${te}`, head(line, `TE: ${te}`, 'Connection: TE'), {
      line,
      check: (request) => assert.ok(['', 'trailers'].includes(values(request.fields, 'te').join())),
    }),
  ),
  {
    name: 'F6 a connection the backend ends after its answer is not used again',
    run: (mode) =>
      withRig({ backend: answering(ok('1.1'), mode, 'end') }, async (rig) => {
        const client = await rig.client()
        await client.send(get)
        assert.equal((await client.answer()).status, 200)
        await until(() => rig.connection.finished || rig.connection.reset || rig.connection.closed)
        await expectServed(rig, client)
        assert.equal(rig.backend.connections.length, 2)
      }),
  },
]

await runCases(t, [...stripped, ...nominations, ...closing, ...answers])
