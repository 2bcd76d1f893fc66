/** A door that many come to at once: who reads nothing, sends slowly or asks nothing keeps nobody from seeing that it lives. */
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createDoor, type DoorOptions, json } from '../../src/admin/door.ts'
import { statusRouter } from '../../src/admin/routes.ts'
import { answersMax, connectionsMax } from '../../src/admin/turns.ts'
import { silentLogger } from '../../src/core/log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

const page = Array.from({ length: 64 }, () => 'x'.repeat(1_000_000))

async function doorOf(t: Test, more: Partial<DoorOptions> = {}): Promise<number> {
  const router = statusRouter({
    metrics: { contentType: 'text/plain', pieces: () => Promise.resolve(page) },
    notReady: () => [],
  })
  const door = createDoor({
    name: 'status',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    log: silentLogger,
    router,
    ...more,
  })
  const port = Number((await door.listen()).split(':')[1])
  t.teardown(() => door.close())
  return port
}

function statusOf(port: number, path: string, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method, agent: false }, (res) => {
      resolve(res.statusCode ?? 0)
      res.destroy()
    })
      .on('error', reject)
      .end()
  })
}

/** Connections that send this and read nothing but its first bytes, if `reads`. */
async function crowd(t: Test, port: number, count: number, text: string, reads: boolean): Promise<readonly Socket[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('connect', resolve))
      if (text !== '') socket.write(text.replace('PORT', String(port)))
      // Something of the answer has come: it has its turn.
      if (reads) await new Promise((resolve) => socket.once('readable', resolve))
      return socket
    }),
  )
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  return sockets
}

const scrape = 'GET /metrics HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n'

t.test('readers that take nothing keep nobody from livez and readyz, and are let go', async (t) => {
  const port = await doorOf(t, { stallMs: 200 })
  await crowd(t, port, answersMax, scrape, true)
  for (let i = 0; i < 2 * answersMax; i++) t.equal(await statusOf(port, i % 2 ? '/livez' : '/readyz?x'), 200)
  await until(async () => (await statusOf(port, '/metrics', 'HEAD')) === 200)
})

t.test('nor do readers that dole it out: an answer has its time', async (t) => {
  const clock = new FakeClock()
  const port = await doorOf(t, { clock })
  const readers = await crowd(t, port, answersMax, scrape, true)
  t.equal(await statusOf(port, '/metrics', 'HEAD'), 503)
  const closed = Promise.all(readers.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  clock.advance(60_000)
  for (const socket of readers) socket.resume()
  await closed
  t.equal(await statusOf(port, '/metrics', 'HEAD'), 200)
})

t.test('who opens connections and asks nothing makes room', async (t) => {
  const port = await doorOf(t)
  const idle = await crowd(t, port, connectionsMax, '', false)
  t.equal(await statusOf(port, '/livez'), 200)
  await until(() => idle.some(({ closed, readableEnded }) => closed || readableEnded))
})

t.test('slow bodies keep nobody from looking, and have their time', async (t) => {
  const clock = new FakeClock()
  const port = await doorOf(t, { clock, actions: () => () => json(200, {}) })
  const head =
    'POST /v1/x HTTP/1.1\r\nHost: localhost:PORT\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{'
  const senders = await crowd(t, port, answersMax, head, false)
  const answers = senders.map(
    (socket) =>
      new Promise<string>((resolve) => socket.setEncoding('latin1').once('data', (text: string) => resolve(text))),
  )
  const refused = await Promise.race(answers)
  t.match(refused, /^HTTP\/1.1 503 /, 'more than a few are not awaited')
  t.equal(await statusOf(port, '/metrics', 'HEAD'), 200)
  // All have been read by then: their connections came before.
  await until(() => clock.pending >= 8)
  clock.advance(2_000)
  const words = (await Promise.all(answers)).map((text) => text.slice(9, 12)).toSorted()
  t.same(words, [...Array<string>(8).fill('408'), ...Array<string>(answersMax - 8).fill('503')])
})
