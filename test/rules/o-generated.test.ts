/** Part O: answers the proxy makes itself: their codes, their fields, and that they echo nothing. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { answering, expectServed, get, head, withRig } from '../fixtures/rules.ts'
import { assertOwnAnswer, type RigOptions } from '../fixtures/rig.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const marker = 'ECHO-ME-1234567890'
const proxyError = (fields: readonly (readonly [string, string])[]): string =>
  /error=([a-z0-9_]+)/.exec(value(fields, 'proxy-status') ?? '')?.[1] ?? ''

/** The codes, each with a request that earns it; the marker is somewhere in every request. */
const earned: readonly {
  readonly status: number
  readonly what: string
  readonly bytes: string
  readonly error: string
  readonly rig?: RigOptions
}[] = [
  {
    status: 400,
    what: 'malformed',
    bytes: `GET /${marker} HTTP/1.1\r\nHost: ${marker}@x\r\n\r\n`,
    error: 'http_request_error',
  },
  {
    status: 404,
    what: 'no route',
    bytes: `GET /${marker} HTTP/1.1\r\nHost: ${marker.toLowerCase()}.test\r\n\r\n`,
    error: 'destination_not_found',
  },
  { status: 405, what: 'TRACE', bytes: head(`TRACE /${marker} HTTP/1.1`), error: 'http_request_denied' },
  {
    status: 413,
    what: 'body',
    bytes: head(`POST /${marker} HTTP/1.1`, 'Content-Length: 500'),
    error: 'http_request_error',
    rig: { limits: { bodyBytes: 100 } },
  },
  {
    status: 414,
    what: 'target',
    bytes: head(`GET /${marker}${'x'.repeat(100)} HTTP/1.1`),
    error: 'http_request_error',
    rig: { limits: { targetBytes: 64 } },
  },
  {
    status: 417,
    what: 'Expect',
    bytes: head(`POST /${marker} HTTP/1.1`, `Expect: ${marker}`, 'Content-Length: 1'),
    error: 'http_request_error',
  },
  {
    status: 431,
    what: 'lines',
    bytes: head(`GET /${marker} HTTP/1.1`, `${marker}: ${marker}`, 'X: y', 'Z: z'),
    error: 'http_request_error',
    rig: { limits: { headerLines: 3 } },
  },
  {
    status: 502,
    what: 'junk from upstream',
    bytes: head(`GET /${marker} HTTP/1.1`),
    error: 'http_protocol_error',
    rig: { backend: { onRequest: (_request, connection) => void connection.send(`${marker}\r\n\r\n`) } },
  },
  {
    status: 502,
    what: 'upstream closes',
    bytes: head(`POST /${marker} HTTP/1.1`, 'Content-Length: 0'),
    error: 'connection_terminated',
    rig: { backend: { onRequest: (_request, connection) => connection.end() } },
  },
  {
    status: 502,
    what: 'upstream half a head',
    bytes: head(`GET /${marker} HTTP/1.1`),
    error: 'connection_terminated',
    rig: {
      backend: {
        onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\n').then(() => connection.end()),
      },
    },
  },
  {
    status: 502,
    what: 'a head too large from upstream',
    bytes: head(`GET /${marker} HTTP/1.1`),
    error: 'http_protocol_error',
    rig: {
      limits: { headBytes: 512 },
      backend: {
        onRequest: (_request, connection) => void connection.send(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(600)}\r\n\r\n`),
      },
    },
  },
  {
    status: 503,
    what: 'no endpoint',
    bytes: `GET /${marker} HTTP/1.1\r\nHost: empty.test\r\n\r\n`,
    error: 'destination_unavailable',
  },
  { status: 505, what: 'version', bytes: head(`GET /${marker} HTTP/2.0`), error: 'http_request_error' },
]

const shape: Case[] = earned.flatMap((each): Case[] =>
  (['GET', 'HEAD', '1.0'] as const).map((variant) => ({
    name: `O ${each.status} ${each.what}${variant === 'GET' ? '' : ` (${variant})`}`,
    run: (mode) =>
      withRig(each.rig ?? {}, async (rig) => {
        let bytes = each.bytes
        if (variant === 'HEAD') bytes = bytes.replace(/^(GET|POST) /, 'HEAD ')
        if (variant === '1.0') bytes = bytes.replace('HTTP/1.1', 'HTTP/1.0')
        // An HTTP/1.0 request cannot expect; what is not HEAD afterwards was not GET before.
        if (variant === '1.0' && each.status === 417) return
        if (variant === 'HEAD' && !bytes.startsWith('HEAD')) return
        const client = await rig.client()
        await client.send(bytes, mode)
        const answer = await client.answer(variant === 'HEAD' ? 'HEAD' : 'GET')
        assert.equal(answer.status, each.status)
        assertOwnAnswer(answer)
        if (variant === 'HEAD') assert.equal(answer.body, '')
        else assert.equal(Number(value(answer.fields, 'content-length')), answer.body.length)
        assert.ok(!client.received.toUpperCase().includes(marker), 'nothing of the request is echoed')
        if (each.status === 503) assert.match(value(answer.fields, 'retry-after') ?? '', /^[0-9]+$/)
        if (variant === '1.0') assert.equal(value(answer.fields, 'connection'), 'close')
        if (value(answer.fields, 'connection') === 'close') await client.closedByPeer()
        else await expectServed(rig, client).catch(() => undefined)
        await until(() => rig.records.length > 0, { what: 'a record' })
        const [record] = rig.records
        assert.equal(record?.status, each.status)
        assert.equal(record?.origin, 'proxy')
        assert.notEqual(record?.cause, '')
        assert.equal(record?.requestId, value(answer.fields, 'x-request-id'))
      }),
  })),
)

const errors: Case[] = earned.map((each) => ({
  name: `O ${each.status} ${each.what}: Proxy-Status says ${each.error}`,
  modes: ['whole'],
  run: (mode) =>
    withRig({ ...each.rig, trust: ['127.0.0.1/32'] }, async (rig) => {
      const client = await rig.client()
      await client.send(each.bytes, mode)
      const answer = await client.answer()
      assert.equal(proxyError(answer.fields), each.error)
    }),
}))

const others: Case[] = [
  {
    name: 'O 503 refused by every endpoint',
    run: (mode) =>
      withRig({ refusing: true, portsOnly: true }, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        const answer = await client.answer()
        assert.equal(answer.status, 503)
        assertOwnAnswer(answer)
        assert.equal(proxyError(answer.fields), 'connection_refused')
        await until(() => rig.records.length === 1)
        assert.equal(rig.records[0]?.cause, 'refused')
      }),
  },
  {
    name: 'O the client keeps its connection through a 404 and a 503',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(
          `GET / HTTP/1.1\r\nHost: c.test\r\n\r\nGET / HTTP/1.1\r\nHost: empty.test\r\n\r\n${get}`,
          mode,
        )
        assert.equal((await client.answer()).status, 404)
        assert.equal((await client.answer()).status, 503)
        assert.equal((await client.answer()).status, 200)
      }),
  },
  {
    name: 'O a 404 to a request with a body does not take the body for a request',
    run: (mode) =>
      withRig({}, async (rig) => {
        const inner = head('GET /smuggled HTTP/1.1')
        const client = await rig.client()
        await client.send(`POST / HTTP/1.1\r\nHost: c.test\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`, mode)
        const answer = await client.answer()
        assert.equal(answer.status, 404)
        if (value(answer.fields, 'connection') === 'close') await client.closedByPeer()
        else await expectServed(rig, client)
        assert.ok(!rig.requests.some((request) => request.startLine.includes('smuggled')))
      }),
  },
  {
    name: 'O a request id of the client is in the error too',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send('GET / HTTP/1.1\r\nHost: c.test\r\nX-Request-Id: mine-1\r\n\r\n', mode)
        const answer = await client.answer()
        assert.equal(value(answer.fields, 'x-request-id'), 'mine-1')
      }),
  },
  {
    name: 'O an answer of the backend is not the proxy’s: no Proxy-Status, no no-store',
    run: (mode) =>
      withRig(
        { backend: answering('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n', mode) },
        async (rig) => {
          const client = await rig.client()
          await client.send(get)
          const answer = await client.answer()
          assert.equal(answer.status, 503)
          assert.equal(value(answer.fields, 'proxy-status'), undefined)
          assert.equal(value(answer.fields, 'cache-control'), undefined)
          await until(() => rig.records.length === 1)
          assert.equal(rig.records[0]?.origin, 'upstream')
        },
      ),
  },
  {
    name: 'O a record of every kind of request',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(`${head('POST /x?y HTTP/1.1', 'Content-Length: 5')}hello`, mode)
        await client.answer()
        await until(() => rig.records.length === 1)
        const [record] = rig.records
        assert.ok(record)
        assert.deepEqual(
          [record.method, record.host, record.target, record.status, record.service, record.attempts, record.cause],
          ['POST', 'a.test', '/x?y', 200, 'one', 1, ''],
        )
        assert.equal(record.endpoint, `127.0.0.1:${rig.backend.port}`)
        assert.equal(record.clientAddress, '127.0.0.1')
        assert.ok(record.bytesReceived >= 5, `received ${record.bytesReceived}`)
        assert.ok(record.bytesSent > 2, `sent ${record.bytesSent}`)
        assert.ok(record.durationMs >= 0)
      }),
  },
]

await runCases(t, [...shape, ...errors, ...others])
