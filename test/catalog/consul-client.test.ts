import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { ConsulClient, type ReadQuery } from '../../src/catalog/consul/consul-client.ts'
import { inlineBytesMax } from '../../src/catalog/consul/decoder.ts'
import type { ConsulConnection } from '../../src/catalog/consul/options.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { makeCertificate } from '../fixtures/certificates.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeConsul, type FakeInstance } from '../fixtures/fake-consul.ts'
import { until } from '../fixtures/until.ts'

async function fakeFor(t: Test, options: Parameters<typeof FakeConsul.start>[0] = {}): Promise<FakeConsul> {
  const fake = await FakeConsul.start(options)
  t.teardown(async () => fake.stop())
  return fake
}

function clientFor(
  t: Test,
  connection: ConsulConnection,
  clock: Clock = systemClock,
  bodyBytesMax?: number,
): ConsulClient {
  const client = new ConsulClient(connection, { clock, bodyBytesMax })
  t.teardown(async () => client.destroy())
  return client
}

const { signal } = new AbortController()
const once: ReadQuery = { signal }
const web = { kind: 'health-service', source: 'consul', service: 'web' } as const
const services = { kind: 'catalog-services' } as const

function many(count: number): FakeInstance[] {
  return Array.from({ length: count }, (_, n) => ({ id: `i-${String(n)}`, port: 1 + n, meta: { __proto__x: 'y' } }))
}

void t.test('a read with all it says', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', [{ id: 'a', port: 7 }])
  const client = clientFor(t, { address: fake.address, datacenter: 'dc2', token: 'secret' })
  const answer = await client.get(web, '/health/service/web', {
    signal,
    index: 1n,
    waitMs: 2_000,
    consistency: 'stale',
  })
  t.equal(answer.data.instances[0]?.id, 'a')
  t.equal(answer.index, BigInt(fake.index))
  t.match(answer, { leader: true, filtered: false })
  const request = fake.requests[0]
  t.strictSame(Object.fromEntries(request?.query ?? []), { dc: 'dc2', stale: '', index: '1', wait: '2000ms' })
  t.equal(request?.token, 'secret')
  await client.get(web, '/health/service/web', { signal, waitMs: 2_000, consistency: 'consistent' })
  t.strictSame(Object.fromEntries(fake.requests[1]?.query ?? []), { dc: 'dc2', consistent: '' }, 'no index, no wait')
})

void t.test('headers of trouble', async (t) => {
  const fake = await fakeFor(t)
  const client = clientFor(t, { address: fake.address })
  const cases: [Record<string, string | undefined>, object][] = [
    [{ 'x-consul-knownleader': 'false' }, { leader: false }],
    [{ 'x-consul-knownleader': undefined, 'x-consul-lastcontact': undefined }, { leader: true }],
    [{ 'x-consul-lastcontact': '90000' }, { leader: false }],
    [{ 'x-consul-lastcontact': '20' }, { leader: true }],
    [{ 'x-consul-results-filtered-by-acls': 'true' }, { filtered: true }],
    [{ 'x-consul-index': undefined }, { index: undefined }],
    [{ 'x-consul-index': '-4' }, { index: undefined }],
    [{ 'x-consul-index': 'x' }, { index: undefined }],
    [{ 'content-type': 'application/json; charset=utf-8' }, { leader: true }],
  ]
  for (const [headers, expected] of cases) {
    fake.script = () => ({ headers })
    const { leader, filtered, index } = await client.get(services, '/catalog/services', once)
    t.match({ leader, filtered, index }, expected, JSON.stringify(headers))
  }
})

