/** A service that Consul's own API cannot tell of: it costs itself, and nothing that is said of the others is doubted for it. */
import t from 'tap'
import type { ConsulOptions } from '../../src/catalog/consul/options.ts'
import { createConsulSource } from '../../src/catalog/consul/source.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { type Collected, collect } from '../fixtures/collect-source.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { FakeConsul, type FakeInstance, type FakeRequest, type Scripted } from '../fixtures/fake-consul.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

interface Tap {
  teardown(fn: () => unknown): void
}

async function fakeFor(t: Tap): Promise<FakeConsul> {
  const fake = await FakeConsul.start()
  t.teardown(async () => fake.stop())
  return fake
}

function follow(t: Tap, options: ConsulOptions, names: readonly string[]): Collected {
  const source = createConsulSource(options, { clock: systemClock, random: systemRandom, log: silentLogger })
  t.teardown(async () => source.stop())
  return collect(source, names, 'urlprefix-')
}

const tagged = (id: string): FakeInstance => ({ id, tags: [`urlprefix-${id}.example.com/`] })
const list = (ids: string): FakeInstance[] => ids.split('').map((id, n) => ({ id, port: n + 1 }))

/** As Consul 1.8 does: 400 for a control character, a redirect for `..`. */
function asConsul({ path, query }: FakeRequest): Scripted | undefined {
  if (path === '/v1/health/')
    return { status: 301, body: `<a href="/v1/health?${query.toString()}">Moved Permanently</a>` }
  return path.includes('%0A') ? { status: 400, body: 'Bad request' } : undefined
}

const troubles = ({ states }: Collected): readonly unknown[] => states.filter(({ kind }) => kind === 'stale')

for (const [scheme, watchesMax] of [
  ['single watches', 100],
  ['the streams', 1],
] as const)
  void t.test(`names that no path can carry, by ${scheme}`, async (t) => {
    const fake = await fakeFor(t)
    fake.script = asConsul
    fake.set('foo', [tagged('foo')])
    fake.set('bar', [tagged('bar')])
    fake.set('a\nb', [tagged('evil')])
    fake.set('..', [tagged('dots')])
    // What is not believed at once is not within this test.
    const seen = follow(t, { address: fake.address, watchesMax, emptyHoldMs: 600_000 }, [])
    await seen.until((snapshot) => snapshot.problems.length === 2 && seen.of('foo').length === 1)
    const said = {
      code: 'service-unread',
      message: /of service .* alone, and it gets no traffic until it can be read$/,
    }
    t.match(seen.last().problems, [said, said])
    t.match(
      seen
        .last()
        .problems.map(({ message }) => message)
        .sort(),
      [/answered 301;/, /answered 400;/],
    )
    t.match(seen.state(), { kind: 'current' })

    fake.set('new', [tagged('new')])
    await seen.until(() => seen.of('new').length === 1)

    fake.set('foo', [])
    await seen.until(() => seen.of('foo').length === 0, 'the only instance of another service goes at once')
    await until(() => fake.count(/%0A/) > 3, { what: 'it is tried again' })
    t.same(troubles(seen), [])
    const texts = new Set(seen.snapshots.flatMap(({ problems }) => problems.map(({ message }) => message)))
    t.equal(texts.size, 2, 'the text stays the same from try to try')

    fake.set('a\nb', [])
    fake.set('..', [])
    await seen.until((snapshot) => snapshot.problems.length === 0, 'what was said of it goes with it')
    t.same(troubles(seen), [])
  })

void t.test('where nothing else matters, a first snapshot says so', async (t) => {
  const fake = await fakeFor(t)
  fake.script = asConsul
  fake.set('a\nb', [tagged('evil')])
  const seen = follow(t, { address: fake.address }, [])
  await seen.until(() => true)
  t.match(seen.last().problems, [{ code: 'service-unread', where: 'consul:a\nb' }])
  t.match(seen.state(), { kind: 'current' })
})

void t.test(
  'a service that was read before keeps what was known, and its return is judged as after trouble',
  async (t) => {
    const fake = await fakeFor(t)
    fake.set('web', list('abc'))
    fake.set('foo', list('a'))
    const seen = follow(t, { address: fake.address, emptyHoldMs: 500 }, ['web', 'foo'])
    await seen.until(() => seen.of('web').length === 3)
    fake.script = ({ path }) => (path.endsWith('/web') ? { status: 404, body: '' } : undefined)
    fake.set('web', list('a'))
    await seen.until((snapshot) => snapshot.problems.length === 1)
    t.match(seen.last().problems, [{ where: 'consul:web', message: /what was known of it last stands/ }])
    t.equal(seen.of('web').length, 3)
    fake.script = undefined
    await seen.untilState('stale', /2 of 3 instances are gone after Consul was away/)
    t.equal(seen.of('web').length, 3)
    await seen.until(() => seen.of('web').length === 1 && seen.last().problems.length === 0)
  },
)

void t.test(
  'where Consul cannot be asked about a plain name either, or refuses the token, the source is in trouble',
  async (t) => {
    const fake = await fakeFor(t)
    fake.set('web', list('a'))
    fake.set('foo', list('a'))
    const seen = follow(t, { address: fake.address }, ['web', 'foo'])
    await seen.until(() => seen.of('web').length === 1)
    const ill: readonly [status: number, paths: RegExp][] = [
      [404, /service/],
      [403, /\/web$/],
      [429, /\/web$/],
      [500, /\/web$/],
    ]
    for (const [status, paths] of ill) {
      fake.script = ({ path }) => (paths.test(path) && !path.includes('catalog') ? { status, body: '' } : undefined)
      fake.cut()
      await seen.untilState('stale', new RegExp(`answered ${String(status)}`))
      fake.script = undefined
      await seen.untilState('current')
    }
  },
)

const consul = await findConsul()
if (consul.path === undefined) t.pass('the same at a real Consul', { skip: consul.reason })
else
  void t.test('the same at a real Consul', async (t) => {
    const agent = await startConsulAgent()
    t.teardown(async () => agent.stop())
    for (const [id, Name] of [
      ['evil', 'a\nb'],
      ['foo', 'foo'],
    ]) {
      const body = { Name, ID: id, Address: '127.0.0.1', Port: 9000, Tags: [`urlprefix-${String(id)}.example.com/`] }
      await agent.api('PUT', '/v1/agent/service/register', body)
    }
    const seen = follow(t, { address: agent.address, emptyHoldMs: 600_000 }, [])
    await seen.until((snapshot) => snapshot.problems.length === 1 && seen.of('foo').length === 1)
    t.match(seen.last().problems, [{ code: 'service-unread', where: 'consul:a\nb', message: /answered 400/ }])
    await agent.api('PUT', '/v1/agent/service/deregister/foo')
    await seen.until(() => seen.of('foo').length === 0)
    await agent.api('PUT', '/v1/agent/service/deregister/evil')
    await seen.until((snapshot) => snapshot.problems.length === 0)
    t.same(troubles(seen), [])
  })
