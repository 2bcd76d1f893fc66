/** Row E13 and the bounds on what is kept: how a body goes to whoever has the request, and what of it can be sent again. */
import t from 'tap'
import { ReplayAccount, ReplayBody } from '../../src/proxy/replay-body.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { openFullListener } from '../fixtures/full-listener.ts'
import { headText } from '../fixtures/heads.ts'
import { applyEndpoints, endpointsOf, get, versionOf, withRig } from '../fixtures/plane-parts.ts'
import { ProxySockets } from '../fixtures/proxy-sockets.ts'
import { okAnswer, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const chunkedHead = headText('POST /x HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked')

/** What a backend got: the framing and the body. */
function framing(message: { readonly fields: Parameters<typeof value>[0]; readonly body: string } | undefined): string {
  if (!message) return 'nothing'
  const coding = value(message.fields, 'transfer-encoding')
  return `${coding ?? value(message.fields, 'content-length')} ${message.body}`
}

const old: BackendScript = {
  onRequest: (_request, connection) =>
    void connection.send('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok').then(() => connection.end()),
}

t.test('a body that is all here goes out with its length, one that is not in chunks', async (t) => {
  await withRig({}, async (rig) => {
    const client = await rig.client()
    await client.send(`${chunkedHead}5\r\nhello\r\n0\r\n\r\n`)
    t.equal((await client.answer()).status, 200)
    // The first body bytes come with the head, but the connection to the instance stands already.
    await client.send(`${chunkedHead}5\r\nhello\r\n`)
    await until(() => rig.backend.connections.some((each) => each.received.includes('chunked')))
    await client.send('0\r\n\r\n')
    t.equal((await client.answer()).status, 200)
    t.strictSame(rig.backend.requests.map(framing), ['5 hello', 'chunked hello'])
  })
})

t.test(
  'E13 an instance of HTTP/1.0 gets no chunks: what fits is kept until it is whole, the rest is 411',
  async (t) => {
    await withRig({ backend: old, policy: { retry: { attempts: 3, budget: 0.2, bodyBytes: 10 } } }, async (rig) => {
      const client = await rig.client()
      await client.send(get())
      await client.answer()
      await client.send(chunkedHead)
      await settle()
      for (const part of ['5\r\nhello\r\n', '3\r\nyou\r\n']) {
        await client.send(part)
        await settle()
      }
      t.equal(rig.backend.requests.length, 1, 'nothing goes out yet')
      await client.send('0\r\n\r\n')
      t.equal((await client.answer()).status, 200)
      t.equal(framing(rig.backend.requests[1]), '8 helloyou')

      await client.send(`${chunkedHead}8\r\nhellohel\r\n`)
      await settle()
      await client.send('8\r\nhellohel\r\n')
      const answer = await client.answer()
      t.equal(answer.status, 411)
      await until(() => client.finished)
      t.equal(rig.backend.requests.length, 2)
    })
  },
)

t.test('E13 a body that is too large to wait is 411 as soon as it is known where it goes', async (t) => {
  await withRig({ backend: old, policy: { retry: { attempts: 3, budget: 0.2, bodyBytes: 10 } } }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    // All of it is there before the new connection is, and nothing more comes.
    await client.send(`${chunkedHead}10\r\n0123456789abcdef\r\n`)
    t.equal((await client.answer()).status, 411)
    await until(() => client.finished)
    t.equal(rig.backend.connections[1]?.received ?? '', '')
  })
})

t.test('E13 what waits until it is whole has not been sent: it may still be made elsewhere', async (t) => {
  const script: BackendScript = {
    onRequest: (request, connection) => {
      if (request.startLine.startsWith('GET')) old.onRequest?.(request, connection)
      else connection.abort()
    },
  }
  const breaks: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  for (const [siblings, status] of [
    [[{}], 200],
    [[breaks, breaks], 502],
  ] as const)
    await withRig({ backend: script, siblings }, async (rig) => {
      const all = endpointsOf(rig.plane)
      applyEndpoints(rig.plane, all.slice(0, 1))
      const client = await rig.client()
      await client.send(get())
      await client.answer()
      await client.send(`${chunkedHead.replace('POST', 'OPTIONS')}5\r\nhello\r\n`)
      await until(() => rig.backend.connections.length === 2)
      await settle()
      t.equal(rig.backend.connections[1]?.received, '')
      applyEndpoints(rig.plane, all)
      await client.send('0\r\n\r\n')
      t.equal((await client.answer()).status, status)
      t.strictSame(rig.requests.slice(1).map(framing), ['5 hello', '5 hello'], 'twice, and not more often')
    })
})