void t.test('what is no answer', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', many(20))
  const client = clientFor(t, { address: fake.address }, systemClock, 8_000)
  const json = JSON.stringify([{ x: 'y'.repeat(500) }])
  const cases: [string, NonNullable<ReturnType<NonNullable<FakeConsul['script']>>>, object][] = [
    [
      '500',
      { status: 500, body: 'rpc error\n  making call' },
      { code: 'FL_CATALOG_HTTP', message: 'answered 500 rpc error making call' },
    ],
    ['429', { status: 429, body: '' }, { code: 'FL_CATALOG_HTTP', message: 'answered 429' }],
    [
      '403',
      { status: 403, body: 'ACL not found' },
      { code: 'FL_CATALOG_DENIED', message: 'answered 403 ACL not found' },
    ],
    ['redirect', { status: 301, body: '' }, { code: 'FL_CATALOG_HTTP' }],
    ['invalid JSON', { body: '[{' }, { code: 'FL_CATALOG_HTTP', message: /cannot be used/ }],
    ['empty', { body: '' }, { code: 'FL_CATALOG_HTTP' }],
    ['another type of JSON', { body: '{"a":1}' }, { code: 'FL_CATALOG_HTTP', message: /no list/ }],
    [
      'a web page',
      { headers: { 'content-type': 'text/html' }, body: '<h1>' },
      { code: 'FL_CATALOG_HTTP', message: /text\/html instead of JSON/ },
    ],
    [
      'no content type',
      { headers: { 'content-type': undefined }, body: '[]' },
      { code: 'FL_CATALOG_HTTP', message: /no content type/ },
    ],
    ['torn', { body: json, cutAfter: 100 }, { code: 'FL_CATALOG_UNREACHABLE' }],
    [
      'torn, without a length',
      { body: json, cutAfter: 100, headers: { 'content-length': undefined } },
      { code: 'FL_CATALOG_UNREACHABLE' },
    ],
    ['too large', { body: `["${'y'.repeat(9_000)}"]` }, { code: 'FL_CATALOG_HTTP', message: /larger than 8000 bytes/ }],
    [
      'too large, without a length',
      { body: `["${'y'.repeat(9_000)}"]`, headers: { 'content-length': undefined } },
      { code: 'FL_CATALOG_HTTP' },
    ],
  ]
  for (const [name, scripted, error] of cases) {
    fake.script = () => scripted
    await t.rejects(client.get(web, '/health/service/web', once), error as { code: string }, name)
  }
  fake.script = undefined
  t.equal((await client.get(web, '/health/service/web', once)).data.instances.length, 20, 'and it still works')
})

void t.test('nobody there', async (t) => {
  const fake = await fakeFor(t)
  await fake.pause()
  const client = clientFor(t, { address: fake.address })
  await t.rejects(client.get(services, '/catalog/services', once), {
    code: 'FL_CATALOG_UNREACHABLE',
    message: /ECONNREFUSED/,
  })
})

void t.test('silence ends at the deadline: wait, a sixteenth, ten seconds', async (t) => {
  const fake = await fakeFor(t)
  const clock = new FakeClock()
  const client = clientFor(t, { address: fake.address }, clock)
  fake.script = () => ({ hang: true })
  const failing = t.rejects(client.get(services, '/catalog/services', { signal, index: 5n, waitMs: 60_000 }), {
    code: 'FL_CATALOG_UNREACHABLE',
    message: 'no answer within 73.8 s',
  })
  await until(() => fake.requests.length === 1)
  clock.advance(73_700)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(clock.pending, 1, 'not before')
  clock.advance(100)
  await failing
  await until(() => fake.connections === 0, { what: 'its connection is given up' })
  t.equal(clock.pending, 0)
})

void t.test('an abort ends a read at once, and so does destroy', async (t) => {
  const fake = await fakeFor(t)
  const client = clientFor(t, { address: fake.address })
  fake.script = () => ({ hang: true })
  const controller = new AbortController()
  const aborted = t.rejects(client.get(services, '/catalog/services', { signal: controller.signal }))
  await until(() => fake.requests.length === 1)
  controller.abort()
  await aborted
  const destroyed = t.rejects(client.get(services, '/catalog/services', once))
  await until(() => fake.requests.length === 2)
  await client.destroy()
  await destroyed
  await until(() => fake.connections === 0)
})

