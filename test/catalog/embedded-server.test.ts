/** The embedded catalog's server: bounds, odd requests, odd names, and two that want one address or one directory. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createEmbeddedCatalog } from '../../src/catalog/embedded/embedded.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger, type Logger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { startEmbedded } from '../fixtures/catalog-speaker.ts'
import { until } from '../fixtures/until.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLogger }

async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  socket.on('error', () => {})
  socket.end(bytes, 'latin1')
  await once(socket, 'close')
  return answer
}

await t.test('bodies', async (t) => {
  const it = await startEmbedded()
  t.teardown(() => it.stop())
  const large = await it.ask('PUT', 'kv/x', 'x'.repeat(3_000_000))
  t.strictSame([large.status, large.headers.get('connection')], [413, 'close'], 'the refusal of a large one arrives')
  t.match(large.text, /^Request body\(3000000 bytes\)/, 'and it was read to its end, or the client might not see it')
  t.equal((await it.ask('GET', 'kv/x')).status, 404)
  const head = 'PUT /v1/kv/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n'
  t.match(await raw(it.port, head), /^HTTP\/1\.1 413 /, 'of a huge one at once')
})

await t.test('requests that are none', async (t) => {
  const it = await startEmbedded()
  t.teardown(() => it.stop())
  t.match(await raw(it.port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /)
  t.match(await raw(it.port, 'GET /v1/kv/%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /)
  t.equal((await it.ask('GET', 'status/leader')).status, 200, 'and it goes on')
})

await t.test('what Consul has and this has not', async (t) => {
  const it = await startEmbedded()
  t.teardown(() => it.stop())
  for (const [path, named] of [
    ['agent/host', '/v1/agent/host'],
    ['agent/metrics', '/v1/agent/metrics'],
    ['agent/connect/ca/roots', '/v1/agent/connect/ca/roots'],
    ['catalog/connect/web', '/v1/catalog/connect'],
    ['health/connect/web?passing', '/v1/health/connect'],
    ['acl/tokens', '/v1/acl'],
    ['peerings', '/v1/peerings'],
    ['query', '/v1/query'],
  ] as const) {
    const { status, text } = await it.ask('GET', path)
    t.strictSame([status, text], [501, `The embedded catalog has no ${named}`], path)
  }
  t.equal((await it.ask('PUT', 'agent/reload')).status, 501)
  for (const path of ['bogus', 'aclx', 'catalog/bogus'])
    t.strictSame([(await it.ask('GET', path)).status, (await it.ask('GET', path)).text], [404, ''], path)
  t.match(await raw(it.port, 'GET /elsewhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 404 /)
})

await t.test('a client that goes away in the middle', async (t) => {
  const errors: string[] = []
  const log: Logger = { ...silentLogger, error: (_fields, message) => void errors.push(message) }
  const it = await startEmbedded({}, log)
  const socket = connect(it.port, '127.0.0.1')
  socket.write('PUT /v1/kv/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
  // Once this is answered, that has arrived.
  await it.ask('GET', 'status/leader')
  socket.destroy()
  await once(socket, 'close')
  await until(async () => (await it.ask('GET', 'kv/x')).status === 404)
  await it.stop()
  t.strictSame(errors, [])
})

await t.test('names of all kinds', async (t) => {
  const it = await startEmbedded()
  t.teardown(() => it.stop())
  for (const id of ['host:web:8080:udp', 'a/b', 'sp ace', '\u00fc\u{1f600}', '__proto__', 'constructor', 'q"uote']) {
    const path = encodeURIComponent(id)
    const put = await it.ask('PUT', 'agent/service/register', { ID: id, Name: id, Port: 1, Check: { TTL: '60s' } })
    t.equal(put.status, 200, id)
    t.equal((await it.ask('PUT', `agent/check/pass/service:${path}`)).status, 200)
    t.match((await it.ask('GET', `health/service/${path}?passing`)).json(), [{ Service: { ID: id, Service: id } }])
    t.ok(Object.keys((await it.ask('GET', 'agent/services')).json<object>()).includes(id))
    t.ok(Object.keys((await it.ask('GET', 'catalog/services')).json<object>()).includes(id))
    t.ok(Object.keys((await it.ask('GET', 'catalog/node/n1')).json<{ Services: object }>().Services).includes(id))
    t.equal((await it.ask('GET', `agent/health/service/id/${path}`)).status, 200)
    t.equal((await it.ask('GET', `agent/health/service/id/${path}%0d%0ax`)).status, 404, 'a header is not broken')
    await it.ask('PUT', `agent/service/deregister/${path}`)
    t.strictSame((await it.ask('GET', `health/service/${path}`)).json(), [])
  }
})

await t.test('definitions that would hurt later', async (t) => {
  const it = await startEmbedded()
  t.teardown(() => it.stop())
  const register = async (body: object): Promise<string> => {
    const answer = await it.ask('PUT', 'agent/service/register', { Name: 'x', ...body })
    return `${String(answer.status)} ${answer.text}`
  }
  const http = { HTTP: 'http://127.0.0.1/', Interval: '1s' }
  t.match(
    await register({ Check: { ...http, Header: { 'X-A': ['a\r\nb: c'] } } }),
    /^400 Invalid check: Header "X-A" contains/,
  )
  t.match(await register({ Check: { ...http, Header: { 'a b': ['x'] } } }), /^400 Invalid check: Header "a b"/)
  t.match(await register({ Check: { ...http, HTTP: 'file:///etc/passwd' } }), /^400 Invalid check: HTTP URL/)
  t.match(await register({ Check: { Args: ['sh'], Interval: '1s' } }), /^500 Scripts are disabled/)
  t.match(await register({ Port: 70_000 }), /^400 Invalid service port/)
  t.match(await register({ tags: ['lower'], enable_tag_override: true }), /^200/, 'keys in any case, with underscores')
  t.match((await it.ask('GET', 'agent/services')).json(), { x: { Tags: ['lower'], EnableTagOverride: true } })
})

await t.test('an address that is taken', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'fairlead-two-'))
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }))
  const it = await startEmbedded({ stateDir })
  t.teardown(() => it.stop())
  const second = createEmbeddedCatalog({ port: it.port, stateDir }, deps)
  await t.rejects(second.listen(), {
    code: 'FL_LISTEN',
    message:
      /^the catalog's address 127\.0\.0\.1:\d+ cannot be opened: it is in use \(EADDRINUSE\); --address moves it$/,
  })
  t.equal((await it.ask('PUT', 'kv/x', 'y')).status, 200, 'a second start by mistake takes nothing over')
  await second.close()
})

await t.test('a directory that another process took over', async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), 'fairlead-over-'))
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }))
  const errors: string[] = []
  const log: Logger = { ...silentLogger, error: (_fields, message) => void errors.push(message) }
  const first = await startEmbedded({ stateDir }, log)
  t.teardown(() => first.stop())
  await first.ask('PUT', 'kv/x', 'y')
  const second = await startEmbedded({ stateDir })
  t.teardown(() => second.stop())
  const refused = await first.ask('PUT', 'kv/x', 'z')
  t.strictSame([refused.status, refused.text.startsWith('another process has taken over')], [503, true])
  t.equal((await first.ask('GET', 'kv/x?raw')).text, 'y', 'it still reads')
  t.equal(errors.filter((line) => line.includes('accepts no more changes')).length, 1, 'and said so once')
  t.equal((await second.ask('GET', 'kv/x?raw')).text, 'y')
})