t.test('once it answers as HTTP/1.1 it gets chunks again', async (t) => {
  const script: BackendScript = { ...old }
  await withRig({ backend: script }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await client.answer()
    rig.backend.script = {}
    await client.send(get())
    await client.answer()
    await client.send(`${chunkedHead}5\r\nhello\r\n`)
    await until(() => rig.backend.connections.some((each) => each.received.includes('chunked')))
    await client.send('0\r\n\r\n')
    t.equal((await client.answer()).status, 200)
  })
})

t.test('bodies kept for another attempt have a bound over all requests', async (t) => {
  const silentFirst: BackendScript = { onRequest: (_request, connection) => connection.abort() }
  const body = 'x'.repeat(1_000)
  const put = headText('PUT /x HTTP/1.1', 'Host: a.test', 'Content-Length: 1000', 'Idempotency-Key: 1') + body
  for (const [replayBytes, status] of [
    [1_000, 200],
    [999, 502],
  ] as const)
    // prettier-ignore
    await withRig({ backend: silentFirst, siblings: [silentFirst, {}], limits: { replayBytes } }, async (rig) => {
      let answered = 0
      for (let i = 0; i < 30; i++) {
        const client = await rig.client()
        await client.send(put)
        const answer = await client.answer()
        if (answer.status === 502) {
          answered++
          t.ok(rig.requests.length > 0)
        }
      }
      // With room for one body, a first failure is repeated; without, every failure is the client's.
      const failed = rig.records.filter((record) => record.status === 502)
      const repeated = rig.records.filter((record) => record.attempts > 1)
      t.equal(failed.length, answered)
      t.equal(repeated.length > 0, status === 200)
      if (status === 502) t.ok(failed.length > 0)
    })
})

t.test('what is kept for a repetition is booked once, and given back however its request ends', async (t) => {
  const account = new ReplayAccount()
  const one = new ReplayBody(account)
  const other = new ReplayBody(account)
  one.add(Buffer.from('hello'))
  t.equal(account.bytes, 0, 'what was not sent yet is kept for its first attempt')
  one.sent(10, 8)
  one.sent(10, 8)
  t.equal(account.bytes, 5)
  other.add(Buffer.from('hello'))
  other.sent(10, 8)
  t.equal(other.isWhole, false, 'no room for two')
  t.equal(account.bytes, 5)
  other.add(Buffer.from('more'))
  other.sent(10, 8)
  t.strictSame(other.kept, [])
  one.reset()
  other.reset()
  t.equal(account.bytes, 0)
  other.add(Buffer.from('hello'))
  other.sent(10, 8)
  t.ok(other.isWhole)
  other.add(Buffer.from('hello!'))
  other.sent(10, 100)
  t.notOk(other.isWhole, 'past the limit of one request')
  t.equal(account.bytes, 0)
  other.reset()
  t.ok(other.isWhole)
})

t.test('what is sent at once is kept where there is room for it, and else not for a moment', (t) => {
  const account = new ReplayAccount()
  const body = new ReplayBody(account)
  body.addSent(Buffer.from('hello'), 10, 100)
  body.addSent(Buffer.from('hello'), 10, 100)
  t.equal(account.bytes, 10)
  t.equal(body.kept.join(''), 'hellohello')
  for (const text of ['!', 'more']) {
    body.addSent(Buffer.from(text), 10, 100)
    t.notOk(body.isWhole)
    t.strictSame([body.kept, account.bytes], [[], 0], 'what follows takes no room from others either')
  }
  body.reset()
  body.addSent(Buffer.from('hello'), 10, 4)
  t.notOk(body.isWhole, 'nor past the limit of all')
  t.strictSame([body.kept, account.bytes], [[], 0])
  t.end()
})

t.test('a connect that is silent is given up for another instance after a quarter of a second, once', async (t) => {
  const full = await openFullListener()
  const clock = new FakeClock()
  try {
    await withRig({ ports: [full.port], clock, random: () => 0 }, async (rig) => {
      const client = await rig.client()
      await client.send(headText('POST /x HTTP/1.1', 'Host: a.test', 'Content-Length: 0'))
      await until(() => rig.plane.figures().upstream.open === 1)
      clock.advance(200)
      await settle()
      t.equal(rig.backend.connections.length, 0)
      clock.advance(100)
      t.equal((await client.answer()).status, 200)
      t.equal(rig.backend.requests.length, 1)
    })
    await withRig({ ports: [full.port], portsOnly: true, clock }, async (rig) => {
      const client = await rig.client()
      await client.send(get())
      await until(() => rig.plane.figures().upstream.open === 1)
      clock.advance(900)
      await settle()
      t.equal(client.received, '', 'with nobody else to ask it has its whole time')
      clock.advance(200)
      t.equal((await client.answer()).status, 504)
    })
  } finally {
    await full.close()
  }
})

