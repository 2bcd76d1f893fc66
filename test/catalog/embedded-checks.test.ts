/** Checks that the embedded catalog runs: TTLs and the reaper on a clock of our own, HTTP and TCP against real sockets. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { registerService } from '../../src/catalog/embedded/agent-commands.ts'
import { CheckRunner } from '../../src/catalog/embedded/check-runner.ts'
import { parseService } from '../../src/catalog/embedded/definitions.ts'
import { probe } from '../../src/catalog/embedded/probe.ts'
import { CatalogState } from '../../src/catalog/embedded/state.ts'
import { CatalogStore } from '../../src/catalog/embedded/store.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { enrolled } from '../fixtures/catalog-ops.ts'
import { startEmbedded } from '../fixtures/catalog-speaker.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

function setUp(): { clock: FakeClock; store: CatalogStore; runner: CheckRunner; register: (body: object) => void } {
  const clock = new FakeClock()
  const store = new CatalogStore(new CatalogState(1), undefined, clock)
  store.commit(enrolled)
  const runner = new CheckRunner(store, 'n1', { clock, random: () => 0.5, log: silentLogger })
  runner.start()
  const register = (body: object): void => {
    const definition = parseService(body)
    store.commit((index) => registerService(store.state, 'n1', definition, false, index))
    runner.restart(definition.id)
  }
  return { clock, store, runner, register }
}

await t.test('TTL', async (t) => {
  const { clock, store, runner, register } = setUp()
  const check = (): { status: string; output: string } | undefined => store.state.check('n1', 'service:web')
  register({ Name: 'web', Check: { TTL: '3s' } })
  t.match(check(), { status: 'critical', output: '' })
  runner.heartbeat('service:web', 'passing', 'all well')
  t.match(check(), { status: 'passing', output: 'all well' })
  clock.advance(2_999)
  t.match(check(), { status: 'passing' })
  clock.advance(1)
  t.match(check(), { status: 'critical', output: 'TTL expired (last output before timeout follows): all well' })
  runner.heartbeat('service:web', 'warning', '')
  for (let i = 0; i < 5; i++) {
    clock.advance(2_000)
    runner.heartbeat('service:web', 'warning', '')
  }
  t.match(check(), { status: 'warning' }, 'heartbeats keep it')
  clock.advance(3_000)
  t.match(check(), { status: 'critical', output: 'TTL expired' }, 'nothing was said before')
  t.throws(
    () => runner.heartbeat('serfHealth', 'passing', ''),
    { message: /does not have associated TTL/ },
    'no TTL check',
  )
  runner.stop()
  t.equal(clock.pending, 0, 'no timer is left')
})

await t.test('a TTL longer than a timer can be', async (t) => {
  const { clock, store, runner, register } = setUp()
  let longest = 0
  const set = clock.setTimer.bind(clock)
  clock.setTimer = (delayMs, fn) => {
    longest = Math.max(longest, delayMs)
    return set(delayMs, fn)
  }
  register({ Name: 'web', Check: { TTL: '1000h', Status: 'passing' } })
  clock.advance(1000 * 3_600_000 - 1)
  t.match(store.state.check('n1', 'service:web'), { status: 'passing' })
  clock.advance(1)
  t.match(store.state.check('n1', 'service:web'), { status: 'critical' })
  t.ok(longest < 2 ** 31, 'a longer timer would fire at once')
  runner.stop()
})

await t.test('a new output alone moves the catalog minutes later', async (t) => {
  const { clock, store, runner, register } = setUp()
  register({ Name: 'web', Check: { TTL: '1h', Status: 'passing' } })
  const before = store.state.index
  runner.heartbeat('service:web', 'passing', 'one')
  runner.heartbeat('service:web', 'passing', 'two')
  t.equal(runner.output('service:web'), 'two', 'the agent knows at once')
  t.equal(store.state.index, before)
  clock.advance(299_999)
  t.equal(store.state.index, before)
  clock.advance(1)
  t.equal(store.state.index, before + 1)
  t.match(store.state.check('n1', 'service:web'), { output: 'two', status: 'passing' })
  t.equal(runner.output('service:web'), undefined)
  runner.stop()
})

await t.test('critical for too long', async (t) => {
  const { clock, store, runner, register } = setUp()
  register({ Name: 'brief', Check: { TTL: '10s', Status: 'passing', DeregisterCriticalServiceAfter: '1s' } })
  register({ Name: 'keeps', Check: { TTL: '10s', Status: 'passing' } })
  clock.advance(10_000)
  t.match(store.state.check('n1', 'service:brief'), { status: 'critical' })
  clock.advance(59_000)
  t.ok(store.state.service('n1', 'brief'), 'never before a minute')
  runner.heartbeat('service:brief', 'passing', '')
  clock.advance(9_999)
  runner.heartbeat('service:brief', 'passing', '')
  clock.advance(10_000 + 60_000)
  t.ok(store.state.service('n1', 'brief'), 'counted anew after it was well')
  clock.advance(30_000)
  t.notOk(store.state.service('n1', 'brief'), 'gone at the next round')
  t.notOk(store.state.check('n1', 'service:brief'), 'with its check')
  t.ok(store.state.service('n1', 'keeps'))
  runner.stop()
  t.equal(clock.pending, 0)
})

await t.test('HTTP', async (t) => {
  const seen: IncomingMessage[] = []
  const answers: Record<string, (res: ServerResponse) => void> = {
    '/ok': (res) => res.writeHead(204).end(),
    '/busy': (res) => res.writeHead(429).end('busy'),
    '/moved': (res) => res.writeHead(302, { location: '/ok' }).end(),
    '/ill': (res) => res.writeHead(500).end('ill'),
    '/long': (res) => res.end('€'.repeat(10_000)),
    '/never': () => {},
    '/flood': (res) => void res.write('x'.repeat(10_000)),
    '/endless': (res) => void res.write('x'),
  }
  const server = createServer((req, res) => {
    seen.push(req)
    answers[req.url ?? '']?.(res)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  const run = (url: string, more: object = {}): ReturnType<typeof probe> => {
    const how = {
      kind: 'http' as const,
      url,
      method: 'GET',
      header: {},
      body: '',
      skipVerify: false,
      intervalMs: 1000,
      timeoutMs: 5_000,
      ...more,
    }
    return probe(how, 4096, systemClock, new AbortController().signal)
  }
  t.match(await run(`${base}/ok`), { status: 'passing', output: `HTTP GET ${base}/ok: 204 No Content Output: ` })
  t.match(await run(`${base}/busy`), { status: 'warning', output: /429 Too Many Requests Output: busy$/ })
  t.match(await run(`${base}/moved`), { status: 'passing' }, 'a redirect is followed')
  t.match(await run(`${base}/ill`), { status: 'critical', output: /500 Internal Server Error Output: ill$/ })
  const long = await run(`${base}/long`)
  t.equal(long.status, 'passing')
  t.ok(Buffer.byteLength(long.output) < 4096 + 200, 'the body is bounded')
  t.match(await run(`${base}/flood`), { status: 'passing' }, 'what is enough is not read on')
  t.match(await run(`${base}/never`, { timeoutMs: 50 }), { status: 'critical', output: /no answer in time/ })
  t.match(await run(`${base}/endless`, { timeoutMs: 50 }), { status: 'critical' }, 'a body without an end')
  t.match(await run('http://127.0.0.1:1/'), { status: 'critical', output: /ECONNREFUSED/ })
  seen.length = 0
  await run(`${base}/ok`, { method: 'POST', body: 'hello', header: { 'X-Token': ['a', 'b'], Host: ['shop.example'] } })
  t.match(seen[0]?.headers, { 'x-token': 'a, b', host: 'shop.example', 'user-agent': 'Consul Health Check' })
  t.equal(seen[0]?.method, 'POST')
})

await t.test('TCP', async (t) => {
  const server = createTcpServer((socket) => socket.end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const target = `127.0.0.1:${String((server.address() as AddressInfo).port)}`
  const run = (target: string, timeoutMs: number = 5_000): ReturnType<typeof probe> =>
    probe({ kind: 'tcp', target, intervalMs: 1000, timeoutMs }, 4096, systemClock, new AbortController().signal)
  t.strictSame(await run(target), { status: 'passing', output: `TCP connect ${target}: Success` })
  server.close()
  await once(server, 'close')
  t.match(await run(target), { status: 'critical', output: /ECONNREFUSED/ })
  t.match(await run('nonsense'), { status: 'critical', output: /not an address and a port/ })
  t.match(await run('[::1]:1'), { status: 'critical' })
})

await t.test('a check follows what it looks at', async (t) => {
  let code = 200
  const server = createServer((_req, res) => res.writeHead(code).end('body')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const it = await startEmbedded()
  t.teardown(() => it.stop())
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`
  const status = async (): Promise<string | undefined> =>
    (await it.ask('GET', 'health/checks/web')).json<{ Status: string }[]>()[0]?.Status
  await it.ask('PUT', 'agent/service/register', { Name: 'web', Check: { HTTP: url, Interval: '1s' } })
  t.equal(await status(), 'critical')
  await until(async () => (await status()) === 'passing')
  code = 503
  await until(async () => (await status()) === 'critical')
  t.match((await it.ask('GET', 'agent/checks')).text, /503 Service Unavailable Output: body/)
})

await t.test('it takes several results in a row, if asked to', async (t) => {
  let code = 200
  let asked = 0
  const server = createServer((_req, res) => {
    asked++
    res.writeHead(code).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { clock, store, runner, register } = setUp()
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`
  register({ Name: 'web', Check: { HTTP: url, Interval: '1s', SuccessBeforePassing: 3, FailuresBeforeCritical: 2 } })
  const round = async (): Promise<string | undefined> => {
    const before = asked
    // The probe's own deadline is a timer too: advance only when the next round is what waits.
    await until(() => (clock.nextDelay() ?? Infinity) <= 1000)
    clock.advance(clock.nextDelay() ?? 0)
    await until(() => asked > before)
    await until(() => (clock.nextDelay() ?? Infinity) <= 1000)
    return store.state.check('n1', 'service:web')?.status
  }
  t.strictSame([await round(), await round(), await round()], ['critical', 'critical', 'passing'])
  code = 500
  t.strictSame([await round(), await round()], ['passing', 'critical'])
  runner.stop()
})
