/** Rows Q1 to Q6 and Q9, as far as the proxy goes today: what is tried again elsewhere, and what never is. */
import assert from 'node:assert/strict'
import t from 'tap'
import { runCases, type Case } from '../fixtures/cases.ts'
import { okAnswer, type BackendConnection, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { value } from '../fixtures/wire-message.ts'
import type { Rig } from '../fixtures/rig.ts'
import { expectCut, head, withRig } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { seededRandom } from '../../src/core/random.ts'

const request = (method: string, target = '/'): string =>
  ['POST', 'PUT', 'PATCH'].includes(method)
    ? `${head(`${method} ${target} HTTP/1.1`, 'Content-Length: 5')}hello`
    : head(`${method} ${target} HTTP/1.1`)

const ended = (connection: BackendConnection): boolean => connection.finished || connection.reset || connection.closed
const count = (rig: Rig, target: string): number =>
  rig.requests.filter((each) => each.startLine.split(' ')[1] === target).length

const unsent: Case[] = [
  ...['GET', 'POST', 'PUT', 'DELETE', 'PATCH'].map((method): Case => ({
    name: `Q1 ${method}: an endpoint that refuses costs nothing while another is there`,
    run: (mode) =>
      withRig({ refusing: true, siblings: [{}] }, async (rig) => {
        const client = await rig.client()
        for (let i = 0; i < 12; i++) {
          await client.send(request(method, `/${i}`), i === 0 ? mode : 'whole')
          assert.equal((await client.answer(method)).status, 200)
        }
        for (let i = 0; i < 12; i++) assert.equal(count(rig, `/${i}`), 1)
        for (const each of rig.requests) assert.equal(each.body, request(method).endsWith('hello') ? 'hello' : '')
      }),
  })),
  {
    name: 'Q1 a chunked upload is not lost to an endpoint that refuses',
    run: (mode) =>
      withRig({ refusing: true }, async (rig) => {
        const client = await rig.client()
        for (let i = 0; i < 6; i++) {
          await client.send(`${head(`POST /${i} HTTP/1.1`, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`, mode)
          assert.equal((await client.answer()).status, 200)
        }
        assert.deepEqual(
          rig.requests.map((each) => each.body),
          Array(6).fill('hello'),
        )
      }),
  },
  {
    name: 'Q1 attempts are bounded when everything refuses',
    run: (mode) =>
      withRig({ refusing: 6, portsOnly: true }, async (rig) => {
        const client = await rig.client()
        await client.send(request('POST'), mode)
        const answer = await client.answer()
        assert.equal(answer.status, 503)
        assert.equal(value(answer.fields, 'retry-after'), '1')
        await until(() => rig.records.length === 1)
        assert.ok((rig.records[0]?.attempts ?? 0) <= 6)
      }),
  },
  ...['GET', 'POST', 'DELETE', 'PATCH'].flatMap((method) =>
    (['end', 'abort'] as const).map((how): Case => ({
      name: `Q2 ${method}: a pooled connection that died idle (${how}) is not used`,
      run: (mode) =>
        withRig({}, async (rig) => {
          const client = await rig.client()
          await client.send(request('GET', '/first'))
          await client.answer()
          rig.connection[how]()
          await settle()
          await client.send(request(method), mode)
          assert.equal((await client.answer(method)).status, 200)
          assert.equal(rig.backend.connections.length, 2)
          assert.equal(count(rig, '/'), 1)
        }),
    })),
  ),
]

/** Answers the first request of a connection; takes the second and ends without a byte. */
const dyingOnSecond = (how: 'end' | 'abort'): BackendScript => ({
  onRequest: (_request, connection) => {
    if (connection.index === 0 && connection.requests.length > 1) connection[how]()
    else void connection.send(okAnswer.replace(/ok$/, _request.startLine.startsWith('HEAD') ? '' : 'ok'))
  },
})

const ambiguous: Case[] = [
  ...(['end', 'abort'] as const).flatMap((how) => [
    ...['GET', 'HEAD', 'OPTIONS'].map((method): Case => ({
      name: `Q3 ${method}: a re-used connection that ends (${how}) without a byte: tried again on a fresh one`,
      run: (mode) =>
        withRig({ backend: dyingOnSecond(how) }, async (rig) => {
          const client = await rig.client()
          await client.send(request('GET', '/first'))
          await client.answer()
          await client.send(request(method), mode)
          assert.equal((await client.answer(method)).status, 200)
          assert.equal(rig.backend.connections.length, 2)
          assert.equal(rig.connection.requests.length, 2)
          await until(() => rig.records.length === 2)
          assert.equal(rig.records[1]?.attempts, 2)
        }),
    })),
    ...['POST', 'PATCH', 'PUT', 'DELETE', 'PURGE'].map((method): Case => ({
      name: `Q3 ${method}: a re-used connection that ends (${how}) without a byte: 502, delivered once`,
      run: (mode) =>
        withRig({ backend: dyingOnSecond(how), siblings: [] }, async (rig) => {
          const client = await rig.client()
          await client.send(request('GET', '/first'))
          await client.answer()
          await client.send(request(method), mode)
          const answer = await client.answer(method)
          assert.equal(answer.status, 502)
          await settle()
          assert.equal(count(rig, '/'), 1)
          assert.equal(rig.records.at(-1)?.attempts, 1)
        }),
    })),
  ]),
  ...(
    [
      ['small', 5, 200],
      ['too large to keep', 100_000, 502],
    ] as const
  ).map(([what, size, status]): Case => ({
    name: `Q10 GET with a body ${what}: ${status === 200 ? 'sent whole once more' : 'not sent again'}`,
    modes: ['whole'],
    run: () =>
      withRig({ backend: dyingOnSecond('end') }, async (rig) => {
        const client = await rig.client()
        await client.send(request('GET', '/first'))
        await client.answer()
        await client.send(`${head('GET / HTTP/1.1', `Content-Length: ${size}`)}${'x'.repeat(size)}`)
        assert.equal((await client.answer()).status, status)
        const bodies = rig.requests.filter((each) => each.startLine === 'GET / HTTP/1.1')
        assert.deepEqual(
          bodies.map((each) => each.body.length),
          status === 200 ? [size, size] : [size],
        )
      }),
  })),
  ...['GET', 'POST'].map((method): Case => ({
    name: `Q4 ${method}: a fresh connection that ends without a byte: ${method === 'GET' ? 'bounded' : 'delivered once'}`,
    run: (mode) =>
      withRig(
        {
          backend: { onRequest: (_request, connection) => connection.end() },
          siblings: [{ onRequest: (_request, connection) => connection.end() }],
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(request(method), mode)
          assert.equal((await client.answer()).status, 502)
          await settle()
          assert.ok(count(rig, '/') <= (method === 'GET' ? 3 : 1), `delivered ${count(rig, '/')} times`)
        },
      ),
  })),
  {
    name: 'Q3 GET: a poison request does not walk through all endpoints',
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (each, connection) =>
              each.startLine.includes('poison') ? connection.abort() : void connection.send(okAnswer),
          },
          siblings: Array.from({ length: 5 }, () => ({
            onRequest: (each: { startLine: string }, connection: BackendConnection) =>
              each.startLine.includes('poison') ? connection.abort() : void connection.send(okAnswer),
          })),
          random: seededRandom(7),
        },
        async (rig) => {
          const client = await rig.client()
          for (let i = 0; i < 20; i++) {
            await client.send(request('GET', '/warm'))
            await client.answer()
          }
          await client.send(request('GET', '/poison'), mode)
          assert.equal((await client.answer()).status, 502)
          assert.ok(count(rig, '/poison') <= 3, `delivered ${count(rig, '/poison')} times`)
        },
      ),
  },
  ...['HTTP/1.1 200 OK\r\nContent-Le', 'H', 'HTTP/1.1 103 Early Hints\r\n\r\nHTTP'].map((bytes): Case => ({
    name: `Q6 GET: a re-used connection that ends after ${JSON.stringify(bytes)} is not tried again`,
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (_request, connection) => {
              if (connection.requests.length > 1) void connection.send(bytes, mode).then(() => connection.end())
              else void connection.send(okAnswer)
            },
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(request('GET', '/first'))
          await client.answer()
          await client.send(request('GET'))
          assert.equal((await client.answer()).status, 502)
          await settle()
          assert.equal(count(rig, '/'), 1)
        },
      ),
  })),
  {
    name: 'Q9 an answer that has begun is cut, never tried again',
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (_request, connection) => {
              if (connection.requests.length > 1)
                void connection
                  .send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', mode)
                  .then(() => connection.abort())
              else void connection.send(okAnswer)
            },
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(request('GET', '/first'))
          await client.answer()
          await client.send(request('GET'))
          await expectCut(client)
          await settle()
          assert.equal(count(rig, '/'), 1)
          await until(() => ended(rig.connection))
        },
      ),
  },
  {
    name: 'Q8 an error of the backend is passed on, not tried again',
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (_request, connection) =>
              void connection.send('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n', mode),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(request('GET'), mode)
          assert.equal((await client.answer()).status, 502)
          assert.equal(rig.requests.length, 1)
        },
      ),
  },
]

await runCases(t, [...unsent, ...ambiguous])
