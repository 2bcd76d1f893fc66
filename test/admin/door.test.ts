/** The status and admin addresses: who may ask, what is answered, and what a hostile or slow peer gets. */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newVersionStats } from '../../src/live/registry.ts'
import { newEndpointState } from '../../src/live/endpoint-state.ts'
import { createDoor, json, type Door } from '../../src/admin/door.ts'
import { judge, loopbackHosts } from '../../src/admin/gate.ts'
import { isLoopback } from '../../src/core/host.ts'
import { readQuery } from '../../src/admin/query.ts'
import { adminRouter, statusAddressRouter, type AdminSources } from '../../src/admin/routes.ts'
import type { Address } from '../../src/config/config.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { HealthView } from '../../src/health/port.ts'
import type { BoundTable, EndpointState } from '../../src/live/runtime.ts'
import { boundOf, endpoint, tableOf } from '../fixtures/data-plane.ts'
import { scriptedLedger } from '../fixtures/kills.ts'

const metrics = { contentType: 'text/plain; version=0.0.4', pieces: () => Promise.resolve(['up 1\n']) }
const endpoints = [
  endpoint({ service: 'shop', version: '9.7.0', handle: 'shop-1' }),
  endpoint({ service: 'shop', version: '9.8.0', handle: 'shop-2', status: 'critical', weight: 0 }),
]

interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly socketPath?: string
}

function ask(where: string, path: string, { method = 'GET', headers = {}, socketPath }: Asked = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const target = socketPath ? { socketPath } : { host: '127.0.0.1', port: Number(where.split(':').at(-1)) }
    const req = httpRequest({ ...target, path, method, headers, agent: false }, (res) => {
      let body = ''
      res.on('data', (bytes: Buffer) => (body += bytes.toString()))
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
    })
    req.on('error', reject)
    req.end()
  })
}

interface Setup {
  readonly door: Door
  readonly where: string
  readonly reasons: string[]
}

async function admin(
  t: Pick<Test, 'teardown'>,
  address: Address,
  table: () => BoundTable = () => boundOf(tableOf('shop', endpoints)),
  more: Pick<AdminSources, 'health'> = {},
): Promise<Setup> {
  const reasons: string[] = []
  const router = adminRouter({
    metrics,
    notReady: () => reasons,
    dataPlane: { current: table },
    problems: () => [
      { code: 'bad-tag', where: 'consul:web', message: 'no' },
      { code: 'place-shared', where: '/', message: 'so it is', notice: true },
    ],
    kills: scriptedLedger(),
    ...more,
  })
  const door = createDoor({ name: 'admin', address, log: silentLogger, router })
  const where = await door.listen()
  t.teardown(() => door.close())
  return { door, where, reasons }
}

const loopback: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 }

t.test('livez, readyz and metrics', async (t) => {
  const { where, reasons } = await admin(t, loopback)
  t.match(await ask(where, '/livez'), { status: 200, body: '{"live":true}\n' })
  t.match(await ask(where, '/readyz?verbose'), { status: 200, body: '{"ready":true}\n' })
  reasons.push('waiting for consul')
  const unready = await ask(where, '/readyz')
  t.equal(unready.status, 503)
  t.same(JSON.parse(unready.body), { ready: false, reasons: ['waiting for consul'] })
  t.equal((await ask(where, '/livez')).status, 200, 'alive all the same')
  const scrape = await ask(where, '/metrics')
  t.match(scrape, { status: 200, body: 'up 1\n', headers: { 'content-type': 'text/plain; version=0.0.4' } })
})

t.test('the table and its services', async (t) => {
  const { where } = await admin(t, loopback)
  const table = JSON.parse((await ask(where, '/v1/table')).body)
  t.match(table, {
    version: 1,
    // Of all sources, and without notices.
    problems: 1,
    routes: [{ host: '', path: '/', service: 'shop', origin: 'config:routes[0]' }],
    services: [{ name: 'shop', versions: [{ version: '9.7.0' }, { version: '9.8.0' }] }],
  })
  const one = JSON.parse((await ask(where, '/v1/services/shop')).body)
  t.match(one.versions[1].endpoints[0], { handle: 'shop-2', status: 'critical', weight: 0, connections: { open: 0 } })
  t.same(JSON.parse((await ask(where, '/v1/services')).body), {
    services: [
      {
        name: 'shop',
        inFlight: 0,
        routes: ['/'],
        steering: {
          weights: { origin: 'instances', by: null, revision: null, over: [] },
          rules: 0,
          sticky: null,
          fallback: 'others',
        },
        versions: [
          { version: '9.7.0', weight: 1, registered: 1, available: 1 },
          { version: '9.8.0', weight: 1, registered: 1, available: 0 },
        ],
      },
    ],
  })
  t.match(JSON.parse((await ask(where, '/v1/problems')).body), { problems: [{ code: 'bad-tag' }] })
  for (const path of [
    '/v1/services/nosuch',
    '/v1/services/%zz',
    '/v1/services/__proto__',
    '/v1',
    '/',
    '/v1/services/',
  ]) {
    t.equal((await ask(where, path)).status, 404, path)
  }
})

