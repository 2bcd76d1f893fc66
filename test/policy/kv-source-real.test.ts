/** Documents in KV, read from a real agent and from the embedded catalog; rights and outages as only the real one has them. */
import t, { type Test } from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { createKvSource, type KvSourceOptions } from '../../src/policy/kv/kv-source.ts'
import type { DocumentSource } from '../../src/policy/documents/documents.ts'
import { entrants } from '../fixtures/catalog-speaker.ts'
import { collectDocuments, type CollectedDocuments } from '../fixtures/collect-documents.ts'
import { type ConsulAgent, startConsulAgent } from '../fixtures/consul-agent.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

function sourceFor(t: Test, options: Partial<KvSourceOptions>): DocumentSource {
  const deps = { clock: systemClock, random: systemRandom, log: silentLogger }
  const source = createKvSource({ prefix: 'fairlead', ...options }, deps)
  t.teardown(() => source.stop())
  return source
}

const follow = (t: Test, options: Partial<KvSourceOptions>): CollectedDocuments =>
  collectDocuments(sourceFor(t, options))

for (const entrant of await entrants())
  await t.test(entrant.kind, { skip: entrant.absent ?? false }, async (t) => {
    const it = await entrant.start()
    t.teardown(() => it.stop())
    const put = async (key: string, text: string): Promise<unknown> => it.ask('PUT', `kv/${key}`, text)

    await t.test('documents come, change and go', async (t) => {
      const source = sourceFor(t, { address: it.address, prefix: '/fairlead/' })
      const seen = collectDocuments(source)
      t.equal(source.name, 'kv:fairlead')
      t.equal((await seen.untilKeys()).version, 1, 'an empty prefix is an answer')
      await seen.untilState('current')
      await put('fairlead/services/web', 'one')
      await put('fairlead/routes/shop', 'r')
      await put('fairlead/services/db', 'd')
      await put('fairlead/history/services/web/1', 'beside')
      await put('fairlead/services/', '')
      await put('other/services/web', 'another environment')
      const first = await seen.untilKeys('routes/shop', 'services/db', 'services/web')
      await put('fairlead/services/web', 'two')
      await until(() => seen.texts()?.['services/web'] === 'two')
      const second = seen.snapshots.at(-1)
      for (const key of ['routes/shop', 'services/db'])
        t.equal(second?.documents.get(key), first.documents.get(key), 'the same is the same object')
      const index = second?.documents.get('services/web')?.modifyIndex
      t.ok((index ?? 0) > (first.documents.get('services/web')?.modifyIndex ?? 0))
      t.strictSame((await it.ask('PUT', `kv/fairlead/services/web?cas=${String(index)}`, 'three')).json(), true)
      await until(() => seen.texts()?.['services/web'] === 'three')
      await it.ask('DELETE', 'kv/fairlead/routes/shop')
      await it.ask('DELETE', 'kv/fairlead/services/web')
      await it.ask('DELETE', 'kv/fairlead/services/db')
      await seen.untilKeys()
      t.notOk(
        seen.states.some(({ kind }) => kind === 'stale'),
        'an ordinary end of the last one is no trouble',
      )
      t.strictSame(
        seen.snapshots.map(({ version }) => version),
        seen.snapshots.map((_, at) => at + 1),
      )
    })

    await t.test('what nothing reads is named', async (t) => {
      const seen = follow(t, { address: it.address, prefix: 'strays' })
      await put('strays/services/web', 'one')
      await put('strays/history/services/web/0000000001', 'one')
      await put('strays/service/web', 'one')
      await put('strays/staging/services/web', 'one')
      await seen.untilKeys('service/web', 'services/web', 'staging/')
      await it.ask('DELETE', 'kv/strays/service/web')
      await seen.untilKeys('services/web', 'staging/')
    })

    await t.test('values as odd as they come', async (t) => {
      await put('fairlead/services/umläut & slash%2Fed', 'ä')
      await put('fairlead/services/large', 'x'.repeat(64 * 1024 + 1))
      await put('fairlead/services/full', 'x'.repeat(64 * 1024))
      await fetch(`${it.address}/v1/kv/fairlead/services/bytes`, { method: 'PUT', body: Buffer.from([0xff, 0xfe]) })
      const seen = follow(t, { address: it.address })
      await until(() => seen.snapshots.at(-1)?.documents.size === 4)
      const documents = seen.snapshots.at(-1)?.documents
      t.match(documents?.get('services/large'), { text: '', flaw: 'too-large' })
      t.match(documents?.get('services/bytes'), { text: '', flaw: 'not-utf8' })
      t.equal(documents?.get('services/full')?.text.length, 64 * 1024)
      t.equal([...(documents?.values() ?? [])].find(({ text }) => text === 'ä')?.flaw, undefined)
    })

    await t.test('a change is known at once', async (t) => {
      const seen = follow(t, { address: it.address, prefix: 'quick' })
      await seen.untilKeys()
      const latencies: number[] = []
      for (let n = 0; n < 15; n++) {
        const from = performance.now()
        await put('quick/services/web', String(n))
        await until(() => seen.texts()?.['services/web'] === String(n))
        latencies.push(performance.now() - from)
      }
      latencies.sort((a, b) => a - b)
      t.comment(`write to published: median ${latencies[7]?.toFixed(1)} ms, worst ${latencies.at(-1)?.toFixed(1)} ms`)
    })
  })

