import fc from 'fast-check'
import t from 'tap'
import type { WireLimits } from '../../src/wire/limits.ts'
import { type Serving, withSide } from '../fixtures/downstream-parts.ts'
import { cut, headText, likelyRequest, nearlyHttp, places } from '../fixtures/heads.ts'
import { settle, turn } from '../fixtures/raw-client.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const post = (...lines: readonly string[]): string => headText('POST / HTTP/1.1', 'Host: a', ...lines)
const get = (target = '/', ...lines: readonly string[]): string =>
  headText(`GET ${target} HTTP/1.1`, 'Host: a', ...lines)

t.test('requests one after the other, and several at once in their order', async (t) => {
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    await client.send(get('/1'))
    t.equal((await client.answer()).body, 'ok')
    t.ok(serving.connection.isIdle)
    side.serve = (each) => each.answer(each.last?.head.target)
    await client.send(
      get('/2') +
        post('Content-Length: 5') +
        'hello' +
        get('/3') +
        post('Transfer-Encoding: chunked') +
        '1\r\na\r\n0\r\n\r\n',
    )
    for (const body of ['/2', '/', '/3', '/']) t.equal((await client.answer()).body, body)
    t.strictSame(
      serving.seen.map((each) => each.body),
      ['', '', 'hello', '', 'a'],
    )
    t.equal(client.received.length, client.consumed)
  })
})

t.test('the next request waits for the answer to the one before, and too many bytes of it are not read', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    const { client, serving } = await side.client()
    await client.send(get('/1') + get('/2'))
    await until(() => serving.events.length === 1)
    await client.send(get('/3', `X: ${'x'.repeat(8_000)}`).repeat(400))
    await settle(40)
    t.strictSame(serving.events, ['GET /1'])
    t.ok(serving.bytesRead < 2_000_000, `${serving.bytesRead} of 3.2 MB were read`)
    side.serve = (each) => each.answer('')
    serving.answer()
    await until(() => serving.events.length === 402)
    t.ok(client.open)
  }, { pipelinedBytes: 4_096 }) // prettier-ignore
})

t.test('what ends a connection', async (t) => {
  const closings: readonly (readonly [name: string, text: string, event: string, limits?: Partial<WireLimits>])[] = [
    ['Connection: close', get('/', 'Connection: close'), 'GET /'],
    ['HTTP/1.0', headText('GET / HTTP/1.0'), 'GET /'],
    ['a head that is none', 'GET /\r\n\r\n', 'refused 400 request-line'],
    ['a first byte that begins no method', '\x16\x03\x01', 'refused 400 method'],
    ['two empty lines', `\r\n\r\n${get()}`, 'refused 400 request-line'],
    ['bare LF', 'GET / HTTP/1.1\nHost: a\n\n', 'refused 400 line-end'],
    ['a target without end', `GET /${'a'.repeat(200)}`, 'refused 414 target-length', { targetBytes: 100 }],
    ['a head without end', get('/', `X: ${'x'.repeat(200)}`).slice(0, -4), 'refused 431 head-bytes', { headBytes: 100 }],
    ['a body that is announced too large', post('Content-Length: 11'), 'refused 413 body-bytes', { bodyBytes: 10 }],
    ['a body that turns out too large', `${post('Transfer-Encoding: chunked')}b\r\n${'x'.repeat(11)}\r\n`, 'body refused 413 body-bytes', { bodyBytes: 10 }],
    ['a body that is malformed', `${post('Transfer-Encoding: chunked')}x\r\n`, 'body refused 400 chunk-size'],
  ] // prettier-ignore
  const run = async ([name, text, event, limits]: (typeof closings)[number]): Promise<void> => {
    await withSide(async (side) => {
      const { client, serving } = await side.client()
      await client.send(text)
      const answer = await client.answer()
      t.equal(value(answer.fields, 'connection'), 'close', name)
      t.equal(serving.events.at(-1), event, name)
      await client.send(get('/ignored'))
      await client.closedByPeer()
      t.notOk(serving.events.includes('GET /ignored'), `${name}: nothing after it is served`)
      client.end()
      await until(() => side.closedCount === 1)
    }, limits)
  }
  await Promise.all(closings.map(run))
})

t.test('one empty line before a request is forgiven', async (t) => {
  await withSide(async (side) => {
    const { client } = await side.client()
    await client.send(`\r\n${get()}\r\n${get()}`, 'bytes')
    await client.answer()
    await client.answer()
    t.pass()
  })
})

t.test('after an error the client may go on sending for a while and still gets its answer', async (t) => {
  await withSide(async (side) => {
    const { client } = await side.client()
    await client.send(post('Content-Length: 4000000'))
    await client.send('x'.repeat(3_000_000))
    t.equal((await client.answer()).status, 413)
    await client.closedByPeer()
    side.clock.advance(side.limits.lingerTimeoutMs + 100)
    await until(() => side.closedCount === 1)
  }, { bodyBytes: 10, lingerBytes: 8_000_000 }) // prettier-ignore
  await withSide(async (side) => {
    const { client } = await side.client()
    await client.send(`${post('Content-Length: 4000000')}${'x'.repeat(3_000_000)}`)
    await until(() => side.closedCount === 1, { what: 'but not without end' })
    t.pass()
  }, { bodyBytes: 10, lingerBytes: 100_000 }) // prettier-ignore
})

