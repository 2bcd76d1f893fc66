import t, { type Test } from 'tap'
import type { ConsulOptions } from '../../src/catalog/consul/options.ts'
import { createConsulSource } from '../../src/catalog/consul/source.ts'
import type { CatalogSource } from '../../src/catalog/source.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { seededRandom, systemRandom } from '../../src/core/random.ts'
import { makeCertificate } from '../fixtures/certificates.ts'
import { type Collected, collect } from '../fixtures/collect-source.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeConsul, type FakeInstance } from '../fixtures/fake-consul.ts'
import { until } from '../fixtures/until.ts'

async function fakeFor(t: Test, options: Parameters<typeof FakeConsul.start>[0] = {}): Promise<FakeConsul> {
  const fake = await FakeConsul.start(options)
  t.teardown(async () => fake.stop())
  return fake
}

function sourceFor(t: Test, options: ConsulOptions): CatalogSource {
  const source = createConsulSource(options, { clock: systemClock, random: systemRandom, log: silentLogger })
  t.teardown(async () => source.stop())
  return source
}

function follow(t: Test, options: ConsulOptions, names: readonly string[], tagPrefix?: string): Collected {
  return collect(sourceFor(t, options), names, tagPrefix)
}

const list = (ids: string): FakeInstance[] => ids.split('').map((id, n) => ({ id, port: n + 1 }))
const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `svc-${String(n)}`)

void t.test('Consul away at start: a line that says so, and it goes on when Consul comes', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  await fake.pause()
  const seen = follow(t, { address: fake.address }, ['web'])
  t.match(seen.states[0], { kind: 'waiting', reason: `Consul at ${fake.address} has not answered yet`, fresh: true })
  await seen.untilState('waiting', new RegExp(`^Consul at ${fake.address}: .*ECONNREFUSED.*; next try in 0\\.\\d s$`))
  await until(() => seen.states.length >= 3, { what: 'it keeps saying' })
  t.same(seen.snapshots, [])
  await fake.resume()
  await seen.until(() => seen.ids('web').join() === 'a')
  t.match(seen.state(), { kind: 'current' })
})

void t.test('Consul away later: what was known stands, and it is read anew', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('ab'))
  const source = sourceFor(t, { address: fake.address })
  const seen = collect(source, ['web'])
  await seen.until(() => seen.of('web').length === 2)
  const success = source.lastSuccessMs()
  const before = seen.last()
  await fake.pause()
  await seen.untilState('stale')
  fake.set('web', list('abc'))
  await fake.resume()
  await seen.until(() => seen.of('web').length === 3)
  await seen.untilState('current')
  t.ok((source.lastSuccessMs() ?? 0) > (success ?? Infinity))
  t.equal(before.services.get('web')?.instances[0], seen.of('web')[0])
})

void t.test('once Consul is back, all streams are, whatever each would have waited', async (t) => {
  const fake = await fakeFor(t)
  const all = names(60)
  for (const name of all) fake.set(name, list('a'))
  const clock = new FakeClock()
  const source = createConsulSource({ address: fake.address }, { clock, random: seededRandom(7), log: silentLogger })
  t.teardown(async () => source.stop())
  const seen = collect(source, all)
  const tick = (ms: number) => async (): Promise<boolean> => {
    clock.advance(ms)
    return seen.snapshots.length > 0 && all.every((name) => seen.of(name).length === 1)
  }
  await until(tick(5))
  await fake.pause()
  for (let n = 0; n < 12; n++) {
    const told = seen.states.length
    clock.advance(31_000)
    await until(() => fake.connections === 0 && seen.states.length > told)
  }
  await fake.resume()
  for (const name of all) fake.set(name, list('ab'))
  let firstMs: number | undefined
  await until(async () => {
    await tick(20)()
    const back = all.filter((name) => seen.of(name).length === 2).length
    if (back > 0) firstMs ??= clock.now()
    return back === all.length
  })
  const spreadMs = clock.now() - (firstMs ?? 0)
  t.ok(spreadMs < 5_000, `${String(spreadMs)} ms after the first`)
})