const consul = await findConsul()
const master = '11111111-1111-1111-1111-111111111111'

async function agentFor(t: Test, options: Parameters<typeof startConsulAgent>[0] = {}): Promise<ConsulAgent> {
  const agent = await startConsulAgent(options)
  t.teardown(() => agent.stop())
  return agent
}

await t.test('rights and outages', { skip: consul.path === undefined ? consul.reason : false }, async (t) => {
  await t.test('a token that loses its rights takes nothing away', async (t) => {
    const agent = await agentFor(t, { aclToken: master })
    const api = async (method: string, path: string, body?: unknown): Promise<unknown> =>
      agent.api(method, path, body, master)
    const policy = (rules: string) => ({ Name: 'read', Rules: rules })
    const { ID: id } = (await api('PUT', '/v1/acl/policy', policy('key_prefix "fairlead/" { policy = "read" }'))) as {
      ID: string
    }
    const { SecretID: token } = (await api('PUT', '/v1/acl/token', { Policies: [{ ID: id }] })) as { SecretID: string }
    await api('PUT', '/v1/kv/fairlead/services/web', { a: 1 })
    await api('PUT', '/v1/kv/fairlead/services/db', { a: 1 })
    const seen = follow(t, { address: agent.address, token, emptyHoldMs: 200 })
    await seen.untilKeys('services/db', 'services/web')
    await seen.untilState('current')
    await api('PUT', `/v1/acl/policy/${id}`, { ID: id, ...policy('key_prefix "other/" { policy = "read" }') })
    // A query that waits has the rights it began with; the one after it has them no more.
    let wrote = 0
    await until(async () => {
      await api('PUT', '/v1/kv/fairlead/services/web', { n: wrote++ })
      return seen.state().kind === 'stale'
    })
    await api('PUT', '/v1/kv/fairlead/services/web', { a: 3 })
    await seen.untilState('stale', /2 of 2 documents are gone, the token may not read fairlead\/services\/db.*403/)
    t.strictSame(Object.keys(seen.texts() ?? {}), ['services/db', 'services/web'], 'the last good ones stand')
    await api('PUT', `/v1/acl/policy/${id}`, {
      ID: id,
      ...policy('key "fairlead/services/web" { policy = "read" }'),
    })
    await until(() => seen.texts()?.['services/web'] === '{"a":3}', { what: 'what can be seen is taken over' })
    t.match(seen.state(), { kind: 'stale', cause: 'not-believed', reason: /1 of 2 documents/ })
    await api('PUT', `/v1/acl/policy/${id}`, { ID: id, ...policy('key_prefix "fairlead/" { policy = "read" }') })
    await api('DELETE', '/v1/kv/fairlead/services/db')
    await seen.untilKeys('services/web')
    await seen.untilState('current')
  })

  await t.test('a token that never had rights is told, and is no empty prefix', async (t) => {
    const agent = await agentFor(t, { aclToken: master })
    const seen = follow(t, { address: agent.address, emptyHoldMs: 200 })
    await seen.untilState('waiting', /may not read fairlead\/\w+\/ \(it needs key_prefix read there\).*403/)
    const unknown = follow(t, { address: agent.address, token: '22222222-1111-1111-1111-111111111111' })
    await unknown.untilState('waiting', /403 ACL not found/)
    t.same([...seen.snapshots, ...unknown.snapshots], [])
  })

  await t.test('an agent that is killed and comes back empty is not believed at once', async (t) => {
    const agent = await agentFor(t)
    await agent.api('PUT', '/v1/kv/fairlead/services/web', { a: 1 })
    const seen = follow(t, { address: agent.address, emptyHoldMs: 1_500 })
    const before = await seen.untilKeys('services/web')
    await agent.kill('SIGKILL')
    await seen.untilState('stale', new RegExp(`^Consul at ${agent.address}: .*next try in `))
    const again = await agentFor(t, { ports: agent.ports })
    await seen.untilState('stale', /1 of 1 documents are gone after Consul was away/)
    t.equal(seen.snapshots.at(-1), before, 'the last good ones stand')
    await seen.untilKeys()
    await seen.untilState('current')
    await again.api('PUT', '/v1/kv/fairlead/drains/abc', { a: 1 })
    await seen.untilKeys('drains/abc')
  })
})