t.test('run-time state is shown with each endpoint, and odd version names survive', async (t) => {
  const table = tableOf('shop', [endpoint({ service: 'shop', version: '__proto__', handle: 'shop-1' })])
  const bound = boundOf(table)
  const service = bound.services.get('shop')
  if (!service) throw new Error('no shop')
  const group = service.table.groups[0]
  const first = group?.endpoints[0]
  if (!group || !first) throw new Error('no endpoint')
  const pool = { open: 3, idle: 2 } as never
  const state = { ...newEndpointState(first, pool), inFlight: 1 }
  const stats = newVersionStats('shop', '')
  const policy = { ...service.table.policy, versions: new Map([['__proto__', 3]]) }
  const withState: BoundTable = {
    ...bound,
    services: new Map([
      [
        'shop',
        {
          ...service,
          table: { ...service.table, policy },
          groups: [
            {
              version: '__proto__',
              seed: 0,
              weight: 1,
              endpoints: [{ endpoint: first, state, hash: 0, token: '' }],
              zones: undefined,
              stats,
            },
          ],
        },
      ],
    ]),
  }
  const stateOf = (of: EndpointState): HealthView | undefined =>
    of === state ? { state: 'ejected', cause: 'refused', sinceMs: 400, ejections: 2, applied: true } : undefined
  const { where } = await admin(t, loopback, () => withState, { health: { now: () => 1_400, stateOf } })
  const { body } = await ask(where, '/v1/services/shop')
  t.match(body, '"versions":{"__proto__":3}')
  t.match(JSON.parse(body).versions[0].endpoints[0], { inFlight: 1, connections: { open: 3, idle: 2 } })
  const health = { state: 'ejected', cause: 'refused', sinceMs: 1_000, ejections: 2, applied: true }
  t.same(JSON.parse(body).versions[0].endpoints[0].health, health)
  t.same(JSON.parse((await ask(where, '/v1/table')).body).services[0].versions[0].endpoints[0].health, health)
  const blind = await admin(t, loopback, () => withState)
  t.equal(JSON.parse((await ask(blind.where, '/v1/services/shop')).body).versions[0].endpoints[0].health, null)
  const unsure = await admin(t, loopback, () => withState, { health: { now: () => 0, stateOf: () => undefined } })
  t.equal(JSON.parse((await ask(unsure.where, '/v1/services/shop')).body).versions[0].endpoints[0].health, null)
})

t.test('the kill ledger: newest first, with totals, of one service or all', async (t) => {
  const { where } = await admin(t, loopback)
  const all = await ask(where, '/v1/kills')
  t.match(all, { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } })
  const { kills, totals, strays } = JSON.parse(all.body)
  t.same(totals, {
    deaths: 2,
    observedDeaths: 1,
    rescued: 9,
    retried: 1,
    retriedUnsent: 3,
    lost: 2,
    strayLost: 1,
    strayRescued: 0,
  })
  t.same(strays, [
    {
      at: '2023-11-14T22:13:32.000Z',
      id: 'astray',
      service: 'shop',
      version: '9.7.0',
      handle: 'shop-77aa01be',
      method: 'POST',
      reason: 'closed',
      unsent: false,
    },
  ])
  t.same(
    kills.map(({ id }: { id: string }) => id),
    ['k-3', 'k-2', 'k-1'],
  )
  t.match(kills[0], { service: 'cart', applied: false, recovery: null, consulKnewAfterMs: null, provenBy: null })
  t.match(kills[1], { recovery: { kind: 'restored', afterMs: 1_200 } })
  t.same(kills[2], {
    id: 'k-1',
    at: '2023-11-14T22:13:21.000Z',
    service: 'shop',
    version: '9.8.0',
    handle: 'shop-3f2a9c1d',
    address: '10.0.0.5',
    port: 8080,
    signal: 'silence',
    proven: true,
    provenBy: { cause: 'refused', afterMs: 40 },
    applied: true,
    inFlight: 12,
    rescued: 9,
    retried: 1,
    retriedUnsent: 3,
    lost: {
      total: 2,
      byMethod: { POST: 1, PUT: 1 },
      requests: [
        { id: 'a-post', method: 'POST', reason: 'ejected', unsent: false, afterMs: 40 },
        { id: 'a-put\u001b[2J', method: 'PUT', reason: 'reset', unsent: true, afterMs: 40 },
      ],
    },
    recovery: null,
    consulKnewAfterMs: 9_800,
  })
  const cart = JSON.parse((await ask(where, '/v1/kills?service=cart')).body)
  t.match(cart, { totals: { deaths: 0, observedDeaths: 1, strayLost: 0 }, strays: [], kills: [{ id: 'k-3' }] })
  t.equal(cart.kills.length, 1)
  t.match(await ask(where, '/v1/kills?service=nosuch'), { status: 404, body: /no death of it is known/ })
  t.match(await ask(where, '/v1/kills?services=shop'), { status: 400, body: /the only one is service/ })
  t.equal((await ask(where, '/v1/kills?')).status, 200)
  t.equal((await ask(where, '/v1/kills', { method: 'HEAD' })).status, 200)
})

