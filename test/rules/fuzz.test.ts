/**
 * Random damage to messages in both directions, in random segments: nothing crashes, everything ends, nothing unsound
 * is sent on, nothing is left behind, and what happens does not depend on how the bytes were cut into segments.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { okAnswer } from '../fixtures/raw-backend.ts'
import { turn, type RawClient } from '../fixtures/raw-client.ts'
import { createRig, type Rig } from '../fixtures/rig.ts'
import { expectServed, get, head } from '../fixtures/rules.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

/** For each property; a longer run is asked for with FUZZ_MS. */
const timeLimitMs = Number(process.env['FUZZ_MS'] ?? 1_600)
const settings = { numRuns: 100_000, interruptAfterTimeLimit: timeLimitMs, endOnFailure: false }

const requests = [
  get,
  head('GET /two?x=y HTTP/1.1', 'X-Long: some value, another', 'Cookie: a=b; c=d'),
  head('HEAD / HTTP/1.1', 'Accept: */*'),
  head('GET / HTTP/1.0', 'Connection: keep-alive'),
  `${head('POST / HTTP/1.1', 'Content-Length: 5')}hello`,
  `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n`,
  `${head('PUT /p HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5')}hello`,
  `${get}${head('POST / HTTP/1.1', 'Content-Length: 2')}hi${get}`,
  'GET http://a.test/p HTTP/1.1\r\nHost: a.test\r\n\r\n',
  head(
    'GET / HTTP/1.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ),
  head('OPTIONS * HTTP/1.1', 'Max-Forwards: 3', 'Via: 1.1 x', 'Connection: X-Hop, close', 'X-Hop: 1'),
  head('GET / HTTP/1.1', 'TE: trailers', 'X-Forwarded-For: 1.2.3.4', 'Forwarded: for=1.2.3.4'),
]

const answers = [
  okAnswer,
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.1 200 OK\r\nX: y\r\n\r\nto the end',
  'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
  `HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n${okAnswer}`,
  'HTTP/1.1 404 Not Found\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 4\r\n\r\ngone',
  'HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n',
]

const pieces = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '%',
  '/',
  '..',
  '0',
  '1',
  '5',
  'f',
  'x',
  '\x7f',
  '\xff',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  'HTTP/1.1',
  'HTTP/1.0',
  'chunked',
  'close',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b.test\r\n',
  'Connection: close\r\n',
  'Connection: Content-Length\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: websocket\r\n',
  'X'.repeat(300),
]

interface Damage {
  readonly at: number
  readonly kind: 'insert' | 'delete' | 'replace' | 'repeat' | 'truncate'
  readonly length: number
  readonly piece: string
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom('insert', 'insert', 'delete', 'replace', 'repeat', 'truncate' as const),
  length: fc.integer({ min: 1, max: 12 }),
  piece: fc.oneof(
    fc.constantFrom(...pieces),
    fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  ),
})

function apply(text: string, all: readonly Damage[]): string {
  let damaged = text
  for (const { at, kind, length, piece } of all) {
    const where = Math.floor(at * damaged.length)
    const before = damaged.slice(0, where)
    if (kind === 'insert') damaged = before + piece + damaged.slice(where)
    else if (kind === 'delete') damaged = before + damaged.slice(where + length)
    else if (kind === 'replace') damaged = before + piece + damaged.slice(where + piece.length)
    else if (kind === 'repeat') damaged = before + damaged.slice(where, where + length) + damaged.slice(where)
    else damaged = before
  }
  return damaged
}

const damaged = (from: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...from), fc.array(damage, { minLength: 0, maxLength: 3 }))
    .map(([text, all]) => apply(text, all))

/** Where to cut, as shares of the length. */
const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 })

function segments(text: string, at: readonly number[]): string[] {
  const bounds = [0, ...at.map((share) => Math.floor(share * text.length)).sort((a, b) => a - b), text.length]
  return bounds.slice(1).map((end, i) => text.slice(bounds[i], end))
}

async function sendCut(send: (bytes: string) => Promise<void>, text: string, at: readonly number[]): Promise<void> {
  for (const segment of segments(text, at)) {
    if (segment === '') continue
    await send(segment)
    await turn()
  }
}

let rigs = 0

async function withOneRig<T>(rig: Rig, run: () => Promise<T>): Promise<T> {
  rigs++
  try {
    const result = await run()
    await rig.close()
    return result
  } catch (error) {
    await rig.abandon()
    throw error
  }
}

/** What a client that sends these bytes and then FIN sees, and what the backends got. */
async function requestOutcome(text: string, at: readonly number[]): Promise<unknown> {
  const rig = await createRig()
  return withOneRig(rig, async () => {
    const client = await rig.client()
    await sendCut((bytes) => client.send(bytes), text, at)
    client.end()
    await client.wait('the end', () => !client.open)
    assert.equal(client.reset, false, 'the client is never reset')
    return {
      answers: [...client.received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => match[1]),
      backends: rig.requests.map((request) => [request.startLine, request.body]),
    }
  })
}

async function answerOutcome(client: RawClient): Promise<unknown> {
  try {
    const answer = await client.answer()
    if (value(answer.fields, 'proxy-status') !== undefined) return 'failed'
    if (answer.framing === 'close' && client.reset) return 'failed'
    return [answer.status, answer.body]
  } catch (error) {
    // Cut is one thing, nonsense another: the client is never sent bytes that cannot be read.
    assert.match(String(error), /connection ended before the answer was complete/)
    return 'failed'
  }
}

/** What a client sees when its backend answers with these bytes and then FIN. */
async function backendOutcome(text: string, at: readonly number[]): Promise<unknown> {
  const rig = await createRig({
    backend: {
      onRequest: (_request, connection) => {
        if (connection.index > 0) return void connection.send(okAnswer)
        return void sendCut((bytes) => connection.send(bytes), text, at).then(() => connection.end())
      },
    },
    policy: { retry: { attempts: 1, budget: 0, bodyBytes: 0 } },
  })
  return withOneRig(rig, async () => {
    const client = await rig.client()
    await client.send(get)
    const outcome = await answerOutcome(client)
    await expectServed(rig, await rig.client())
    return outcome
  })
}

await t.test('damaged requests', async () => {
  await fc.assert(
    fc.asyncProperty(damaged(requests), cuts, async (text, at) => {
      assert.deepEqual(await requestOutcome(text, at), await requestOutcome(text, []))
    }),
    settings,
  )
})

await t.test('damaged answers', async () => {
  await fc.assert(
    fc.asyncProperty(damaged(answers), cuts, async (text, at) => {
      assert.deepEqual(await backendOutcome(text, at), await backendOutcome(text, []))
    }),
    settings,
  )
})

await t.test('noise', async () => {
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
  await fc.assert(
    fc.asyncProperty(noise, cuts, async (text, at) => {
      await requestOutcome(text, at)
      await backendOutcome(text, at)
    }),
    { ...settings, interruptAfterTimeLimit: timeLimitMs / 2 },
  )
})

await t.test('nothing is left behind', async (t) => {
  const left = (): string[] => process.getActiveResourcesInfo().filter((name) => /^(TCP|Timeout)/.test(name))
  await until(() => left().length === 0, { what: 'no socket and no timer' })
  t.same(left(), [])
  // How many depends on the machine; each property has tried some.
  t.ok(rigs >= 3, `${rigs} proxies were tried`)
})
