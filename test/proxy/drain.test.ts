import t from 'tap'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { get, post, underWay, withRig } from '../fixtures/plane-parts.ts'
import { type BackendScript, okAnswer } from '../fixtures/raw-backend.ts'
import { settle } from '../fixtures/raw-client.ts'
import type { Rig } from '../fixtures/rig.ts'
import { until } from '../fixtures/until.ts'
import { value } from '../fixtures/wire-message.ts'

const silent: BackendScript = { onRequest: () => undefined }

interface Draining {
  readonly done: () => boolean
  readonly end: Promise<void>
}

function drain(rig: Rig, deadlineMs: number): Draining {
  let done = false
  const end = rig.plane.drain(deadlineMs).then(() => {
    done = true
  })
  return { done: () => done, end }
}

t.test('the idle close at once, the others with their answer, then it is over', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const idle = await rig.client()
    const used = await rig.client()
    await used.send(get('/void'))
    await used.answer()
    const busy = await rig.client()
    await busy.send(get('/busy') + get('/never'))
    await until(() => rig.backend.requests.length === 1)
    clock.advance(1_000)
    const draining = drain(rig, 5_000)
    t.strictSame(rig.plane.addresses(), [], 'nothing more is accepted')
    await idle.closedByPeer()
    await used.closedByPeer()
    idle.end()
    used.end()
    await settle()
    clock.advance(4_000)
    await settle()
    t.notOk(draining.done(), 'while something runs it waits')
    await rig.connection.send(okAnswer)
    const answer = await busy.answer()
    t.equal(answer.body, 'ok')
    t.equal(value(answer.fields, 'connection'), 'close')
    await busy.closedByPeer()
    busy.end()
    await draining.end
    t.equal(rig.backend.requests.length, 1, 'what came after it is not begun')
    t.equal(rig.plane.figures().upstream.open, 0)
    t.equal(clock.pending, 0, 'and nothing waits for anything')
  })
})

t.test('what is left at the deadline is answered, ended and counted', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const stuck = await rig.client()
    await stuck.send(get())
    const uploading = await rig.client()
    await uploading.send(`${post('Content-Length: 10')}abc`)
    await until(() => rig.backend.connections.length === 2 && rig.backend.requests.length === 1)
    const draining = drain(rig, 5_000)
    clock.advance(4_900)
    await settle()
    t.notOk(draining.done())
    t.ok(stuck.open)
    clock.advance(200)
    await draining.end
    await stuck.wait('the end', () => !stuck.open)
    await uploading.wait('the end', () => !uploading.open)
    t.match(stuck.received, /^HTTP\/1\.1 504 /, 'it is answered; it may have been done')
    t.notMatch(stuck.received, /Retry-After/)
    t.equal(underWay(rig.plane), 0)
    t.equal(rig.records.length, 2)
    await until(() => rig.backend.openConnections === 0)
    t.equal(clock.pending, 0)
  })
})

t.test('an answer that had begun before is finished, and its client then closed', async (t) => {
  const clock = new FakeClock()
  const script: BackendScript = {
    onRequest: (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc'),
  }
  await withRig({ backend: script, clock }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await client.wait('half of it', () => client.received.endsWith('abc'))
    const draining = drain(rig, 5_000)
    await settle()
    await rig.connection.send('def')
    t.equal((await client.answer()).body, 'abcdef')
    await client.closedByPeer()
    client.end()
    await draining.end
  })
})

t.test('a client that does not close its side holds it up for the linger time only', async (t) => {
  const clock = new FakeClock()
  await withRig({ clock, limits: { lingerTimeoutMs: 500 } }, async (rig) => {
    const client = await rig.client()
    clock.advance(1_000)
    const draining = drain(rig, 60_000)
    await client.closedByPeer()
    await settle()
    t.notOk(draining.done())
    clock.advance(600)
    await draining.end
    t.equal(rig.plane.figures().downstream.open, 0)
  })
})

t.test('draining twice is draining once, destroying ends it', async (t) => {
  const clock = new FakeClock()
  await withRig({ backend: silent, clock }, async (rig) => {
    const client = await rig.client()
    await client.send(get())
    await until(() => rig.backend.requests.length === 1)
    const one = drain(rig, 5_000)
    const two = drain(rig, 1)
    clock.advance(100)
    await settle()
    t.notOk(one.done() || two.done(), 'the first deadline holds')
    rig.plane.destroy()
    await Promise.all([one.end, two.end])
    await client.wait('the end', () => !client.open)
    t.equal(underWay(rig.plane), 0)
    t.match(rig.records, [{ status: 503, cause: 'shutdown' }])
    rig.plane.destroy()
    t.equal(clock.pending, 0)
  })
})
