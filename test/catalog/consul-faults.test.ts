/** A Consul that freezes, answers far too much, or is asked to confirm what it said; and what the brake makes of a real one. */
import t from 'tap'
import { createConsulSource } from '../../src/catalog/consul/source.ts'
import type { ConsulOptions } from '../../src/catalog/consul/options.ts'
import type { CatalogSource } from '../../src/catalog/source.ts'
import { createReconciler } from '../../src/control/reconcile.ts'
import { holdMs } from '../../src/control/source-brake.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { collect } from '../fixtures/collect-source.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeConsul, type FakeInstance, type Scripted } from '../fixtures/fake-consul.ts'
import { findConsul } from '../fixtures/install.ts'
import { policy, route } from '../fixtures/tables.ts'
import { until } from '../fixtures/until.ts'
import { noTurns } from '../fixtures/turns.ts'

interface Tap {
  teardown(fn: () => unknown): void
}

async function fakeFor(t: Tap): Promise<FakeConsul> {
  const fake = await FakeConsul.start()
  t.teardown(async () => fake.stop())
  return fake
}

function sourceFor(t: Tap, options: ConsulOptions): CatalogSource {
  const source = createConsulSource(options, { clock: systemClock, random: systemRandom, log: silentLogger })
  t.teardown(async () => source.stop())
  return source
}

const list = (ids: string): FakeInstance[] => ids.split('').map((id, n) => ({ id, port: n + 1 }))

void t.test('an answer of 100 MB is refused, with a reason, and what was known of that service stays', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('ab'))
  const seen = collect(sourceFor(t, { address: fake.address }), ['web'])
  await seen.until(() => seen.of('web').length === 2)
  const before = seen.last()
  const body = `[${' '.repeat(100 * 1024 * 1024)}]`
  for (const headers of [{}, { 'content-length': undefined }]) {
    fake.script = (request) => (request.path.endsWith('/web') ? { body, headers } : undefined)
    fake.set('web', list('abc'))
    fake.cut()
    await seen.until((snapshot) => snapshot.problems.length === 1)
    t.match(seen.last().problems, [
      { code: 'service-unread', message: /the answer is larger than 64 MiB, the most that is taken.*last stands/ },
    ])
    t.equal(seen.last().services.get('web'), before.services.get('web'))
    fake.set('web', list('ab'))
    fake.script = undefined
    await seen.until((snapshot) => snapshot.problems.length === 0)
  }
  fake.set('web', list('abc'))
  await seen.until(() => seen.of('web').length === 3, 'and then it goes on')
})

void t.test('a confirming read asks the leader, and says nothing where that cannot be believed', async (t) => {
  const fake = await fakeFor(t)
  fake.set('web', list('ab'))
  const source = sourceFor(t, { address: fake.address })
  const seen = collect(source, ['web'])
  await seen.until(() => seen.of('web').length === 2)
  const ids = async (): Promise<string | undefined> =>
    (await source.confirm?.('web'))?.map(({ id, key }) => (key === '' ? '' : id)).join('')
  t.equal(await ids(), 'ab')
  t.ok(fake.requests.at(-1)?.query.has('consistent'))
  t.notOk(fake.requests.at(-1)?.query.has('index'), 'and waits for nothing')
  const published = seen.snapshots.length
  const cases: [string, Scripted, string | undefined][] = [
    ['no leader', { headers: { 'x-consul-knownleader': 'false' } }, undefined],
    ['filtered', { headers: { 'x-consul-results-filtered-by-acls': 'true' } }, undefined],
    ['an error', { status: 500, body: 'rpc error' }, undefined],
    ['not JSON', { body: '{' }, undefined],
    ['torn', { body: '[{}]', cutAfter: 2 }, undefined],
    ['gone, and the catalog shows others', { body: '[]' }, ''],
  ]
  for (const [name, scripted, expected] of cases) {
    fake.script = (request) => (request.query.has('consistent') ? scripted : undefined)
    t.equal(await ids(), expected, name)
  }
  fake.script = (request) =>
    request.query.has('consistent') ? { body: '[]' } : request.path.endsWith('services') ? { body: '{}' } : undefined
  t.equal(await ids(), undefined, 'gone, and so is all the catalog: the token is blind')
  fake.script = undefined
  t.equal(seen.snapshots.length, published, 'it publishes nothing')
  t.equal(seen.state().kind, 'current')
  await source.stop()
  t.equal(await ids(), undefined, 'after the end')
})