void t.test('errors of every kind leave the last snapshot and end by themselves', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  const seen = follow(t, { address: fake.address }, ['web'])
  await seen.until(() => seen.of('web').length === 1)
  const before = seen.last()
  const bad = [
    { status: 500, body: 'No cluster leader' },
    { status: 400, body: 'odd' },
    { status: 404, body: '' },
    { body: '{' },
    { body: '[{"Node":', cutAfter: 4 },
    { headers: { 'x-consul-index': undefined } },
    { headers: { 'x-consul-index': '0' } },
    { headers: { 'content-type': 'text/plain' } },
  ]
  for (const scripted of bad) {
    fake.script = () => scripted
    fake.cut()
    await seen.untilState('stale')
    await until(() => seen.states.length > 3)
    fake.script = undefined
    await seen.untilState('current')
  }
  t.equal(seen.last(), before, 'nothing was published meanwhile')
})

void t.test('a Consul that begins anew with lower indexes is not waited for', async (t) => {
  const fake = await fakeFor(t)
  fake.index = 5_000
  fake.set('web', list('a'))
  const seen = follow(t, { address: fake.address, emptyHoldMs: 200 }, ['web'])
  await seen.until(() => seen.of('web').length === 1)
  fake.forget()
  fake.set('web', list('b'))
  fake.cut()
  await seen.until(() => seen.ids('web').join() === 'b')
})

void t.test('nothing is taken away on the word of a Consul without a leader', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('abc'))
  const seen = follow(t, { address: fake.address, emptyHoldMs: 200 }, ['web'])
  await seen.until(() => seen.of('web').length === 3)
  fake.script = () => ({ headers: { 'x-consul-knownleader': 'false' } })
  fake.set('web', [
    { id: 'a', port: 1, status: 'critical' },
    { id: 'd', port: 9 },
  ])
  const state = await seen.untilState('stale', /2 of 3 instances are gone, says a Consul that has no leader/)
  t.match(state, { cause: 'not-believed' })
  // What it says of itself is out before what it knows.
  await seen.until(() => seen.ids('web').length !== 3)
  t.strictSame(seen.ids('web'), ['a', 'b', 'c', 'd'], 'what is new counts')
  t.equal(seen.of('web').find((one) => one.id === 'a')?.status, 'critical', 'what changed counts')
  fake.script = undefined
  await seen.until(() => seen.ids('web').join() === 'a,d')
  await seen.untilState('current')
})

void t.test('an answer from which the token hides some is not believed when it is empty', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  const seen = follow(t, { address: fake.address, emptyHoldMs: 50 }, ['web'])
  await seen.until(() => seen.of('web').length === 1)
  fake.script = (request) =>
    request.path.includes('web') ? { body: '[]', headers: { 'x-consul-results-filtered-by-acls': 'true' } } : undefined
  fake.set('web', list('a'))
  await seen.untilState('stale', /token hides some/)
  const asked = fake.count('/v1/health/service/web')
  await until(() => fake.count('/v1/health/service/web') > asked + 4)
  t.ok(
    fake.requests.slice(-4).some((request) => request.query.has('consistent')),
    'the leader is asked to be sure',
  )
  t.equal(seen.of('web').length, 1)
})

void t.test('a catalog that turns empty, even of Consul, is not believed', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  const seen = follow(t, { address: fake.address, emptyHoldMs: 50 }, ['web'])
  await seen.until(() => seen.of('web').length === 1)
  fake.script = (request) => ({ body: request.path.includes('catalog') ? '{}' : '[]' })
  fake.set('web', list('b'))
  await seen.untilState('stale')
  const asked = fake.requests.length
  await until(() => fake.requests.length > asked + 20)
  t.strictSame(seen.ids('web'), ['a'])
  fake.script = undefined
  await seen.until(() => seen.ids('web').join() === 'b')
  await seen.untilState('current')
})

void t.test('a catalog without access control that lists nothing at all is empty', async (t) => {
  const fake = await fakeFor(t)
  fake.set('consul', [])
  const seen = follow(t, { address: fake.address }, ['web'])
  await seen.until((snapshot) => snapshot.services.get('web')?.instances.length === 0)
  fake.set('web', list('a'))
  await seen.until(() => seen.of('web').length === 1)
  fake.set('web', [])
  await seen.until(() => seen.of('web').length === 0)
  t.notOk(seen.states.some((state) => state.kind === 'stale'))
})