void t.test('large bodies are decoded elsewhere and mean the same', async (t) => {
  const fake = await fakeFor(t)
  const client = clientFor(t, { address: fake.address })
  fake.set('web', [...many(3_000), { id: 'bad', port: 0 }])
  let workers = 0
  const count = (): void => void (workers += 1)
  process.on('worker', count)
  t.teardown(() => process.off('worker', count))
  const { data } = await client.get(web, '/health/service/web', once)
  t.equal(data.instances.length, 3_000)
  t.match(data.problems, [{ where: 'consul:web/bad on n1' }])
  const [first] = data.instances
  t.ok(Object.isFrozen(data.instances) && Object.isFrozen(first) && Object.isFrozen(first?.tags))
  t.equal(Object.getPrototypeOf(first?.meta), null)
  t.equal(workers, 1)
  fake.set('web', many(10))
  const small = await client.get(web, '/health/service/web', once)
  t.strictSame(
    { ...data.instances.find((one) => one.id === 'i-3') },
    { ...small.data.instances.find((one) => one.id === 'i-3') },
  )
  fake.script = () => ({ body: `[${' '.repeat(inlineBytesMax)}` })
  await t.rejects(client.get(web, '/health/service/web', once), { code: 'FL_CATALOG_HTTP', message: /cannot be used/ })
  fake.script = () => ({ body: `{${' '.repeat(inlineBytesMax)} "web": ["b", "a"]}` })
  t.strictSame((await client.get(services, '/catalog/services', once)).data, new Map([['web', ['a', 'b']]]))
  fake.script = () => ({ body: `[${' '.repeat(inlineBytesMax)}]` })
  t.equal((await client.get({ kind: 'health-state' }, '/health/state/any', once)).data.services.size, 0)
  t.equal(workers, 1, 'one thread does all')
})

void t.test('a token file: read again when it changes, or when the token is refused', async (t) => {
  const fake = await fakeFor(t)
  const file = path.join(t.testdir({ token: 'one\n' }), 'token')
  const client = clientFor(t, { address: fake.address, token: 'ignored', tokenFile: file })
  const read = async (): Promise<unknown> => client.get(services, '/catalog/services', once)
  await read()
  await writeFile(file, 'two two\n')
  await read()
  t.strictSame(
    fake.requests.map((request) => request.token),
    ['one', 'two two'],
  )
  let refused = 0
  fake.script = (request) => {
    if (request.token === 'three') return undefined
    refused += 1
    return { status: 403, body: 'ACL not found' }
  }
  await t.rejects(read(), { code: 'FL_CATALOG_DENIED' })
  t.equal(refused, 1, 'the same token is not tried twice')
  await writeFile(file, 'three')
  await read()
  await writeFile(file, ' \n')
  await t.rejects(read(), { code: 'FL_CATALOG_DENIED', message: /is empty/ })
  const missing = clientFor(t, { address: fake.address, tokenFile: `${file}.none` })
  await t.rejects(missing.get(services, '/catalog/services', once), {
    code: 'FL_CATALOG_DENIED',
    message: /there is no file/,
  })
})

void t.test('a path prefix, basic authentication and a Unix socket', async (t) => {
  // A socket's path is short, so not in the tree.
  const folder = await mkdtemp(path.join(tmpdir(), 'fake-'))
  t.teardown(async () => rm(folder, { recursive: true }))
  const socketPath = path.join(folder, 's')
  const fake = await fakeFor(t, { socketPath })
  fake.script = () => ({ body: '{}' })
  const client = clientFor(t, { address: `unix:${socketPath}`, httpAuth: 'u:p' })
  await client.get(services, '/catalog/services', once)
  const tcp = await fakeFor(t)
  tcp.script = () => ({ body: '{}' })
  await clientFor(t, { address: `${tcp.address}/consul/` }).get(services, '/catalog/services', once)
  t.equal(tcp.requests[0]?.path, '/consul/v1/catalog/services')
})