t.test('queries are read strictly', async (t) => {
  const read = (query: string): unknown => {
    const got = readQuery(query, ['a', 'b'])
    return typeof got === 'string' ? got : Object.fromEntries(got)
  }
  t.same(read(''), {})
  t.same(read('a=1&b=x%3Dy+z'), { a: '1', b: 'x=y z' })
  t.same(read('%61=%C3%A9?&b==='), { a: 'é?', b: '==' })
  for (const query of ['c=1', '__proto__=1', '&', 'a=1&', 'A=1', '%zz=1'])
    t.match(read(query), /no such parameter/, query)
  t.match(read('a=1&a=1'), 'The parameter a is given twice.')
  for (const query of ['a', 'a=', 'b=1&a=']) t.match(read(query), 'The parameter a has no value.', query)
  for (const query of ['a=%', 'a=%ff']) t.match(read(query), 'The parameter a is not encoded', query)
})

t.test('HEAD has the head of GET and no body; anything else is 405', async (t) => {
  const { where } = await admin(t, loopback)
  const head = await ask(where, '/livez', { method: 'HEAD' })
  t.match(head, { status: 200, body: '', headers: { 'content-length': '14' } })
  t.match(await ask(where, '/v1/table', { method: 'HEAD' }), { status: 200, body: '' })
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.match(await ask(where, '/v1/table', { method }), { status: 405, headers: { allow: 'GET, HEAD' } }, method)
  }
})

t.test('no header lets a web page read: no CORS, nosniff, nothing stored', async (t) => {
  const { where } = await admin(t, loopback)
  const { headers } = await ask(where, '/v1/table')
  t.notOk(Object.keys(headers).some((name) => name.startsWith('access-control-')))
  t.match(headers, {
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': /default-src 'none'/,
  })
})

t.test('on loopback the Host must be one of the exact names (DNS rebinding)', async (t) => {
  const { where } = await admin(t, loopback)
  const port = where.split(':').at(-1)
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
    t.equal((await ask(where, '/livez', { headers: { host } })).status, 200, host)
  }
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    'localhost',
    `127.0.0.1.evil.example:${port}`,
  ]) {
    t.equal((await ask(where, '/livez', { headers: { host } })).status, 421, host)
  }
})

t.test('on any other address every Host is answered, so that probes and scrapers need no list', async (t) => {
  const { where } = await admin(t, { kind: 'tcp', host: '0.0.0.0', port: 0 })
  t.equal((await ask(where, '/livez', { headers: { host: 'fairlead.internal:8081' } })).status, 200)
})

t.test('requests that a page of another site makes are refused', async (t) => {
  const { where } = await admin(t, loopback)
  const port = where.split(':').at(-1)
  const host = `localhost:${port}`
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await ask(where, '/livez', { headers: { host, ...headers } })).status
  t.equal(await status({ 'sec-fetch-site': 'none' }), 200)
  t.equal(await status({ 'sec-fetch-site': 'same-origin', origin: `http://${host}` }), 200)
  t.equal(await status({ 'sec-fetch-site': 'cross-site' }), 403)
  t.equal(await status({ 'sec-fetch-site': 'same-site' }), 403)
  t.equal(await status({ origin: 'http://evil.example' }), 403)
  t.equal(await status({ origin: 'null' }), 403)
  t.equal(await status({ origin: `https://${host}` }), 403)
})

