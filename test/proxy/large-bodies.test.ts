/**
 * Bodies of many reads, whose memory is given back as soon as nobody keeps it: whatever waits on the way, be it the socket, the
 * end of a turn, the next request or another attempt, each byte arrives as it was sent.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { headText } from '../fixtures/heads.ts'
import { withRig } from '../fixtures/plane-parts.ts'
import type { BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'

/** No two pieces of it are alike. */
function textOf(bytes: number, salt: number): string {
  let text = ''
  for (let at = 0; text.length < bytes; at++) text += `${((at + salt) * 2_654_435_761) >>> 0},`
  return text.slice(0, bytes)
}

/** In chunks of so many bytes. */
function inChunks(text: string, size: number): string {
  let chunks = ''
  for (let at = 0; at < text.length; at += size) {
    const piece = text.slice(at, at + size)
    chunks += `${piece.length.toString(16)}\r\n${piece}\r\n`
  }
  return `${chunks}0\r\n\r\n`
}

const request = (text: string, chunk: number): string =>
  chunk > 0
    ? headText('POST /x HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked') + inChunks(text, chunk)
    : headText('POST /x HTTP/1.1', 'Host: a.test', `Content-Length: ${text.length}`) + text

/** Takes nothing of a body until its reader is let go on. */
const slow: BackendScript = { onConnect: (connection) => void connection.socket.pause() }

void t.test(
  'bodies of any size and framing, one behind the other, however they are cut and whoever waits',
  async (t) => {
    const parts = await tlsParts()
    if (!parts) t.comment('with openssl also by TLS')
    const one = fc.record({
      bytes: fc.integer({ min: 1, max: 300_000 }),
      chunk: fc.oneof(fc.constant(0), fc.integer({ min: 2_000, max: 100_000 })),
    })
    const cut = fc.integer({ min: 2_000, max: 150_000 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(one, { minLength: 1, maxLength: 3 }),
        fc.array(cut, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        parts ? fc.boolean() : fc.constant(false),
        async (bodies, cuts, waits, secure) => {
          const texts = bodies.map(({ bytes }, at) => textOf(bytes, at * 1_000_003))
          const sent = texts.map((text, at) => request(text, bodies[at]?.chunk ?? 0)).join('')
          const tls = secure && parts ? parts : undefined
          const backend = { ...(waits ? slow : {}), ...(tls && { tls: tls.server }) }
          const policy = tls ? { tls: { ...tls.client, files: undefined } } : {}
          await withRig({ backend, policy }, async (rig) => {
            const client = await rig.client()
            for (let at = 0, n = 0; at < sent.length; n++) {
              const end = at + (cuts[n % cuts.length] ?? 1)
              client.socket.write(sent.slice(at, end), 'latin1')
              at = end
              await turn()
            }
            await settle()
            rig.backend.script = { ...backend, onConnect: () => undefined }
            for (const { socket } of rig.backend.connections) socket.resume()
            await until(() => rig.backend.requests.length === texts.length, { what: 'all bodies arrive' })
            for (const [at, { body }] of rig.backend.requests.entries())
              if (body !== texts[at]) throw new Error(`body ${at} is not what was sent`)
          })
        },
      ),
      { numRuns: 60 },
    )
  },
)

void t.test('what the first instance took and did not answer comes whole to the second', async (t) => {
  const dies: BackendScript = { onRequest: (_, connection) => connection.abort() }
  const text = textOf(20_000, 7)
  const head = headText('PUT /x HTTP/1.1', 'Host: a.test', `Content-Length: ${text.length}`, 'Idempotency-Key: 1')
  const policy = { retry: { attempts: 3, budget: 1, bodyBytes: 65_536 } }
  await withRig({ backend: dies, siblings: [{}], policy }, async (rig) => {
    for (let n = 0; n < 6; n++) {
      const client = await rig.client()
      await client.send(head + text)
      t.equal((await client.answer()).status, 200)
    }
    t.ok(rig.records.some(({ attempts }) => attempts > 1))
    t.ok(rig.requests.length > 6)
    for (const { body } of rig.requests) if (body !== text) t.fail('a body is not what was sent')
  })
})