t.test('a client that leaves', async (t) => {
  const leavings: readonly (readonly [name: string, text: string, wanted: readonly string[]])[] = [
    ['before a request', '', []],
    ['in a head', 'GET / HT', []],
    ['in a body', `${post('Content-Length: 5')}ab`, ['POST /', 'gone']],
    ['before its answer', get(), ['GET /', 'gone']],
  ]
  for (const [name, text, wanted] of leavings)
    await withSide(async (side) => {
      side.serve = () => undefined
      const { client, serving } = await side.client()
      await client.send(text)
      await until(() => serving.bytesRead === text.length && serving.events.length >= wanted.length - 1)
      client.abort()
      await until(() => side.closedCount === 1)
      t.strictSame(serving.events, wanted, name)
    })
  await withSide(async (side) => {
    side.serve = () => undefined
    const { client, serving } = await side.client()
    await client.send(get())
    client.end()
    await until(() => serving.events.length === 1)
    await settle()
    serving.answer()
    t.equal((await client.answer()).body, 'ok', 'one that only says that it sends no more gets its answer')
    await client.closedByPeer()
    t.strictSame(serving.events, ['GET /'])
  })
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    await client.send(`${post('Content-Length: 5')}ab`)
    client.end()
    await until(() => side.closedCount === 1)
    t.strictSame(serving.events, ['POST /', 'gone'], 'one that says so too early is gone')
  })
})

t.test('a client that sent all it had, and said so, is answered in full and closed', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    const { client, serving } = await side.client()
    await client.send(get('/1') + get('/2') + get('/3'))
    client.end()
    await until(() => serving.events.length === 1)
    await settle()
    side.serve = (each) => each.answer()
    serving.answer()
    for (let each = 0; each < 3; each++) await client.answer()
    await client.closedByPeer()
    await until(() => side.closedCount === 1, { what: 'no clock is needed for that' })
    t.strictSame(serving.events, ['GET /1', 'GET /2', 'GET /3'])
  })
})

t.test('a connection that was not read for too many bytes still notices its end', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    const { client, serving } = await side.client()
    await client.send(get('/', 'Connection: close') + get('/', `X: ${'x'.repeat(900_000)}`))
    client.end()
    await until(() => serving.events.length === 1)
    await settle()
    serving.answer()
    await client.answer()
    await until(() => side.closedCount === 1, { what: 'no clock is needed for that' })
    t.strictSame(serving.events, ['GET /'])
  }, { pipelinedBytes: 1_000 }) // prettier-ignore
})

t.test('an answer that is aborted is seen to be cut', async (t) => {
  for (const reset of [false, true])
    await withSide(async (side) => {
      side.serve = (each) => {
        each.connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc')
      }
      const { client, serving } = await side.client()
      await client.send(get())
      await client.wait('some of it', () => client.received.endsWith('abc'))
      serving.connection.abort(reset)
      await client.wait('the end', () => !client.open)
      t.equal(client.reset, reset)
      t.strictSame(serving.events, ['GET /'], 'whoever aborts need not be told')
      serving.connection.finish(true)
      serving.connection.abort(true)
      t.equal(side.closedCount, 1)
    })
})

t.test('drain ends a connection whose last answer has not left yet', async (t) => {
  await withSide(async (side) => {
    const size = 16 * 1_048_576
    side.serve = (each) => each.answer('x'.repeat(size))
    const { client, serving } = await side.client()
    client.socket.pause()
    await client.send(get())
    await until(() => serving.events.length === 1)
    side.draining = true
    serving.connection.drain()
    client.socket.resume()
    await client.wait('the end', () => !client.open)
    t.notOk(client.reset)
    t.ok(client.received.length > size, 'all of it came')
  })
})

t.test('an answer that said close is the last, even if the request was complete in the meantime', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    side.onHead = (each) =>
      void each.connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n')
    const { client, serving } = await side.client()
    await client.send(post('Content-Length: 5'))
    await until(() => client.received !== '')
    await client.send(`hello${get('/ignored')}`)
    await until(() => serving.last?.complete)
    serving.connection.write('ok')
    serving.connection.finish(false)
    t.equal((await client.answer()).body, 'ok')
    await client.closedByPeer()
    t.strictSame(serving.events, ['POST /'])
  })
})

