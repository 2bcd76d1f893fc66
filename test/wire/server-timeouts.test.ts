import t from 'tap'
import { withSide } from '../fixtures/downstream-parts.ts'
import { headText } from '../fixtures/heads.ts'
import { settle } from '../fixtures/raw-client.ts'
import { until } from '../fixtures/until.ts'

const get = headText('GET / HTTP/1.1', 'Host: a')
const post = (...lines: readonly string[]): string => headText('POST / HTTP/1.1', 'Host: a', ...lines)

t.test('timeouts of clients', async (t) => {
  const limits = {
    firstRequestTimeoutMs: 5_000,
    headTimeoutMs: 6_000,
    keepAliveTimeoutMs: 7_000,
    bodyIdleTimeoutMs: 3_000,
    bodyRateMin: 0,
  }
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    side.clock.advance(4_900)
    t.equal(side.closedCount, 0)
    side.clock.advance(200)
    t.equal(side.closedCount, 1, 'nothing ever came')
    await client.closedByPeer()
    t.strictSame(serving.events, [], 'and nothing is said')
  }, limits)
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    for (const [index, byte] of ['G', 'E', 'T', ' ', '/'].entries()) {
      await client.send(byte)
      await until(() => serving.bytesRead > index)
      side.clock.advance(1_000)
    }
    t.strictSame(serving.events, [])
    side.clock.advance(1_100)
    t.equal((await client.answer()).status, 408, 'a byte a second gains nothing')
    t.strictSame(serving.events, ['refused 408 head-timeout'])
  }, limits)
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    await client.send(get)
    await client.answer()
    side.clock.advance(6_900)
    t.equal(side.closedCount, 0)
    await client.send(get)
    await client.answer()
    side.clock.advance(6_900)
    t.equal(side.closedCount, 0, 'each request starts it anew')
    side.clock.advance(200)
    t.equal(side.closedCount, 1)
    t.strictSame(serving.events, ['GET /', 'GET /'])
  }, limits)
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    await client.send(`${post('Content-Length: 9')}a`)
    await until(() => serving.last?.body === 'a')
    side.clock.advance(2_900)
    await client.send('b')
    await until(() => serving.last?.body === 'ab')
    side.clock.advance(2_900)
    t.strictSame(serving.events, ['POST /'])
    side.clock.advance(200)
    t.equal((await client.answer()).status, 408)
    t.strictSame(serving.events, ['POST /', 'body refused 408 body-timeout'])
  }, limits)
})

t.test('going on with a body that was not held back gives it no more time', async (t) => {
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    await client.send(post('Content-Length: 9000'))
    for (let sent = 0; sent < 5; sent++) {
      await client.send('x'.repeat(100))
      await until(() => serving.last?.body.length === (sent + 1) * 100)
      // Whoever sends the body on says so whenever it may, paused or not.
      serving.connection.resumeBody()
      side.clock.advance(1_000)
    }
    side.clock.advance(100)
    t.equal((await client.answer()).status, 408)
    t.strictSame(serving.events, ['POST /', 'body refused 408 body-rate'])
  }, { bodyRateGraceMs: 5_000, bodyRateMin: 1_000 }) // prettier-ignore
})

t.test('a body that trickles is refused', async (t) => {
  await withSide(async (side) => {
    const { client, serving } = await side.client()
    await client.send(post('Content-Length: 9000'))
    for (let sent = 0; sent < 5; sent++) {
      await client.send('x'.repeat(100))
      await until(() => serving.last?.body.length === (sent + 1) * 100)
      side.clock.advance(1_000)
    }
    t.strictSame(serving.events, ['POST /'], 'for as long as it may')
    side.clock.advance(100)
    t.equal((await client.answer()).status, 408)
    t.strictSame(serving.events, ['POST /', 'body refused 408 body-rate'])
  }, { bodyRateGraceMs: 5_000, bodyRateMin: 1_000 }) // prettier-ignore
})

t.test('while we pause a body its timeouts rest', async (t) => {
  await withSide(async (side) => {
    side.onBody = (serving) => serving.connection.pauseBody()
    const { client, serving } = await side.client()
    await client.send(`${post('Content-Length: 5000000')}${'x'.repeat(100)}`)
    await until(() => serving.last?.body.length)
    await client.send('x'.repeat(4_999_900))
    side.clock.advance(100_000)
    await settle(20)
    t.strictSame(serving.events, ['POST /'])
    t.ok(serving.bytesRead < 1_000_000, `${serving.bytesRead} bytes were read`)
    serving.connection.pauseBody()
    side.onBody = () => undefined
    serving.connection.resumeBody()
    side.clock.advance(900)
    await client.answer()
    t.equal(serving.last?.body.length, 5_000_000)
  }, { bodyIdleTimeoutMs: 1_000, bodyRateGraceMs: 2_000, bodyRateMin: 1_000_000 }) // prettier-ignore
})

t.test('a client that takes nothing of its answer is cut off, one that takes some is not', async (t) => {
  await withSide(async (side) => {
    side.serve = (each) => void each.connection.writeLent('', Buffer.alloc(16 * 1_048_576), '')
    const { client, serving } = await side.client()
    client.socket.pause()
    await client.send(get)
    await until(() => serving.events.length === 1)
    await settle()
    side.clock.advance(900)
    t.equal(side.closedCount, 0)
    side.clock.advance(200)
    t.equal(side.closedCount, 1)
    t.strictSame(serving.events, ['GET /', 'gone'])
  }, { writeStallTimeoutMs: 1_000 }) // prettier-ignore
  await withSide(async (side) => {
    let more: boolean | undefined
    side.serve = (each) => {
      more = each.connection.writeLent('', Buffer.alloc(16 * 1_048_576), '')
    }
    const { client, serving } = await side.client()
    await client.send(get)
    await until(() => serving.events.includes('writable'))
    t.equal(more, false)
    side.clock.advance(5_000)
    t.equal(side.closedCount, 0)
    serving.connection.finish(false)
  }, { writeStallTimeoutMs: 1_000 }) // prettier-ignore
})