void t.test('many confirming reads are a few at a time', async (t) => {
  const fake = await fakeFor(t)
  const names = Array.from({ length: 20 }, (_, n) => `svc-${n}`)
  for (const name of names) fake.set(name, list('a'))
  const source = sourceFor(t, { address: fake.address })
  const seen = collect(source, names)
  await seen.until(() => names.every((name) => seen.of(name).length === 1))
  fake.script = (request) => (request.query.has('consistent') ? { hang: true } : undefined)
  const asked = (): number => fake.requests.filter(({ query }) => query.has('consistent')).length
  const reads = names.map(async (name) => source.confirm?.(name))
  await until(() => asked() === 4)
  fake.script = undefined
  fake.set('other', list('a'))
  fake.cut()
  t.same(
    (await Promise.all(reads)).map((instances) => instances?.length),
    names.map((_, n) => (n < 4 ? undefined : 1)),
    'what was cut confirms nothing, the others had their turn',
  )
})

const consul = await findConsul()

if (consul.path === undefined) t.pass('the same at a real Consul', { skip: consul.reason })
else {
  await t.test('an agent that is frozen, and thaws', async (t) => {
    const agent = await startConsulAgent()
    t.teardown(async () => agent.stop())
    const register = async (id: string): Promise<unknown> =>
      agent.api('PUT', '/v1/agent/service/register', { Name: 'web', ID: id, Address: '127.0.0.1', Port: 80 })
    await register('a')
    const seen = collect(sourceFor(t, { address: agent.address, waitMs: 1_000 }), ['web'])
    await seen.until(() => seen.of('web').length === 1)
    agent.freeze()
    await until(() => seen.state().kind === 'stale', { timeoutMs: 30_000, what: 'the silence to be noticed' })
    t.match(seen.state(), { reason: /no answer within 11\.\d s/ })
    t.equal(seen.of('web').length, 1, 'what was known stands')
    agent.thaw()
    await register('b')
    await until(() => seen.of('web').length === 2, { timeoutMs: 20_000 })
    await seen.untilState('current')
  })

  await t.test('a real mass deregistration is held, then confirmed', async (t) => {
    const agent = await startConsulAgent()
    t.teardown(async () => agent.stop())
    // On a node without an agent: nobody brings them back.
    for (const [n, id] of ['a', 'b', 'c', 'd'].entries())
      await agent.api('PUT', '/v1/catalog/register', {
        Node: 'n2',
        Address: '127.0.0.1',
        Service: { Service: 'web', ID: id, Port: 81 + n },
      })
    const clock = new FakeClock()
    let table: RouteTable | undefined
    const reconciler = createReconciler({
      inTurn: noTurns,
      sources: [sourceFor(t, { address: agent.address })],
      policy: policy([route('/', 'web')]),
      clock,
      log: silentLogger,
      publish: (next) => (table = next),
    })
    t.teardown(async () => reconciler.stop())
    reconciler.start()
    const shown = (): string => {
      clock.advance(10)
      const groups = table?.services.get('web')?.groups ?? []
      return groups.flatMap(({ endpoints }) => endpoints.map(({ id, held }) => (held ? `(${id})` : id))).join('')
    }
    await until(() => shown() === 'abcd')
    // A node that is taken out takes all its instances at once.
    await agent.api('PUT', '/v1/catalog/deregister', { Node: 'n2' })
    await until(() => shown() === '(a)(b)(c)(d)')
    clock.advance(holdMs)
    await until(() => shown() === '', { what: 'the second read' })
  })
}
