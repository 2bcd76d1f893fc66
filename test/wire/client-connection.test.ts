import fc from 'fast-check'
import t from 'tap'
import { framing } from '../../src/wire/response-head.ts'
import { sweepMs } from '../../src/wire/deadlines.ts'
import type { WireLimits } from '../../src/wire/limits.ts'
import { cut, headText, places } from '../fixtures/heads.ts'
import { type BackendConnection, type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { settle, turn } from '../fixtures/raw-client.ts'
import {
  Recording,
  type Sending,
  type Sent,
  timeouts,
  type Upstream,
  withUpstream,
} from '../fixtures/upstream-parts.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'

interface Reading {
  readonly name: string
  readonly answer: string
  /** Sent after the answer: FIN. */
  readonly fin?: boolean
  readonly sending?: Sending
  readonly body?: string
  readonly trailers?: string
  readonly failure?: string
  /** Whether the connection can be used again. */
  readonly reused?: boolean
  readonly limits?: Partial<WireLimits>
}

const ok = (...lines: readonly string[]): string => headText('HTTP/1.1 200 OK', ...lines)
const chunked = ok('Transfer-Encoding: chunked')

const readings: readonly Reading[] = [
  { name: 'a length', answer: `${ok('Content-Length: 5')}hello`, body: 'hello', reused: true },
  { name: 'a length of nothing', answer: ok('Content-Length: 0'), body: '', reused: true },
  { name: 'chunks', answer: `${chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, body: 'abcde', reused: true },
  { name: 'chunks and trailers', answer: `${chunked}0\r\nX-A: b\r\nCookie: c\r\n\r\n`, body: '', trailers: 'X-A: b\r\n', reused: true },
  { name: 'a nominated trailer', answer: `${ok('Transfer-Encoding: chunked', 'Connection: x-a')}0\r\nX-A: b\r\nX-B: c\r\n\r\n`, body: '', trailers: 'X-B: c\r\n', reused: true },
  { name: 'to the end', answer: `${ok()}hello`, fin: true, body: 'hello', reused: false },
  { name: 'close', answer: `${ok('Content-Length: 2', 'Connection: close')}ok`, body: 'ok', reused: false },
  { name: '1.0', answer: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', body: 'ok', reused: false },
  { name: '1.0 that stays', answer: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok', body: 'ok', reused: true },
  { name: 'HEAD', answer: ok('Content-Length: 5'), sending: { isHead: true }, body: '', reused: true },
  { name: 'HEAD with a body', answer: `${ok('Content-Length: 5')}hello`, sending: { isHead: true }, body: '', reused: false },
  { name: '204', answer: headText('HTTP/1.1 204 X'), body: '', reused: true },
  { name: '304 with a length', answer: headText('HTTP/1.1 304 X', 'Content-Length: 5'), body: '', reused: true },
  { name: 'more than its length', answer: `${ok('Content-Length: 2')}okHTTP/1.1 200 OK\r\n`, body: 'ok', reused: false },
  { name: 'more than its last chunk', answer: `${chunked}2\r\nok\r\n0\r\n\r\nX`, body: 'ok', reused: false },
  { name: 'to a request that is not complete', answer: `${ok('Content-Length: 2')}ok`, sending: { unfinished: true }, body: 'ok', reused: false },
  { name: 'Keep-Alive: timeout=2', answer: `${ok('Content-Length: 2', 'Keep-Alive: timeout=2')}ok`, body: 'ok', reused: false },
  { name: 'Keep-Alive: timeout=3', answer: `${ok('Content-Length: 2', 'Keep-Alive: timeout=3')}ok`, body: 'ok', reused: true },
  { name: '1xx before it', answer: `${headText('HTTP/1.1 103 X', 'Link: a')}${headText('HTTP/1.1 100 X')}${okAnswer}`, body: 'ok', reused: true },
  { name: 'as many 1xx as may be', answer: headText('HTTP/1.1 102 X').repeat(3) + okAnswer, limits: { informational: 3 }, body: 'ok', reused: true },
  { name: 'one 1xx more', answer: headText('HTTP/1.1 102 X').repeat(4) + okAnswer, limits: { informational: 3 }, failure: 'invalid too-many-1xx' },
  { name: '101 that nobody asked for', answer: headText('HTTP/1.1 101 X', 'Connection: upgrade', 'Upgrade: websocket'), failure: 'invalid unasked-101' },
  { name: '101 to nothing', answer: headText('HTTP/1.1 101 X'), sending: { upgrade: true }, failure: 'invalid unasked-101' },
  { name: '101 that does not nominate its protocol', answer: headText('HTTP/1.1 101 X', 'Connection: x', 'Upgrade: websocket'), sending: { upgrade: true }, failure: 'invalid unasked-101' },
  { name: 'another protocol', answer: 'SSH-2.0-OpenSSH_9.2\r\n', failure: 'invalid status-line' },
  { name: 'bare LF', answer: 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', failure: 'invalid line-end' },
  { name: 'two lengths', answer: ok('Content-Length: 1', 'Content-Length: 2'), failure: 'invalid content-length-twice' },
  { name: 'a bad chunk', answer: `${chunked}x`, failure: 'invalid chunk-size' },
  { name: 'a head at the limit', answer: ok('Content-Length: 0', `A: ${'x'.repeat(59)}`), limits: { headBytes: 102 }, reused: true },
  { name: 'a head past the limit', answer: ok('Content-Length: 0', `A: ${'x'.repeat(60)}`), limits: { headBytes: 102 }, failure: 'invalid head-bytes' },
  { name: 'nothing', answer: '', fin: true, failure: 'closed end' },
  { name: 'half a head', answer: 'HTTP/1.1 200 OK\r\nConte', fin: true, failure: 'closed end' },
  { name: 'half a body', answer: `${ok('Content-Length: 5')}hel`, fin: true, failure: 'closed cut' },
  { name: 'no last chunk', answer: `${chunked}3\r\nabc\r\n`, fin: true, failure: 'closed cut' },
] // prettier-ignore

for (const [how, secure] of [
  ['whole', false],
  ['bytes', false],
  ['whole', true],
  ['bytes', true],
] as const)
  // prettier-ignore
  t.test(`answers, sent ${how === 'whole' ? 'in one piece' : 'byte by byte'}${secure ? ', TLS' : ''}`, async (t) => {
    const tls = secure ? await tlsParts() : undefined
    if (secure && !tls) return t.comment('needs openssl')
    const run = async (reading: Reading): Promise<void> => {
      const { name, answer, fin, sending, limits } = reading
      const failure = secure && name === 'to the end' ? 'closed unproven-end' : reading.failure
      const script: BackendScript = {
        ...(tls && { tls: tls.server }),
        onHead: (_head, connection) =>
          void connection.send(answer, how).then(() => (fin ? connection.end() : undefined)),
      }
      await withUpstream(
        script,
        async (upstream) => {
          const exchange = await upstream.exchange(sending)
          if (failure === undefined) t.equal(exchange.failure?.detail, undefined, `${name}: no failure`)
          else t.equal(`${exchange.failure?.kind} ${exchange.failure?.detail}`, failure, `${name}: failure`)
          if (reading.body !== undefined) t.equal(exchange.body, reading.body, `${name}: body`)
          if (reading.trailers !== undefined) t.equal(exchange.trailers, reading.trailers, `${name}: trailers`)
          // In pieces, surplus may come when the connection rests already; that ends it too, only later.
          const idle = reading.reused === true ? 1 : 0
          // A sweep ends the rest of a connection whose answer announced a body it must not have.
          upstream.clock.advance(sweepMs)
          await until(() => upstream.pool.idle === idle && upstream.pool.open === idle, {
            what: `${name}: ${idle} idle`,
          })
        },
        limits,
        false,
        tls?.client,
      )
    }
    await Promise.all(readings.map(run))
  })

const answers = fc.constantFrom(
  ...readings
    .filter((each) => !each.limits && !each.sending && each.failure !== 'closed end')
    .map((each) => each.answer),
  `${ok('Content-Length: 20000')}${'x'.repeat(20_000)}`,
  `${chunked}2ee0\r\n${'y'.repeat(12_000)}\r\n0\r\n\r\n`,
)

t.test('segments do not matter', async (t) => {
  let script: (connection: BackendConnection) => Promise<void> = () => Promise.resolve()
  await withUpstream({ onHead: (_head, connection) => void script(connection) }, async (upstream) => {
    const read = async (pieces: readonly string[]): Promise<string> => {
      script = async (connection) => {
        for (const piece of pieces) {
          await connection.send(piece)
          await turn()
        }
        connection.end()
      }
      const { head, body, trailers, failure, events } = await upstream.exchange({ fresh: true })
      const failed = failure && `${failure.kind} ${failure.detail}`
      return JSON.stringify([head, body, trailers, failed, events])
    }
    await fc.assert(
      fc.asyncProperty(answers, places, async (answer, at) => {
        const whole = await read([answer])
        const parts = await read(cut(answer, at))
        return whole === parts
      }),
      { numRuns: 60 },
    )
    t.pass()
  })
})

t.test('a connection that is used again has forgotten the request before', async (t) => {
  const answer = `${headText('HTTP/1.1 103 X')}${chunked}3\r\nabc\r\n0\r\n\r\n`
  const script: BackendScript = { onRequest: (_request, connection) => void connection.send(answer) }
  await withUpstream(
    script,
    async (upstream) => {
      for (let each = 0; each < 3; each++) {
        const { exchange, connection } = upstream.send()
        // Paused at its last byte: nobody will resume what is not theirs any more.
        exchange.on.body = () => connection.pause()
        await until(() => exchange.ended)
        t.match(exchange, { failure: undefined, body: 'abc' })
        await until(() => upstream.pool.idle === 1)
      }
      t.equal(upstream.backend.connections.length, 1)
    },
    { informational: 1 },
  )
})

t.test('what a failure says', async (t) => {
  await withUpstream({}, async (upstream) => {
    const exchange = await upstream.exchange()
    t.match(exchange.failure, { kind: 'refused', detail: 'ECONNREFUSED', reused: false, sent: false, received: false })
    t.equal(upstream.pool.open, 0)
  }, {}, true) // prettier-ignore
  await withUpstream({ onRequest: (_request, connection) => connection.abort() }, async (upstream) => {
    t.match((await upstream.exchange()).failure, {
      kind: 'reset',
      detail: 'ECONNRESET',
      reused: false,
      sent: true,
      received: false,
    })
  })
  const twice: BackendScript = {
    onRequest: (_request, connection) => {
      if (connection.requests.length === 1) void connection.send(okAnswer)
      else connection.end()
    },
  }
  await withUpstream(twice, async (upstream) => {
    await upstream.exchange()
    t.match((await upstream.exchange()).failure, { kind: 'closed', reused: true, sent: true, received: false })
  })
  const hint = headText('HTTP/1.1 103 X')
  const cutShort: BackendScript = {
    onRequest: (_request, connection) => void connection.send(hint).then(() => connection.end()),
  }
  await withUpstream(cutShort, async (upstream) => {
    const { failure } = await upstream.exchange()
    t.match(failure, { kind: 'closed', sent: true, received: false }, 'a 1xx is none of the final answer')
  })
  const begun: BackendScript = {
    onRequest: (_request, connection) => void connection.send(`${hint}HTTP/1`).then(() => connection.end()),
  }
  await withUpstream(begun, async (upstream) => {
    t.match((await upstream.exchange()).failure, { kind: 'closed', sent: true, received: true })
  })
})

t.test('timeouts', async (t) => {
  const silent: BackendScript = { onRequest: () => undefined }
  await withUpstream(silent, async (upstream) => {
    const { exchange } = upstream.send()
    upstream.clock.advance(timeouts.connectMs + 100)
    t.match(exchange.failure, { kind: 'connect-timeout', sent: false }, 'no connection, as far as is known')
  })
  await withUpstream(silent, async (upstream) => {
    const { exchange } = upstream.send()
    await until(() => upstream.backend.requests.length === 1)
    upstream.clock.advance(timeouts.firstByteMs - 100)
    t.equal(exchange.failure, undefined)
    upstream.clock.advance(200)
    t.match(exchange.failure, { kind: 'first-byte-timeout', sent: true, received: false })
  })
  const stuck: BackendScript = {
    onRequest: (_request, connection) => void connection.send(`${ok('Content-Length: 5')}he`),
  }
  await withUpstream(stuck, async (upstream) => {
    const { exchange } = upstream.send()
    await until(() => exchange.body === 'he')
    upstream.clock.advance(timeouts.idleMs - 100)
    await upstream.backend.connections[0]?.send('l')
    await until(() => exchange.body === 'hel')
    upstream.clock.advance(timeouts.idleMs - 100)
    t.equal(exchange.failure, undefined, 'a byte starts it anew')
    upstream.clock.advance(200)
    t.match(exchange.failure, { kind: 'idle-timeout', received: true })
  })
})

t.test('the time to the answer begins when the request is complete', async (t) => {
  await withUpstream({ onRequest: () => undefined }, async (upstream) => {
    const text = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n'
    const { exchange, connection } = upstream.send({ text, unfinished: true })
    await until(() => exchange.events.includes('connected'))
    upstream.clock.advance(60_000)
    t.equal(exchange.failure, undefined, 'a slow client is not the upstream')
    connection.writeBytes(Buffer.from('a'))
    upstream.clock.advance(60_000)
    connection.writeBytes(Buffer.from('b'))
    connection.requestDone()
    upstream.clock.advance(timeouts.firstByteMs - 100)
    t.equal(exchange.failure, undefined)
    upstream.clock.advance(200)
    t.match(exchange.failure, { kind: 'first-byte-timeout' })
  })
})

t.test('an upstream that takes no bytes of an upload is timed out', async (t) => {
  await withUpstream({ deaf: true }, async (upstream) => {
    const { exchange, connection } = upstream.send({ text: 'POST / HTTP/1.1\r\n', unfinished: true })
    await until(() => exchange.events.includes('connected'))
    t.equal(connection.writeBytes(Buffer.alloc(64 * 1_048_576)), false, 'more than the kernels hold')
    await settle(20)
    upstream.clock.advance(timeouts.idleMs - 100)
    t.equal(exchange.failure, undefined)
    upstream.clock.advance(200)
    t.match(exchange.failure, { kind: 'first-byte-timeout' })
  })
})

/** Reads nothing until its socket is resumed. */
const slow: BackendScript = { sink: true, onConnect: ({ socket }) => void socket.pause() }

/** Writes more than the kernels hold. */
async function stalled(upstream: Upstream): Promise<Sent> {
  const sent = upstream.send({ text: 'POST / HTTP/1.1\r\n', unfinished: true })
  await until(() => sent.exchange.events.includes('connected') && upstream.backend.connections.length === 1)
  if (sent.connection.writeBytes(Buffer.alloc(32 * 1_048_576))) throw new Error('it was taken')
  return sent
}

async function taken({ backend }: Upstream, { exchange }: Sent): Promise<void> {
  backend.connections[0]?.socket.resume()
  await until(() => exchange.events.includes('writable'))
}

t.test('an upstream that takes bytes again has as long as the client needs for the rest', async (t) => {
  await withUpstream(slow, async (upstream) => {
    const sent = await stalled(upstream)
    await taken(upstream, sent)
    upstream.clock.advance(60_000)
    t.equal(sent.exchange.failure, undefined)
    sent.connection.requestDone()
    upstream.clock.advance(timeouts.firstByteMs + 100)
    t.match(sent.exchange.failure, { kind: 'first-byte-timeout' })
  })
})

t.test('once all of an upload is handed over, that it was taken gives an answer no more time', async (t) => {
  await withUpstream(slow, async (upstream) => {
    const sent = await stalled(upstream)
    sent.connection.requestDone()
    await taken(upstream, sent)
    upstream.clock.advance(timeouts.firstByteMs + 100)
    t.match(sent.exchange.failure, { kind: 'first-byte-timeout' })
  })
  await withUpstream(slow, async (upstream) => {
    const sent = await stalled(upstream)
    await upstream.backend.connections[0]?.send(`${ok('Content-Length: 9')}abc`)
    await until(() => sent.exchange.body === 'abc')
    await taken(upstream, sent)
    upstream.clock.advance(timeouts.idleMs + 100)
    t.match(sent.exchange.failure, { kind: 'idle-timeout' })
  })
})

t.test('a request that goes on beside a paused answer starts no time', async (t) => {
  const script: BackendScript = {
    deaf: true,
    onConnect: (connection) => void connection.send(`${ok('Content-Length: 9')}abc`),
  }
  await withUpstream(script, async (upstream) => {
    const { exchange, connection } = upstream.send({ text: 'POST / HTTP/1.1\r\n', unfinished: true })
    await until(() => exchange.body === 'abc')
    connection.pause()
    t.equal(connection.writeBytes(Buffer.alloc(64 * 1_048_576)), false, 'more than the kernels hold')
    upstream.clock.advance(60_000)
    t.equal(exchange.failure, undefined)
    connection.requestDone()
    upstream.clock.advance(60_000)
    t.equal(exchange.failure, undefined)
    connection.cancel()
  })
})

t.test('resuming what is not paused gives no more time', async (t) => {
  const script: BackendScript = {
    onRequest: (_request, connection) => void connection.send(`${ok('Content-Length: 9')}abc`),
  }
  await withUpstream(script, async (upstream) => {
    const { exchange, connection } = upstream.send()
    await until(() => exchange.body === 'abc')
    upstream.clock.advance(timeouts.idleMs - 500)
    connection.resume()
    upstream.clock.advance(600)
    t.match(exchange.failure, { kind: 'idle-timeout' })
  })
})

t.test('a paused answer is neither read nor timed out', async (t) => {
  const size = 8 * 1_048_576
  const script: BackendScript = {
    onRequest: (_request, connection) => void connection.send(ok(`Content-Length: ${size}`) + 'x'.repeat(size)),
  }
  await withUpstream(script, async (upstream) => {
    const { exchange, connection } = upstream.send()
    exchange.on.head = () => connection.pause()
    await until(() => exchange.head !== undefined)
    await settle(20)
    const before = exchange.body.length
    t.ok(before <= 65_536, 'what one read brought')
    upstream.clock.advance(100_000)
    await settle(20)
    t.equal(exchange.body.length, before)
    t.equal(exchange.failure, undefined)
    connection.resume()
    await until(() => exchange.ended)
    t.equal(exchange.body.length, size)
    t.equal(upstream.pool.idle, 1)
  })
})

t.test('what TLS still brings of a paused answer starts no time', async (t) => {
  const tls = await tlsParts()
  if (!tls) return t.comment('needs openssl')
  const size = 1_048_576
  const script: BackendScript = {
    tls: tls.server,
    onRequest: (_request, connection) => void connection.send(ok(`Content-Length: ${size}`) + 'x'.repeat(size)),
  }
  await withUpstream(
    script,
    async (upstream) => {
      const { exchange, connection } = upstream.send()
      exchange.on.head = () => connection.pause()
      await until(() => exchange.head !== undefined)
      await settle(20)
      upstream.clock.advance(100_000)
      t.equal(exchange.failure, undefined)
      connection.resume()
      await until(() => exchange.ended)
      t.equal(exchange.body.length, size)
    },
    {},
    false,
    tls.client,
  )
})

for (const [name, body] of [
  ['Content-Length: 5', 'hello'],
  ['Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
] as const)
  t.test(`an exchange that gives up at its last byte (${name}) leaves no connection behind`, async (t) => {
    const script: BackendScript = { onRequest: (_request, connection) => void connection.send(ok(name)) }
    await withUpstream(script, async (upstream) => {
      const { exchange, connection } = upstream.send()
      exchange.on.body = () => connection.cancel()
      await until(() => exchange.head !== undefined)
      await upstream.backend.connections[0]?.send(body)
      await until(() => exchange.body === 'hello')
      await settle()
      t.notOk(exchange.ended)
      t.strictSame([upstream.pool.open, upstream.pool.idle], [0, 0])
    })
  })

t.test('a cancelled exchange hears nothing more, and its connection is gone', async (t) => {
  const script: BackendScript = {
    onRequest: (each, connection) => void (each.startLine.includes('/silent') ? undefined : connection.send(okAnswer)),
  }
  await withUpstream(script, async (upstream) => {
    const connecting = upstream.send()
    connecting.connection.cancel()
    t.equal(upstream.pool.open, 0)
    const sent = upstream.send({ text: 'GET /silent HTTP/1.1\r\nHost: a.test\r\n\r\n' })
    await until(() => sent.exchange.events.includes('connected'))
    sent.connection.cancel()
    const inHead = new Recording()
    const third = upstream.send({ exchange: inHead })
    inHead.on.head = () => third.connection.cancel()
    await until(() => inHead.head !== undefined)
    await until(() => upstream.backend.openConnections === 0)
    await settle()
    t.strictSame(connecting.exchange.events, [])
    t.strictSame(sent.exchange.events, ['connected'])
    t.equal(inHead.head?.framing, framing.length)
    t.equal(upstream.pool.open, 0)
  })
})

t.test('an answer that overtakes its request leaves no connection to use again', async (t) => {
  await withUpstream({ deaf: true }, async (upstream) => {
    const { exchange, connection } = upstream.send({ text: 'POST / HTTP/1.1\r\n', unfinished: true })
    await until(() => exchange.events.includes('connected'))
    t.equal(connection.writeBytes(Buffer.alloc(64 * 1_048_576)), false, 'more than the kernels hold')
    connection.requestDone()
    await until(() => upstream.backend.connections.length === 1)
    await upstream.backend.connections[0]?.send(`${ok('Content-Length: 2')}ok`)
    await until(() => exchange.ended)
    t.same([exchange.body, upstream.pool.idle, upstream.pool.open], ['ok', 0, 0])
  })
})

t.test('a connection that the upstream wants to keep for no time is not kept until the next sweep', async (t) => {
  const script: BackendScript = {
    onRequest: (_request, connection) => void connection.send(`${ok('Content-Length: 2', 'Keep-Alive: timeout=2')}ok`),
  }
  await withUpstream(script, async (upstream) => {
    await upstream.exchange()
    t.same([upstream.pool.idle, upstream.pool.open], [0, 0])
  })
})

t.test('whoever owns a connection hears once that it is gone, however often it is ended', async (t) => {
  await withUpstream({}, async (upstream) => {
    const { pool, backend } = upstream
    const told: boolean[] = []
    const gone = pool.gone.bind(pool)
    pool.gone = (connection, wasIdle) => {
      told.push(wasIdle)
      gone(connection, wasIdle)
    }
    const { exchange, connection } = upstream.send()
    await until(() => exchange.ended)
    connection.cancel()
    connection.destroy()
    await until(() => backend.connections[0]?.closed)
    await settle()
    t.same(told, [true])
  })
})