t.test('loopback is told by the literal, never by what looks like one', async (t) => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.2.555', '127.0.0.1.evil.example', '127.0.0.555', '1.127.0.0', '']) {
    t.notOk(isLoopback(host), host)
  }
  t.ok(loopbackHosts('127.0.0.1', 80).has('localhost'), 'port 80 may be left out')
  t.equal(judge({ hosts: new Set(['a:1']) }, 'GET', {})?.status, 421, 'no Host at all')
})

t.test('a path that nobody knows is 404 on the status address, /v1 too', async (t) => {
  const router = statusAddressRouter({ metrics, notReady: () => [] })
  const door = createDoor({ name: 'status', address: loopback, log: silentLogger, router })
  t.teardown(() => door.close())
  const where = await door.listen()
  t.equal((await ask(where, '/livez')).status, 200)
  for (const path of ['/v1/table', '/v1/services', '/']) t.equal((await ask(where, path)).status, 404, path)
  t.match((await ask(where, '/v1/table')).body, /^\{"error":"This is the status address\..* 127\.0\.0\.1:8082/)
})

t.test('a handler that fails is a 500 that tells nothing', async (t) => {
  const lines: string[] = []
  const door = createDoor({
    name: 'status',
    address: loopback,
    log: { ...silentLogger, error: (_fields, message) => void lines.push(message) },
    router: (path) =>
      path === '/x'
        ? () => {
            throw new Error('secret detail')
          }
        : () => json(200, {}),
  })
  t.teardown(() => door.close())
  const where = await door.listen()
  const got = await ask(where, '/x')
  t.equal(got.status, 500)
  t.notMatch(got.body, 'secret')
  t.equal(lines.length, 1)
  t.equal((await ask(where, '/y')).status, 200)
})

t.test('a Unix socket: only its owner may use it; a stale file is replaced, a live one is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-admin-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'admin.sock')
  const { door, where } = await admin(t, { kind: 'unix', path })
  t.equal(where, `unix:${path}`)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal((await ask('', '/livez', { socketPath: path })).status, 200)
  const second = createDoor({
    name: 'admin',
    address: { kind: 'unix', path },
    log: silentLogger,
    router: () => undefined,
  })
  await t.rejects(second.listen(), { code: 'FL_LISTEN', message: /^The admin address unix:/ })
  await door.close()
  t.notOk(existsSync(path))
  await leaveStaleSocket(path)
  t.ok(existsSync(path), 'a process that was killed leaves its file')
  await admin(t, { kind: 'unix', path })
  t.equal((await ask('', '/livez', { socketPath: path })).status, 200)
})

t.test('an address in use is named, with the listener that wanted it', async (t) => {
  const { where } = await admin(t, loopback)
  const port = Number(where.split(':').at(-1))
  const said: string[] = []
  const second = createDoor({
    name: 'status',
    address: { kind: 'tcp', host: '127.0.0.1', port },
    log: { ...silentLogger, error: (_, message) => void said.push(message) },
    router: () => undefined,
  })
  await t.rejects(second.listen(), {
    code: 'FL_LISTEN',
    message: `The status address 127.0.0.1:${port} cannot be opened: it is in use (EADDRINUSE); the setting status.address moves it`,
  })
  t.same(said, [], 'once, by whoever asked')
})

t.test('a head without end, a head too large and a body are not waited for', async (t) => {
  const { where } = await admin(t, loopback)
  const port = Number(where.split(':').at(-1))
  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      let got = ''
      socket.on('data', (bytes) => (got += bytes.toString()))
      socket.on('error', () => {})
      socket.on('close', () => resolve(got))
    })
  t.match(
    await raw(`GET /livez HTTP/1.1\r\nHost: localhost:${port}\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`),
    'HTTP/1.1 431',
  )
  t.match(await raw('nonsense\r\n\r\n'), 'HTTP/1.1 400')
  t.match(
    await raw(`GET /livez HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 1000000\r\n\r\nabc`),
    /^HTTP\/1.1 200 [^]*connection: close/i,
    'the connection ends rather than wait for the rest of a body',
  )
})

t.test('close ends connections that are open', async (t) => {
  const { door, where } = await admin(t, loopback)
  const socket = connect(Number(where.split(':').at(-1)), '127.0.0.1')
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  await door.close()
  await door.close()
  await ended
  t.pass('nothing keeps it open')
})

/** A socket file whose process was killed before it could tidy up. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  await new Promise((resolve) => child.once('exit', resolve))
}