void t.test('a storm of indexes costs few requests', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  let index = 100
  fake.script = () => ({ headers: { 'x-consul-index': String((index += 1)) } })
  const seen = follow(t, { address: fake.address }, ['web'])
  await seen.until(() => true)
  const [from, count] = [performance.now(), fake.requests.length]
  await until(() => performance.now() - from > 1_500)
  const asked = fake.requests.length - count
  t.ok(asked > 4 && asked < 90, `${String(asked)} requests in 1.5 s`)
  t.equal(seen.snapshots.length, 1, 'and no snapshot')
})

void t.test('whole reads ask the leader, then anybody; blocking ones any server', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  const seen = follow(t, { address: fake.address, datacenter: 'dc2' }, ['web'])
  await seen.until(() => seen.of('web').length === 1)
  const reads = (): string[] =>
    fake.requests
      .filter((request) => request.path.endsWith('/web'))
      .map(({ query }) => (query.has('index') ? 'blocking ' : '') + (query.has('stale') ? 'stale' : 'default'))
  await until(() => reads().length === 2)
  t.strictSame(reads(), ['default', 'blocking stale'])
  t.ok(fake.requests.every((request) => request.query.get('dc') === 'dc2'))
  fake.script = (request) => (request.query.has('stale') ? undefined : { status: 500, body: 'No cluster leader' })
  fake.cut()
  // The cut itself was the first failure, so the next whole read takes any server.
  await until(() => reads().length >= 4)
  t.strictSame(reads().slice(2, 4), ['stale', 'blocking stale'])
  await seen.untilState('current')
})

void t.test('names that are absent are not watched, and come when they come', async (t) => {
  const fake = await fakeFor(t)
  const source = sourceFor(t, { address: fake.address })
  const seen = collect(source, ['web', 'ghost'])
  await seen.until((snapshot) => snapshot.services.size === 2)
  t.equal(fake.count(/health/), 0)
  fake.set('web', list('a'))
  await seen.until(() => seen.of('web').length === 1)
  fake.set('web', [])
  await seen.until(() => seen.of('web').length === 0)
  await until(() => fake.connections <= 2)
  fake.set('other', [{ id: 'x', tags: ['urlprefix-/x'] }])
  source.setInterest({ names: new Set(['ghost']), tagPrefix: 'urlprefix-' })
  await seen.until((snapshot) => snapshot.services.has('other') && !snapshot.services.has('web'))
  fake.set('other', [{ id: 'x' }])
  await seen.until((snapshot) => !snapshot.services.has('other'), 'the tag went, and so did the interest')
  t.ok(fake.requests.every((request) => !request.query.has('passing') && !request.path.includes('ghost')))
})

void t.test('a bad definition costs itself and is named', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', [...list('a'), { id: 'bad', port: 0 }])
  fake.set('broken', [{ id: 'worse', port: 'x' }])
  const seen = follow(t, { address: fake.address }, ['web', 'broken'])
  await seen.until(() => true)
  t.strictSame(seen.ids('web'), ['a'])
  t.strictSame(seen.ids('broken'), [])
  t.strictSame(
    seen
      .last()
      .problems.map((problem) => problem.where)
      .sort(),
    ['consul:broken/worse on n1', 'consul:web/bad on n1'],
  )
  fake.set('web', list('ab'))
  await seen.until(() => seen.last().problems.length === 1, 'and is mended')
})

void t.test('one service that cannot be read does not keep the others waiting', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  fake.set('ill', list('a'))
  fake.script = (request) => (request.path.endsWith('/ill') ? { status: 500, body: 'rpc error' } : undefined)
  const seen = follow(t, { address: fake.address }, ['web', 'ill'])
  await seen.until(() => seen.ids('web').join() === 'a')
  t.notOk(seen.last().services.has('ill'), 'nothing is known of it')
  t.match(seen.last().problems, [{ code: 'service-unread', where: 'consul:ill', message: /500 rpc error/ }])
  t.match(seen.state(), { kind: 'stale', reason: /500 rpc error/ })
  t.notOk('cause' in seen.state(), 'this one is out of reach')
  fake.script = undefined
  await seen.until(() => seen.ids('ill').join() === 'a' && seen.last().problems.length === 0)
})