void t.test('TLS', async (t) => {
  const certificate = await makeCertificate('server.dc1.consul')
  if (!certificate) {
    t.comment('needs openssl')
    t.end()
    return
  }
  const folder = t.testdir({ 'ca.pem': certificate.cert, 'key.pem': certificate.key })
  const tls = { ca: path.join(folder, 'ca.pem'), serverName: 'server.dc1.consul' }
  const fake = await fakeFor(t, { tls: certificate })
  const read = async (connection: ConsulConnection): Promise<unknown> =>
    clientFor(t, { address: fake.address, ...connection }).get(services, '/catalog/services', once)
  await read({ tls })
  t.equal(fake.requests[0]?.httpVersion, '2.0')
  await t.rejects(read({}), { message: /self-signed/ }, 'an unknown authority')
  await t.rejects(read({ tls: { ca: tls.ca } }), { code: 'FL_CATALOG_UNREACHABLE' }, 'another name')
  await read({ tls: { verify: false } })
  await read({ tls: { ...tls, cert: tls.ca, key: path.join(folder, 'key.pem') } })
  await t.rejects(read({ tls: { ...tls, ca: '/nowhere' } }), { message: /ENOENT/ })
})

void t.test('over TLS many blocking queries share four connections, or 120 without HTTP/2', async (t) => {
  const certificate = await makeCertificate('localhost')
  if (!certificate) {
    t.comment('needs openssl')
    t.end()
    return
  }
  for (const http1Only of [false, true]) {
    const fake = await fakeFor(t, { tls: { ...certificate, http1Only } })
    const client = clientFor(t, { address: fake.address, tls: { verify: false } })
    await client.get(services, '/catalog/services', once)
    t.equal(client.multiplexed, !http1Only)
    const count = http1Only ? 110 : 500
    const ended = new AbortController()
    const blocked = Array.from({ length: count }, async () =>
      client.get(services, '/catalog/services', { signal: ended.signal, index: 10_000n, waitMs: 30_000 }),
    )
    const settled = Promise.allSettled(blocked)
    await until(() => fake.requests.length === count + 1, { what: `${String(count)} blocked queries` })
    await client.get(services, '/catalog/services', once)
    const most = http1Only ? 121 : 5
    t.ok(fake.connectionsMax <= most, `${String(fake.connectionsMax)} connections`)
    ended.abort()
    await settled
  }
})

void t.test('no more than 120 connections, whatever is asked', async (t) => {
  const fake = await fakeFor(t)
  const client = clientFor(t, { address: fake.address })
  const ended = new AbortController()
  const blocked = Array.from({ length: 160 }, async () =>
    client.get(services, '/catalog/services', { signal: ended.signal, index: 10_000n, waitMs: 300 }),
  )
  await Promise.all(blocked)
  t.equal(fake.requests.length, 160)
  t.equal(fake.connectionsMax, 120)
})

void t.test('a frozen HTTP/2 peer is left for a new connection', async (t) => {
  const certificate = await makeCertificate('localhost')
  if (!certificate) {
    t.comment('needs openssl')
    t.end()
    return
  }
  const fake = await fakeFor(t, { tls: certificate })
  const clock = new FakeClock()
  const client = clientFor(t, { address: fake.address, tls: { verify: false } }, clock)
  await client.get(services, '/catalog/services', once)
  clock.advance(1_000)
  fake.script = () => ({ hang: true })
  const failing = t.rejects(client.get(services, '/catalog/services', once), { code: 'FL_CATALOG_UNREACHABLE' })
  await until(() => fake.requests.length === 2)
  clock.advance(10_000)
  await failing
  fake.script = undefined
  const before = fake.connectionsTotal
  await client.get(services, '/catalog/services', once)
  t.equal(fake.connectionsTotal, before + 1)
})