for (const [name, text] of [
  ['complete', `${post('Content-Length: 5')}hello`],
  ['malformed', `${post('Transfer-Encoding: chunked')}5\r\nhello\r\nx\r\n`],
] as const)
  t.test(`a connection that is aborted in its body tells nothing of the rest (${name})`, async (t) => {
    await withSide(async (side) => {
      let served = 0
      side.serve = () => served++
      side.onBody = (each) => each.connection.abort(false)
      const { client, serving } = await side.client()
      await client.send(text)
      await client.wait('the end', () => !client.open)
      t.strictSame(serving.events, ['POST /'])
      t.equal(served, 0)
      t.equal(side.closedCount, 1)
    })
  })

t.test('a tunnel learns of an end that came before it', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    const { client, serving } = await side.client()
    await client.send(get())
    client.end()
    await until(() => serving.events.length === 1)
    await settle(20)
    serving.connection.startTunnel()
    t.strictSame(serving.events, ['GET /', 'tunnel end'])
    serving.connection.abort(false)
  })
})

t.test('drain ends the idle at once and the others with their answer', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    const idle = await side.client()
    const busy = await side.client()
    await busy.client.send(get('/1') + get('/2'))
    await until(() => busy.serving.events.length === 1)
    side.clock.advance(1_000)
    side.draining = true
    for (const { connection } of side.all) connection.drain()
    await idle.client.closedByPeer()
    t.notOk(busy.serving.connection.mayPersist)
    busy.serving.answer()
    t.equal(value((await busy.client.answer()).fields, 'connection'), 'close')
    await busy.client.closedByPeer()
    t.strictSame(busy.serving.events, ['GET /1'])
  })
})

t.test('drain waits a second for the first request of a connection that has just come', async (t) => {
  await withSide(async (side) => {
    const late = await side.client()
    const silent = await side.client()
    side.draining = true
    for (const { connection } of side.all) connection.drain()
    await late.client.send(get('/first'))
    t.equal(value((await late.client.answer()).fields, 'connection'), 'close')
    await late.client.closedByPeer()
    t.ok(silent.client.open)
    side.clock.advance(1_050)
    await silent.client.closedByPeer()
  })
})

t.test('who is to go elsewhere is told so with its next answer, and not before', async (t) => {
  await withSide(async (side) => {
    const { client } = await side.client()
    await client.send(get('/1'))
    t.equal(value((await client.answer()).fields, 'connection'), undefined)
    side.leaving = true
    await client.send(get('/2'))
    t.equal(value((await client.answer()).fields, 'connection'), 'close')
    await client.closedByPeer()
  })
})

t.test('a tunnel: what was sent too early comes first, half-close, its own timeout', async (t) => {
  await withSide(async (side) => {
    side.serve = () => undefined
    const { client, serving } = await side.client()
    await client.send(`${get()}early`)
    await until(() => serving.events.length === 1)
    await settle()
    serving.connection.write('HTTP/1.1 101 X\r\n\r\n')
    serving.connection.startTunnel()
    t.equal(serving.tunnel, 'early')
    await client.send('late')
    await until(() => serving.tunnel === 'earlylate')
    side.clock.advance(900)
    serving.connection.touchTunnel()
    side.clock.advance(900)
    client.end()
    await until(() => serving.events.includes('tunnel end'))
    serving.connection.write('bye')
    serving.connection.endTunnel()
    await client.wait('the end', () => client.finished)
    t.ok(client.received.endsWith('bye'))
  }, { tunnelIdleTimeoutMs: 1_000 }) // prettier-ignore
  await withSide(async (side) => {
    side.serve = (each) => each.connection.startTunnel()
    const { client, serving } = await side.client()
    await client.send(get())
    await until(() => serving.events.length === 1)
    side.clock.advance(1_100)
    t.strictSame(serving.events, ['GET /', 'gone'], 'silence ends it')
  }, { tunnelIdleTimeoutMs: 1_000 }) // prettier-ignore
})

const stream = fc
  .array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: likelyRequest.map((text) => (/chunked/i.test(text) ? `${text}3\r\nabc\r\n0\r\n\r\n` : text)),
      },
      { weight: 2, arbitrary: fc.constant(`${post('Content-Length: 5')}hello`) },
      { weight: 1, arbitrary: nearlyHttp },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((texts) => texts.join(''))

t.test('segments do not matter', async (t) => {
  await withSide(async (side) => {
    const read = async (pieces: readonly string[]): Promise<string> => {
      const { client, serving } = await side.client()
      for (const piece of pieces) {
        await client.send(piece)
        await turn()
      }
      client.end()
      await client.wait('the end', () => !client.open)
      const events = serving.events.map((event) => event.replace(/^(.*refused \d+) .*$/, '$1'))
      return JSON.stringify([
        events,
        serving.seen.map((each: Serving['seen'][number]) => [each.head, each.body, each.complete]),
      ])
    }
    await fc.assert(
      fc.asyncProperty(stream, places, async (text, at) => {
        const whole = await read([text])
        const parts = await read(cut(text, at))
        if (whole !== parts) throw new Error(`${whole}\n${parts}`)
      }),
      { numRuns: 150 },
    )
    t.pass()
  })
})