void t.test('a listener that throws loses nothing', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  const source = sourceFor(t, { address: fake.address })
  const sizes: number[] = []
  source.setInterest({ names: new Set(['web']), tagPrefix: undefined })
  source.start({
    onSnapshot: (snapshot) => {
      sizes.push(snapshot.services.get('web')?.instances.length ?? -1)
      throw new Error('mine')
    },
    onState: () => {},
  })
  await until(() => sizes.length === 1)
  fake.set('web', list('ab'))
  await until(() => sizes.join() === '1,2')
})

void t.test('stop ends everything', async (t) => {
  const fake = await fakeFor(t)
  for (const name of names(50)) fake.set(name, list('a'))
  const source = sourceFor(t, { address: fake.address })
  const seen = collect(source, names(50))
  await seen.until(() => true)
  await Promise.all([source.stop(), source.stop()])
  await until(() => fake.connections === 0)
  const [snapshots, states] = [seen.snapshots.length, seen.states.length]
  fake.set('svc-1', list('ab'))
  fake.cut()
  t.strictSame([seen.snapshots.length, seen.states.length], [snapshots, states])
})

void t.test('stop leaves no timer, by either scheme, waiting, current or stale', async (t) => {
  for (const watchesMax of [100, 1])
    for (const phase of ['waiting', 'current', 'stale'] as const) {
      const fake = await fakeFor(t)
      for (const name of names(5)) fake.set(name, list('a'))
      if (phase === 'waiting') await fake.pause()
      const clock = new FakeClock()
      const source = createConsulSource(
        { address: fake.address, watchesMax },
        { clock, random: () => 0, log: silentLogger },
      )
      const seen = collect(source, names(5))
      const at = async (kind: string): Promise<unknown> =>
        until(() => {
          clock.advance(1)
          return seen.state().kind === kind && (kind === 'current' || seen.states.length > 1)
        })
      await at(phase === 'waiting' ? 'waiting' : 'current')
      if (phase === 'stale') {
        await fake.pause()
        await at('stale')
      }
      await source.stop()
      await until(() => clock.pending === 0, { what: `no timer left when ${phase}` })
      clock.advance(120_000)
      await new Promise((resolve) => setImmediate(resolve))
      t.equal(clock.pending, 0)
    }
})

void t.test('from single watches to the streams and back', async (t) => {
  const fake = await fakeFor(t)
  for (const name of names(12)) fake.set(name, list('a'))
  const schemes: string[] = []
  const log = { ...silentLogger, info: (_: object, message: string) => void schemes.push(message) }
  const options = { address: fake.address, watchesMax: 10 }
  const source = createConsulSource(options, { clock: systemClock, random: systemRandom, log })
  t.teardown(async () => source.stop())
  const seen = collect(source, names(10))
  await seen.until(() => true)
  t.equal(fake.count('/v1/health/state/any'), 0)
  const kept = seen.last().services.get('svc-3')
  source.setInterest({ names: new Set(names(11)), tagPrefix: undefined })
  await seen.until(() => seen.of('svc-10').length === 1)
  t.ok(fake.count('/v1/health/state/any') > 0)
  await until(() => fake.connections <= 14, { what: 'the watches are ended' })
  fake.set('svc-2', list('ab'))
  await seen.until(() => seen.of('svc-2').length === 2)
  const blocking = (): number =>
    fake.requests.filter((request) => request.query.has('index') && request.path.includes('/service/')).length
  const before = blocking()
  source.setInterest({ names: new Set(names(9)), tagPrefix: undefined })
  fake.set('svc-3', [{ id: 'a', port: 1 }])
  fake.set('svc-2', list('abc'))
  await seen.until(() => seen.of('svc-2').length === 3)
  t.equal(schemes.length, 2, 'one less is not yet a reason')
  source.setInterest({ names: new Set(names(8)), tagPrefix: undefined })
  await until(() => blocking() >= before + 8)
  fake.set('svc-2', list('a'))
  await seen.until(() => seen.of('svc-2').length === 1)
  t.equal(schemes.length, 3)
  t.equal(seen.last().services.get('svc-3'), kept, 'and what did not change is the same object through all of it')
})