t.test('a connect that was given up for others has its whole time where there are none after all', async (t) => {
  const full = await openFullListener()
  const clock = new FakeClock()
  try {
    for (const gone of ['left', 'refuses'] as const)
      await withRig({ ports: [full.port], clock, random: () => 0 }, async (rig) => {
        const client = await rig.client()
        await client.send(headText('POST /x HTTP/1.1', 'Host: a.test', 'Content-Length: 0'))
        await until(() => rig.plane.figures().upstream.open === 1)
        if (gone === 'refuses') await rig.backend.stopListening()
        else
          applyEndpoints(
            rig.plane,
            endpointsOf(rig.plane).filter(({ port }) => port === full.port),
          )
        clock.advance(300)
        const ended = (): readonly string[] => [...versionOf(rig.plane).attempts.keys()]
        await until(() => ended().includes(gone === 'left' ? 'connect-timeout' : 'refused'))
        clock.advance(900)
        await settle()
        t.equal(client.received, '', gone)
        clock.advance(200)
        t.equal((await client.answer()).status, 504)
        t.match(rig.records, [{ cause: 'connect-timeout', attempts: gone === 'left' ? 2 : 3 }])
      })
  } finally {
    await full.close()
  }
})

t.test('a second connect that is silent has its whole time', async (t) => {
  const full = await openFullListener()
  const clock = new FakeClock()
  const { port } = full
  try {
    await withRig({ ports: [port, port, port], portsOnly: true, clock }, async (rig) => {
      const client = await rig.client()
      await client.send(get())
      await until(() => rig.plane.figures().upstream.open === 1)
      // A quarter of a second, then a second each, the first one again at last.
      clock.advance(3_200)
      await settle()
      t.equal(client.received, '')
      clock.advance(150)
      t.equal((await client.answer()).status, 504)
      t.equal(rig.records[0]?.attempts, 4)
    })
  } finally {
    await full.close()
  }
})

t.test('a body whose end comes between two attempts goes whole to the second', async (t) => {
  const sockets = new ProxySockets()
  t.teardown(() => sockets.stop())
  const health = new ScriptedHealth()
  let dies = true
  const script: BackendScript = {
    onHead: (_head, connection) => {
      if (dies) connection.abort()
      dies = false
    },
    onRequest: (_request, connection) => void connection.send(okAnswer),
  }
  await withRig({ backend: script, siblings: [script], ...health.options }, async (rig) => {
    const client = await rig.client()
    const [head, rest] = [headText('PUT / HTTP/1.1', 'Host: a.test', 'Content-Length: 10'), 'world']
    await client.send(`${head}hello`)
    await until(() => health.proofs.length === 1)
    await client.send(rest)
    await until(() => sockets.toClient(rig).bytesRead === head.length + 10)
    health.proofs[0]?.done(true)
    t.equal((await client.answer()).status, 200)
    t.strictSame(rig.requests.map(framing), ['10 helloworld'])
  })
})

t.test('of a body that nobody can be sent yet no more is read than shows that it comes', async (t) => {
  const sockets = new ProxySockets()
  t.teardown(() => sockets.stop())
  const full = await openFullListener()
  const clock = new FakeClock()
  try {
    await withRig({ ports: [full.port], portsOnly: true, clock }, async (rig) => {
      const client = await rig.client()
      const bytes = 12 << 20
      client.socket.write(headText('POST / HTTP/1.1', 'Host: a.test', `Content-Length: ${bytes}`) + 'x'.repeat(bytes))
      await until(() => sockets.toClient(rig).isPaused(), { what: 'a pause' })
      await settle()
      const read = sockets.toClient(rig).bytesRead
      t.ok(read <= 3 * 65_536, `${read} bytes`)
      clock.advance(2_000)
      t.equal((await client.answer()).status, 504)
    })
  } finally {
    await full.close()
  }
})

t.test(
  'a connect that may take less than a quarter of a second takes no longer for being given up early',
  async (t) => {
    const full = await openFullListener()
    const clock = new FakeClock()
    const policy = { timeouts: { connectMs: 100, firstByteMs: 30_000, idleMs: 60_000 } }
    try {
      await withRig({ ports: [full.port], clock, random: () => 0, policy }, async (rig) => {
        const client = await rig.client()
        await client.send(get())
        await until(() => rig.plane.figures().upstream.open === 1)
        clock.advance(150)
        t.equal((await client.answer()).status, 200)
        t.equal(rig.records[0]?.attempts, 2)
      })
    } finally {
      await full.close()
    }
  },
)
