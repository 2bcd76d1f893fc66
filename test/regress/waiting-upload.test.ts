/**
 * A chunked body waited for its length at an instance of HTTP/1.0; that one closed, and when the body ended while the connection
 * to the next was being made, the request was sent there twice, and its second answer went to somebody else.
 */
import t from 'tap'
import type { Attempt } from '../../src/proxy/attempt.ts'
import type { PlaneCore } from '../../src/proxy/plane-core.ts'
import { ReplayAccount } from '../../src/proxy/replay-body.ts'
import { Upload } from '../../src/proxy/upload.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import type { RequestHead } from '../../src/wire/request-head.ts'
import type { ServerConnection } from '../../src/wire/server-connection.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { headText } from '../fixtures/heads.ts'
import { get, stateOf, withRig } from '../fixtures/plane-parts.ts'
import type { BackendScript } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import { ScriptedHealth } from '../fixtures/scripted-health.ts'
import { until } from '../fixtures/until.ts'

const old: BackendScript = {
  onRequest: (_request, connection) =>
    void connection.send('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'),
}
const chunked = headText('POST /pay HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked')

/** Writes down what is sent to it. */
function attempt(isMinor0: boolean): { readonly sent: string[]; readonly attempt: Attempt } {
  const sent: string[] = []
  const made = {
    started: false,
    endpoint: { state: { pool: { isMinor0 } } },
    awaitBody: () => undefined,
    flush: () => true,
    sendHead(head: string) {
      made.started = true
      sent.push(head)
    },
    sendBody: (bytes: Buffer) => sent.push(bytes.toString()) > 0,
    endBody: () => sent.push('end'),
  }
  return { sent, attempt: made as unknown as Attempt }
}

t.test('a body that waited is sent once, to whoever has the request when it is ready for it', async (t) => {
  const core = { replay: new ReplayAccount(), limits: defaultWireLimits } as unknown as PlaneCore
  const client = { pauseBody: () => undefined, resumeBody: () => undefined } as unknown as ServerConnection
  const upload = new Upload(core, client)
  upload.reset({ hasBody: true, chunked: true } as RequestHead)
  upload.begin(false, 100)
  const gone = attempt(true)
  const next = attempt(false)
  upload.take(Buffer.from('hello'), undefined)
  t.equal(upload.send('HEAD\r\n', gone.attempt), 'waits')
  upload.attemptEnded()
  t.equal(upload.end(next.attempt), false, 'its connection is still being made')
  t.strictSame([...gone.sent, ...next.sent], [])
  t.equal(upload.send('HEAD\r\n', next.attempt), 'sent')
  t.strictSame(next.sent, ['HEAD\r\nContent-Length: 5\r\n\r\n', 'hello', 'end'])
})

t.test('one that is still there when the body ends gets it then', async (t) => {
  await withRig({ backend: old }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/warm'))
    await client.answer()
    await client.send(`${chunked}5\r\nhello\r\n`)
    await settle()
    await client.send('0\r\n\r\n')
    t.equal((await client.answer()).status, 200)
    t.match(rig.backend.requests[1], { body: 'hello' })
    t.match(rig.records.at(-1), { attempts: 1 })
  })
})

t.test('while it waits for the rest of the body, the instance is not waited for', async (t) => {
  const clock = new FakeClock()
  const health = new ScriptedHealth()
  await withRig({ backend: old, clock, limits: { bodyRateMin: 0 }, ...health.options }, async (rig) => {
    const client = await rig.client()
    await client.send(get('/warm'))
    await client.answer()
    await client.send(`${chunked}5\r\nhello\r\n`)
    const state = stateOf(rig.plane, 'one-0')
    await until(() => state.inFlight === 1)
    await settle()
    t.equal(state.attempts[0]?.waitingSinceMs, Infinity, 'nothing for health to suspect')
    for (let i = 0; i < 4; i++) {
      clock.advance(20_000)
      await client.send('1\r\nx\r\n')
      await settle()
    }
    t.strictSame(health.told, [], 'its timeout for a first byte has not begun')
    await client.send('0\r\n\r\n')
    t.equal((await client.answer()).status, 200)
  })
})