void t.test('the streams: only what changed is read', async (t) => {
  const fake = await fakeFor(t)
  for (const name of names(40)) fake.set(name, list('ab'))
  const seen = follow(t, { address: fake.address, watchesMax: 5 }, names(40))
  await seen.until(() => seen.last().services.size === 40)
  const reads = (): number => fake.count(/health\/service/)
  const before = reads()
  t.equal(before, 40, 'at first each once')
  fake.set(
    'svc-7',
    [
      { id: 'a', port: 1, status: 'critical' },
      { id: 'b', port: 2 },
    ],
    'check',
  )
  await seen.until(() => seen.of('svc-7')[0]?.status === 'critical')
  t.equal(reads(), before + 1)
  fake.set('svc-8', [
    { id: 'a', port: 1, meta: { version: '2' } },
    { id: 'b', port: 2 },
  ])
  await seen.until(() => seen.of('svc-8')[0]?.meta['version'] === '2', 'a change that shows in no stream')
  t.ok(reads() <= before + 1 + 41, 'costs one sweep')
})

for (const watchesMax of [100, 1])
  void t.test(`a node whose agent died, with ${String(watchesMax)} watches`, async (t) => {
    const fake = await fakeFor(t)
    fake.set('web', [
      { id: 'a', port: 1 },
      { id: 'b', port: 2, node: 'n2' },
    ])
    fake.set('db', list('a'))
    fake.setNode('n2', 'passing')
    const seen = follow(t, { address: fake.address, watchesMax }, ['web', 'db'])
    await seen.until(() => seen.of('web').length === 2)
    fake.setNode('n2', 'critical')
    await seen.until(() => seen.of('web').some((one) => one.id === 'b' && one.status === 'critical' && one.agentLost))
    t.equal(seen.of('web').find((one) => one.id === 'a')?.status, 'passing')
  })

void t.test('1,000 services with 10,000 instances', async (t) => {
  const fake = await fakeFor(t)
  const all = names(1_000)
  for (const name of all) fake.set(name, list('abcdefghij'))
  const from = performance.now()
  const seen = follow(t, { address: fake.address }, all)
  await seen.until(() => seen.last().services.size === 1_000)
  t.comment(
    `first snapshot of 1,000 services after ${(performance.now() - from).toFixed(0)} ms, the fake's own time included`,
  )
  t.equal(
    all.reduce((sum, name) => sum + seen.of(name).length, 0),
    10_000,
  )
  t.equal(seen.snapshots.length, 1, 'it comes whole')
  t.ok(fake.connectionsMax <= 40, `${String(fake.connectionsMax)} connections`)
  const before = seen.last()
  const start = performance.now()
  fake.set('svc-500', list('abcdefghijk'))
  await seen.until(() => seen.of('svc-500').length === 11)
  t.comment(`one change after ${(performance.now() - start).toFixed(0)} ms`)
  const different = all.filter((name) => before.services.get(name) !== seen.last().services.get(name))
  t.strictSame(different, ['svc-500'])
})

void t.test('300 services over HTTP/1.1 and over HTTP/2', async (t) => {
  const certificate = await makeCertificate('localhost')
  for (const tls of [undefined, certificate]) {
    const fake = await fakeFor(t, tls ? { tls } : {})
    for (const name of names(300)) fake.set(name, list('a'))
    const seen = follow(t, { address: fake.address, tls: { verify: false } }, names(300))
    await seen.until(() => seen.last().services.size === 300)
    fake.set('svc-250', list('ab'))
    await seen.until(() => seen.of('svc-250').length === 2)
    const state = fake.count('/v1/health/state/any')
    t.ok(fake.connectionsMax <= (tls ? 5 : 40), `${String(fake.connectionsMax)} connections`)
    t.equal(state > 0, tls === undefined, tls ? 'each has its own watch' : 'the streams are used')
  }
})

void t.test('a snapshot names the latest index behind what is new in it', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('a'))
  fake.set('shop', list('a'))
  const source = sourceFor(t, { address: fake.address })
  const seen = collect(source, ['web', 'shop'])
  await seen.until(() => seen.of('shop').length === 1)
  t.equal(seen.last().index, String(fake.index), 'of all, the latest')
  fake.set('web', list('ab'))
  await seen.until(() => seen.of('web').length === 2)
  t.equal(seen.last().index, String(fake.index))
  fake.set('shop', list('ab'))
  await seen.until(() => seen.of('shop').length === 2)
  t.equal(seen.last().index, String(fake.index))
  source.setInterest({ names: new Set(['web']), tagPrefix: undefined })
  await seen.until(() => !seen.last().services.has('shop'))
  t.equal(seen.last().index, undefined, 'nothing that the catalog said')
})
