/**
 * Bodies of many reads, whose memory is given back as soon as nobody keeps it: whatever waits on the way, be it the socket, the
 * end of a turn, the next request or another attempt, each byte arrives as it was sent.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { headText } from '../fixtures/heads.ts'
import { withRig } from '../fixtures/plane-parts.ts'
import { ProxySockets } from '../fixtures/proxy-sockets.ts'
import { okAnswer, type BackendConnection, type BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { tlsParts } from '../fixtures/tls-parts.ts'
import { until } from '../fixtures/until.ts'
import { parseRequest } from '../fixtures/wire-message.ts'

/** No two pieces of it are alike. */
function textOf(bytes: number, salt: number): string {
  let text = ''
  for (let at = 0; text.length < bytes; at++) text += `${((at + salt) * 2_654_435_761) >>> 0},`
  return text.slice(0, bytes)
}

const asChunk = (piece: string): string => `${piece.length.toString(16)}\r\n${piece}\r\n`

/** In chunks of so many bytes. */
function inChunks(text: string, size: number): string {
  let chunks = ''
  for (let at = 0; at < text.length; at += size) chunks += asChunk(text.slice(at, at + size))
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

/** More than the kernel keeps on the way to an instance that takes nothing. */
const flood = 12 << 20

/** What may wait in the proxy besides what it keeps for another attempt: what one read brought, in one write, behind a full buffer. */
const waitingMax = 4 * 65_536

/** Takes nothing until its reader is let go on; then all of it goes to `parts`. */
const deafInto = (parts: Buffer[]): BackendScript => ({
  sink: true,
  onConnect: ({ socket }) => {
    socket.pause()
    socket.on('data', (bytes: Buffer) => parts.push(bytes))
  },
})

/** Answers when all of the body has come; it is as it was sent. */
async function takesAll(connection: BackendConnection, parts: readonly Buffer[], body: string): Promise<void> {
  connection.socket.resume()
  await until(() => parts.reduce((sum, { length }) => sum + length, 0) >= body.length && parts.at(-1)?.length, {
    what: 'a body',
  })
  const got = await until(() => parseRequest(Buffer.concat(parts).toString('latin1'), 0), { what: 'the whole body' })
  if (got.body !== body) throw new Error('the body is not what was sent')
  await connection.send(okAnswer)
}

for (const chunk of [0, 100_000])
  void t.test(
    `the client is read no further than the instance takes, and then on (${chunk > 0 ? `chunks of ${chunk}` : 'by length'})`,
    async (t) => {
      const sockets = new ProxySockets()
      t.teardown(() => sockets.stop())
      const parts: Buffer[] = []
      const text = textOf(flood, 3)
      await withRig({ backend: deafInto(parts) }, async (rig) => {
        const client = await rig.client()
        const sent = request(text, chunk)
        client.socket.write(sent, 'latin1')
        await sockets.stalled(rig)
        t.ok(sockets.toClient(rig).bytesRead < sent.length)
        const waiting = sockets.toInstance(rig).writableLength
        t.ok(waiting < waitingMax, `${waiting} bytes wait`)
        await takesAll(rig.connection, parts, text)
        t.notOk(sockets.toClient(rig).isPaused())
        t.equal((await client.answer()).status, 200)
      })
    },
  )

void t.test('nor is it where each read brings so little that it waits for the end of the read', async (t) => {
  const sockets = new ProxySockets()
  t.teardown(() => sockets.stop())
  const parts: Buffer[] = []
  await withRig({ backend: deafInto(parts) }, async (rig) => {
    const client = await rig.client()
    const { socket } = client
    socket.write(headText('POST /x HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked'))
    const instance = await until(() => sockets.toInstance(rig))
    const end = sockets.toClient(rig)
    let text = ''
    while (!end.isPaused() && instance.writableLength < waitingMax) {
      // Large ones fill the kernel's buffers; what then makes the proxy's own full is small.
      const half = instance.writableHighWaterMark >> 1
      const piece = textOf(instance.writableLength < half ? half - 1_000 : 500, text.length)
      text += piece
      socket.write(asChunk(piece), 'latin1')
      await until(() => end.bytesRead === socket.bytesWritten)
    }
    t.ok(end.isPaused(), 'paused')
    t.ok(instance.writableLength < waitingMax, `${instance.writableLength} bytes wait`)
    socket.write('0\r\n\r\n')
    await takesAll(rig.connection, parts, text)
    t.notOk(end.isPaused())
    t.equal((await client.answer()).status, 200)
  })
})

void t.test('what the first instance took and the second does not take is all that is kept', async (t) => {
  const sockets = new ProxySockets()
  t.teardown(() => sockets.stop())
  const parts: Buffer[] = []
  const text = textOf(2 * flood, 5)
  const head = headText('PUT /x HTTP/1.1', 'Host: a.test', `Content-Length: ${text.length}`, 'Idempotency-Key: 1')
  let taken = 0
  const later = deafInto(parts)
  /** Whoever has it first takes what has been sent so far, and dies. */
  const script: BackendScript = {
    ...later,
    onConnect: (connection) => {
      if (taken > 0) return later.onConnect?.(connection)
      connection.socket.on('data', ({ length }: Buffer) => {
        taken += length
        if (taken >= flood + head.length) connection.abort()
      })
    },
  }
  const policy = { retry: { attempts: 3, budget: 1, bodyBytes: flood } }
  await withRig({ backend: script, siblings: [script], policy }, async (rig) => {
    const client = await rig.client()
    const connections = (): BackendConnection[] => rig.backends.flatMap((backend) => backend.connections)
    client.socket.write(head + text.slice(0, flood), 'latin1')
    await until(() => connections().length === 2 && sockets.toInstance(rig).writableNeedDrain, { what: 'an attempt' })
    client.socket.write(text.slice(flood), 'latin1')
    const end = sockets.toClient(rig)
    await until(() => end.bytesRead > head.length + flood && end.isPaused(), { what: 'a pause' })
    const reads = Math.ceil((end.bytesRead - head.length - flood) / 65_536)
    t.ok(reads <= 2, `${reads} reads: one shows that it takes nothing, and Node makes one more after a pause`)
    const waiting = sockets.toInstance(rig).writableLength
    t.ok(waiting < flood + waitingMax, `${waiting} bytes wait`)
    const second = await until(() => connections().find(({ closed }) => !closed))
    await takesAll(second, parts, text)
    t.equal((await client.answer()).status, 200)
  })
})
