/** Rows M1 to M9 and M11: connections on both sides over more than one message. */
import { FakeClock } from '../fixtures/fake-clock.ts'
import assert from 'node:assert/strict'
import t from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { runCases, type Case } from '../fixtures/cases.ts'
import { okAnswer, type BackendConnection } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { assertOwnAnswer } from '../fixtures/rig.ts'
import { answered, answering, expectCut, expectRefusal, expectServed, get, head, withRig } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const ended = (connection: BackendConnection): boolean => connection.finished || connection.reset || connection.closed
const reply = (body: string, ...lines: string[]): string =>
  ['HTTP/1.1 200 OK', ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n')
const target = (request: { startLine: string }): string => request.startLine.split(' ')[1] ?? ''

const pipelining: Case[] = [
  {
    name: 'M1 ten pipelined requests are answered in order',
    run: (mode) =>
      withRig(
        { backend: { onRequest: (request, connection) => void connection.send(reply(target(request)), mode) } },
        async (rig) => {
          const client = await rig.client()
          const targets = Array.from({ length: 10 }, (_, i) => `/${i}`)
          await client.send(targets.map((each) => head(`GET ${each} HTTP/1.1`)).join(''), mode)
          for (const each of targets) assert.equal((await client.answer()).body, each)
        },
      ),
  },
  {
    name: 'M1 the second is not sent on before the first is answered, even to another backend',
    run: (mode) =>
      withRig({ backend: { onRequest() {} } }, async (rig) => {
        const client = await rig.client()
        await client.send(`${get}GET /second HTTP/1.1\r\nHost: b.test\r\n\r\n`, mode)
        await until(() => rig.backend.requests.length === 1)
        await settle(30)
        assert.equal(rig.other.requests.length, 0)
        assert.equal(client.received, '')
        await rig.connection.send(reply('first'), mode)
        assert.equal((await client.answer()).body, 'first')
        assert.equal((await client.answer()).body, 'ok')
      }),
  },
  {
    name: 'M1 pipelined requests with bodies and answers of every framing',
    run: (mode) =>
      withRig(
        {
          backend: {
            onRequest: (request, connection) => {
              const text = request.body
              if (text === 'a') void connection.send(reply(text), mode)
              else if (text === 'b') void connection.send('HTTP/1.1 204 No Content\r\n\r\n', mode)
              else if (text === 'c')
                void connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n', mode)
              else void connection.send('HTTP/1.1 200 OK\r\n\r\nd', mode).then(() => connection.end())
            },
          },
        },
        async (rig) => {
          const client = await rig.client()
          const bodies = ['a', 'b', 'c', 'd', 'a']
          const requests = bodies.map((each, i) =>
            i % 2 === 0
              ? `${head('POST / HTTP/1.1', 'Content-Length: 1')}${each}`
              : `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}1\r\n${each}\r\n0\r\n\r\n`,
          )
          await client.send(requests.join(''), mode)
          const got: string[] = []
          for (const each of bodies) {
            void each
            got.push((await client.answer()).body)
          }
          assert.deepEqual(got, ['a', '', 'c', 'd', 'a'])
        },
      ),
  },
  {
    name: 'M1 while an answer is awaited only so many pipelined bytes are read',
    modes: ['whole'],
    run: () =>
      withRig({ backend: { onRequest() {} }, limits: { pipelinedBytes: 4_096 } }, async (rig) => {
        const client = await rig.client()
        await client.send(get)
        await until(() => rig.backend.requests.length === 1)
        const flood = 'x'.repeat(1 << 20)
        for (let i = 0; i < 32; i++) client.socket.write(flood, 'latin1')
        let before = -1
        await until(async () => {
          await settle(50)
          const now = client.socket.writableLength
          const stalled = now === before
          before = now
          return stalled
        })
        assert.ok(client.socket.writableLength > 8 << 20, `only ${client.socket.writableLength} bytes were held back`)
        // Once answered, reading goes on where it stopped: what was held is no request, and is drained.
        await rig.connection.send(okAnswer)
        assert.equal((await client.answer()).status, 200)
        await client.wait('a refusal', () => client.received.includes('HTTP/1.1 400 ') || !client.open)
      }),
  },
  {
    name: 'M2 an error on the second request leaves the first answer whole',
    run: (mode) =>
      withRig(
        { backend: { onRequest: (_request, connection) => void connection.send(reply('x'.repeat(2_000)), mode) } },
        async (rig) => {
          const client = await rig.client()
          await client.send(`${get}BAD\r\n\r\n${head('GET /smuggled HTTP/1.1')}`, mode)
          assert.equal((await client.answer()).body, 'x'.repeat(2_000))
          await expectRefusal(client)
          assert.equal(rig.requests.length, 1)
        },
      ),
  },
  {
    name: 'M2 an error on the second request is not answered before the first',
    run: (mode) =>
      withRig({ backend: { onRequest() {} } }, async (rig) => {
        const client = await rig.client()
        await client.send(`${get}BAD\r\n\r\n`, mode)
        await until(() => rig.requests.length === 1)
        await settle(20)
        assert.equal(client.received, '')
        await rig.connection.send(okAnswer)
        assert.equal((await client.answer()).status, 200)
        await expectRefusal(client)
      }),
  },
]

const leaving: Case[] = [
  ...[
    ['GET', get],
    ['POST', `${head('POST / HTTP/1.1', 'Content-Length: 5')}hello`],
    ['two pipelined', get + get],
  ].map(([what, bytes]): Case => ({
    name: `M3 ${what}: the client ends its half and is still answered`,
    run: (mode) =>
      withRig({ backend: { onRequest() {} } }, async (rig) => {
        const client = await rig.client()
        await client.send(bytes ?? '', mode)
        await until(() => rig.backend.requests.length === 1)
        client.end()
        await settle(20)
        await rig.connection.send(reply('late'), mode)
        assert.equal((await client.answer()).body, 'late')
        if (what === 'two pipelined') {
          await until(() => rig.backend.requests.length === 2)
          await rig.backend.connections
            .find((each) => each.requests.length > (each === rig.connection ? 1 : 0))
            ?.send(reply('later'), mode)
          assert.equal((await client.answer()).body, 'later')
        }
        await client.closedByPeer()
      }),
  })),
  ...(['abort', 'destroy'] as const).flatMap((how) => [
    {
      name: `M4 the client leaves (${how}) while it waits: the upstream connection is ended and the slot freed`,
      run: (mode: 'whole' | 'bytes') =>
        withRig(
          {
            backend: {
              onRequest: (request, connection) => void (target(request) === '/after' && connection.send(okAnswer)),
            },
          },
          async (rig) => {
            const client = await rig.client()
            await client.send(get, mode)
            await until(() => rig.backend.requests.length === 1)
            client[how]()
            if (how === 'abort') await until(() => ended(rig.connection), { what: 'the upstream to be ended' })
            else {
              // A FIN alone may be a half-close (row M3); what comes later shows that the client is gone.
              await settle(20)
              await rig.connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n${'x'.repeat(2_000_000)}`)
              await until(() => ended(rig.connection), { what: 'the upstream to be ended' })
            }
            await until(() => rig.load.inFlight === 0 && rig.load.open === 0, { what: 'the slot to be free' })
            await until(() => rig.records.length === 1)
            assert.ok([499, 200].includes(rig.records[0]?.status ?? 0))
          },
        ),
    },
    {
      name: `M4 the client leaves (${how}) in the middle of an answer`,
      run: (mode: 'whole' | 'bytes') =>
        withRig(
          {
            backend: {
              onRequest: (_request, connection) =>
                void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx', mode),
            },
          },
          async (rig) => {
            const client = await rig.client()
            await client.send(get, mode)
            await client.wait('some of the answer', () => client.received.endsWith('x'))
            client[how]()
            if (how === 'destroy') {
              await settle(20)
              void rig.connection.send('x'.repeat(8_000_000))
            }
            await until(() => ended(rig.connection), { what: 'the upstream to be ended' })
            await until(() => rig.load.inFlight === 0 && rig.load.open === 0)
          },
        ),
    },
  ]),
]

const upload = head('POST /upload HTTP/1.1', 'Content-Length: 10')
const early: Case[] = [
  ...[
    ['keeping', reply('early')],
    ['closing', reply('early', 'Connection: close')],
  ].map(([what, bytes]): Case => ({
    name: `M5 an answer (${what}) before the upload is complete reaches the client at once`,
    run: (mode) =>
      withRig(
        {
          backend: {
            onHead: (request, connection) =>
              void connection.send(request.startLine.includes('upload') ? (bytes ?? '') : okAnswer, mode),
            onRequest() {},
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(`${upload}01`, mode)
          const answer = await client.answer()
          assert.equal(answer.body, 'early')
          // Either the proxy waits for the rest of the upload and goes on, or it says that it will not.
          if (value(answer.fields, 'connection') === 'close') {
            await client.send(`23456789${head('GET /smuggled HTTP/1.1')}`, mode)
            await client.closedByPeer()
            await settle()
            assert.ok(!rig.connection.received.includes('smuggled'))
            await until(() => ended(rig.connection), { what: 'the upstream to be ended' })
          } else {
            await client.send('23456789', mode)
            await expectServed(rig, client)
          }
          await expectServed(rig, await rig.client(), '/fresh')
        },
      ),
  })),
  {
    name: 'M5 a backend that answers and closes during a large upload: the answer arrives, not a reset',
    modes: ['whole'],
    run: () =>
      withRig(
        {
          limits: { lingerBytes: 64 << 20 },
          backend: {
            sink: true,
            onConnect: (connection) =>
              connection.socket.once(
                'data',
                () => void connection.send(reply('no', 'Connection: close')).then(() => connection.end()),
              ),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(head('POST / HTTP/1.1', 'Content-Length: 40000000'))
          const block = 'x'.repeat(1_000_000)
          for (let i = 0; i < 40; i++) client.socket.write(block, 'latin1')
          assert.equal((await client.answer()).body, 'no')
          await client.closedByPeer()
        },
      ),
  },
  {
    name: 'M5 a backend that answers and resets during an upload: the answer or 502, nothing in between',
    modes: ['whole'],
    run: () =>
      withRig(
        {
          backend: {
            sink: true,
            onConnect: (connection) =>
              connection.socket.once('data', () => {
                connection.socket.write(reply('no'), () => connection.abort())
              }),
          },
        },
        async (rig) => {
          const client = await rig.client()
          await client.send(`${head('POST / HTTP/1.1', 'Content-Length: 4000000')}${'x'.repeat(400_000)}`)
          const answer = await client.answer()
          assert.ok(answer.status === 200 || answer.status === 502)
        },
      ),
  },
]

const spoilt: Case[] = [
  {
    name: 'M5 an upload that turns out malformed cuts the answer that has begun, and adds none',
    modes: ['whole'],
    run: () =>
      withRig({ backend: { onConnect: (connection) => void connection.send(cutShort) } }, async (rig) => {
        const client = await rig.client()
        await client.send(`${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n`)
        await client.wait('the part', () => client.received.endsWith('part'))
        await client.send('x\r\n')
        await expectCut(client, 'POST')
        assert.ok(client.received.endsWith('part'), client.received)
      }),
  },
]
const cutShort = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'

const lingering: Case[] = [
  ...[
    ['by length', head('POST / HTTP/1.1', 'Content-Length: 40000000'), 40],
    ['chunked', head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'), 40],
    ['not HTTP', 'x'.repeat(10), 40],
  ].map(([what, start, megabytes]): Case => ({
    name: `M6 a client that still sends 40 MB (${String(what)}) reads its refusal, then FIN`,
    modes: ['whole'],
    run: () =>
      withRig({ limits: { bodyBytes: 1_000, lingerBytes: 64 << 20 } }, async (rig) => {
        const client = await rig.client()
        await client.send(String(start))
        const block = what === 'chunked' ? `f4240\r\n${'x'.repeat(1_000_000)}\r\n` : 'x'.repeat(1_000_000)
        for (let i = 0; i < Number(megabytes); i++) client.socket.write(block, 'latin1')
        const answer = await client.answer()
        assert.ok([400, 413, 414, 431].includes(answer.status))
        await client.closedByPeer()
      }),
  })),
  {
    name: 'M6 with the default limits 900 kB after a refusal are drained',
    modes: ['whole'],
    run: () =>
      withRig({ limits: { bodyBytes: 1_000 } }, async (rig) => {
        const client = await rig.client()
        await client.send(head('POST / HTTP/1.1', 'Content-Length: 900000') + 'x'.repeat(900_000))
        await expectRefusal(client, 413)
        rig.assertUntouched()
      }),
  },
  {
    name: 'M6 beyond the limit the connection is ended, whatever still comes',
    modes: ['whole'],
    run: () =>
      withRig({ limits: { bodyBytes: 1_000, lingerBytes: 10_000 } }, async (rig) => {
        const client = await rig.client()
        await client.send(head('POST / HTTP/1.1', 'Content-Length: 90000000'))
        const block = 'x'.repeat(1_000_000)
        for (let i = 0; i < 30; i++) client.socket.write(block, 'latin1')
        await until(() => rig.load.open === 0, { what: 'the connection to be ended by the proxy' })
      }),
  },
  {
    name: 'M6 the proxy does not wait for its client to end first',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send('BAD\r\n\r\n', mode)
        await expectRefusal(client)
        client.end()
        await until(() => rig.load.open === 0, { what: 'the connection to be gone' })
      }),
  },
]

const evil = reply('evil')
const idle: Case[] = [
  ...[
    ['an answer', evil],
    ['408', 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil'],
    ['one byte', 'H'],
    ['CRLF', '\r\n'],
    ['100', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['junk', '\x00\x01evil'],
  ].map(([what, bytes]): Case => ({
    name: `${what === '408' ? 'N10' : 'M7'} ${what} on an idle upstream connection closes it and is given to nobody`,
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        await client.answer()
        await rig.connection.send(bytes ?? '', mode)
        await until(() => ended(rig.connection), { what: 'the upstream to be closed' })
        await expectServed(rig, client)
        assert.equal(rig.backend.connections.length, 2)
        assert.ok(!client.received.includes('evil'))
        assert.equal(client.received.length, client.consumed)
      }),
  })),
  ...(
    [
      ['by length', reply('ok')],
      ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
      ['empty', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
      ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['304', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
    ] as const
  ).flatMap(([what, bytes]) =>
    [evil, '\r\n', 'x', 'HTTP/1.1 100 Continue\r\n\r\n'].map((surplus) =>
      answered(`M8 ${JSON.stringify(surplus.slice(0, 12))} after a complete answer (${what})`, bytes + surplus, {
        status: Number(bytes.slice(9, 12)),
        upstream: 'closed',
        check: (_answer, rig) => assert.ok(!rig.records.some((record) => record.status === 100)),
      }),
    ),
  ),
  {
    name: 'M7 a request behind another on one client never gets the surplus of the first',
    run: (mode) =>
      withRig({ backend: answering(reply('good') + evil, mode) }, async (rig) => {
        const client = await rig.client()
        await client.send(get + head('GET /after HTTP/1.1'), mode)
        assert.equal((await client.answer()).body, 'good')
        assert.equal((await client.answer()).body, 'ok')
      }),
    modes: ['whole'],
  },
  {
    name: 'M9 a backend that closes an idle connection is not asked on it again',
    run: (mode) =>
      withRig({}, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        await client.answer()
        rig.connection.end()
        await until(() => ended(rig.connection))
        await client.send(`${head('POST /post HTTP/1.1', 'Content-Length: 2')}hi`, mode)
        assert.equal((await client.answer()).status, 200)
        assert.equal(rig.backend.connections.length, 2)
      }),
  },
  {
    name: 'M9 two clients at once take two connections, later ones re-use them',
    run: (mode) =>
      withRig({ backend: { onRequest() {} } }, async (rig) => {
        const one = await rig.client()
        const two = await rig.client()
        await Promise.all([one.send(get, mode), two.send(get, mode)])
        await until(() => rig.backend.requests.length === 2)
        assert.equal(rig.backend.connections.length, 2)
        for (const connection of rig.backend.connections) await connection.send(okAnswer)
        await one.answer()
        await two.answer()
        rig.backend.script = {}
        await settle()
        assert.equal(rig.plane.figures().upstream.idle, 2)
        await one.send(get, mode)
        await until(() => rig.backend.requests.length === 3)
        assert.equal(rig.backend.connections.length, 2)
      }),
  },
]

const draining: Case[] = [
  {
    name: 'M11 drain: idle connections end, running requests finish with close, nothing new is accepted',
    run: (mode) => {
      const clock = new FakeClock()
      return withRig(
        {
          clock,
          backend: {
            onRequest: (request, connection) => void (target(request) === '/quick' && connection.send(okAnswer)),
          },
        },
        async (rig) => {
          const fresh = await rig.client()
          const waiting = await rig.client()
          await waiting.send(head('GET /quick HTTP/1.1'), mode)
          await waiting.answer()
          const busy = await rig.client()
          await busy.send(get, mode)
          await until(() => rig.backend.requests.length === 2)
          let drained = false
          const drain = rig.plane.drain(5_000).then(() => void (drained = true))
          await waiting.closedByPeer()
          waiting.end()
          // The first request of a new connection may be on its way.
          assert.equal(fresh.open, true)
          clock.advance(1_100)
          await fresh.closedByPeer()
          fresh.end()
          await assert.rejects(rig.client())
          assert.equal(drained, false)
          const connection = rig.backend.connections.find(
            (each) => each.requests.at(-1)?.startLine === 'GET / HTTP/1.1',
          )
          await connection?.send(reply('done'), mode)
          const answer = await busy.answer()
          assert.equal(answer.body, 'done')
          assert.equal(value(answer.fields, 'connection'), 'close')
          await busy.closedByPeer()
          busy.end()
          await drain
        },
      )
    },
  },
  {
    name: 'M11 drain: what was sent and has no answer at the deadline is answered 504',
    run: (mode) =>
      withRig({ clock: systemClock, backend: { onRequest() {} } }, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        await until(() => rig.backend.requests.length === 1)
        await rig.plane.drain(30)
        const answer = await client.answer()
        assertOwnAnswer(answer)
        assert.equal(answer.status, 504)
        assert.equal(value(answer.fields, 'connection'), 'close')
        await client.closedByPeer()
        await until(() => ended(rig.connection))
      }),
  },
  {
    name: 'M11 drain: an answer that is not complete at the deadline is cut',
    run: (mode) =>
      withRig(
        { clock: systemClock, backend: answering('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', mode) },
        async (rig) => {
          const client = await rig.client()
          await client.send(get, mode)
          await until(() => client.received.endsWith('half'))
          await rig.plane.drain(30)
          await expectCut(client)
          await until(() => ended(rig.connection))
        },
      ),
  },
  {
    name: 'M11 destroy ends everything at once, twice is once',
    run: (mode) =>
      withRig({ backend: { onRequest() {} } }, async (rig) => {
        const client = await rig.client()
        await client.send(get, mode)
        await until(() => rig.backend.requests.length === 1)
        rig.plane.destroy()
        rig.plane.destroy()
        await client.wait('end', () => !client.open)
        await until(() => ended(rig.connection))
      }),
  },
]

await runCases(t, [...pipelining, ...leaving, ...early, ...spoilt, ...lingering, ...idle, ...draining])
