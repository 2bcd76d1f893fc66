/** Config entries as snapshots: from a real agent, from a catalog that has none, and from a scripted one. */
import t, { type Test } from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { createEntriesSource, type EntriesSourceOptions } from '../../src/policy/consul-entries/entries-source.ts'
import { translateEntries } from '../../src/policy/consul-entries/translate.ts'
import { startEmbedded } from '../fixtures/catalog-speaker.ts'
import { collectDocuments, type CollectedDocuments } from '../fixtures/collect-documents.ts'
import { startConsulAgent } from '../fixtures/consul-agent.ts'
import { FakeConsul } from '../fixtures/fake-consul.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

function follow(t: Test, options: EntriesSourceOptions): CollectedDocuments {
  const source = createEntriesSource(
    { emptyHoldMs: 200, ...options },
    { clock: systemClock, random: systemRandom, log: silentLogger },
  )
  t.teardown(() => source.stop())
  return collectDocuments(source)
}

const defaults = { Kind: 'service-defaults', Name: 'web', Protocol: 'http' }
const resolver = (v1: string): object => ({
  Kind: 'service-resolver',
  Name: 'web',
  DefaultSubset: 'v1',
  ConnectTimeout: '5s',
  Subsets: { v1: { Filter: v1 }, v2: { Filter: '"v2" in Service.Tags', OnlyPassing: true } },
})
const splitter = {
  Kind: 'service-splitter',
  Name: 'web',
  Splits: [
    { Weight: 90.5, ServiceSubset: 'v1' },
    { Weight: 9.5, ServiceSubset: 'v2' },
  ],
}
const router = {
  Kind: 'service-router',
  Name: 'web',
  Routes: [
    {
      Match: { HTTP: { Header: [{ Name: 'X-Canary', Exact: 'true', Invert: true }], Methods: ['GET'] } },
      Destination: { ServiceSubset: 'v2' },
    },
    {
      Match: { HTTP: { PathPrefix: '/admin', QueryParam: [{ Name: 'beta', Present: true }] } },
      Destination: {
        Service: 'web',
        ServiceSubset: 'v1',
        PrefixRewrite: '/',
        RequestTimeout: '1m30s',
        NumRetries: 3,
        RetryOnConnectFailure: true,
        RetryOnStatusCodes: [503],
      },
    },
  ],
}

const consul = await findConsul()
const master = '11111111-1111-1111-1111-111111111111'

await t.test('a real agent', { skip: consul.path === undefined ? consul.reason : false }, async (t) => {
  await t.test('entries come, change and go, and mean what they say', async (t) => {
    const agent = await startConsulAgent()
    t.teardown(() => agent.stop())
    const seen = follow(t, { address: agent.address })
    await seen.untilKeys()
    await seen.untilState('current')
    for (const entry of [defaults, resolver('Service.Meta.version == v1'), splitter, router])
      await agent.api('PUT', '/v1/config', entry)
    const all = await seen.untilKeys('service-resolver/web', 'service-router/web', 'service-splitter/web')
    t.ok([...all.documents.values()].every(({ modifyIndex }) => modifyIndex > 1))
    const { services, problems } = translateEntries(all.documents)
    t.same(problems, [])
    const web = services.get('web')
    t.match(web?.resolver, { defaultSubset: 'v1', connectTimeoutMs: 5_000, redirect: undefined })
    t.strictSame(web?.resolver?.subsets.get('v2'), {
      conditions: [{ kind: 'tag', value: 'v2', negated: false }],
      onlyPassing: true,
    })
    t.strictSame(
      web?.split?.map(({ target, weight }) => [target.service, target.subset, weight]),
      [
        ['web', 'v1', 9_050],
        ['web', 'v2', 950],
      ],
    )
    t.strictSame(web?.routes?.[0]?.match.headers, [
      { name: 'x-canary', match: { kind: 'exact', value: 'true' }, invert: true },
    ])
    t.strictSame(web?.routes?.[1], {
      match: {
        path: { kind: 'prefix', value: '/admin' },
        headers: [],
        query: [{ name: 'beta', match: { kind: 'present' } }],
        methods: [],
      },
      target: { service: 'web', subset: 'v1' },
      prefixRewrite: '/',
      requestTimeoutMs: 90_000,
      retry: { retries: 3, onConnectFailure: true, onStatuses: [503] },
    })
    await agent.api('PUT', '/v1/config', resolver('Service.Meta.version matches `v.*`'))
    await until(() => seen.texts()?.['service-resolver/web']?.includes('matches'))
    const changed = translateEntries(seen.snapshots.at(-1)?.documents ?? new Map())
    t.match(changed.problems, [
      {
        code: 'bad-config-entry',
        where: 'config-entries/service-resolver/web',
        message: /Subsets\.v1\.Filter .*is not supported/,
      },
    ])
    t.ok(changed.services.get('web')?.split, 'the other entries stand')
    await agent.api('DELETE', '/v1/config/service-router/web')
    await seen.untilKeys('service-resolver/web', 'service-splitter/web')
    await agent.api('DELETE', '/v1/config/service-splitter/web')
    await agent.api('DELETE', '/v1/config/service-resolver/web')
    await seen.untilKeys()
    t.notOk(seen.states.some(({ kind }) => kind === 'stale'))
  })

  await t.test('a token that loses its rights takes nothing away; an unknown one is told', async (t) => {
    const agent = await startConsulAgent({ aclToken: master })
    t.teardown(() => agent.stop())
    const api = async (method: string, path: string, body?: unknown): Promise<unknown> =>
      agent.api(method, path, body, master)
    const policy = (rules: string): object => ({ Name: 'read', Rules: rules })
    const readable = policy('service_prefix "" { policy = "read" }')
    const { ID: id } = (await api('PUT', '/v1/acl/policy', readable)) as { ID: string }
    const { SecretID: token } = (await api('PUT', '/v1/acl/token', { Policies: [{ ID: id }] })) as { SecretID: string }
    await api('PUT', '/v1/config', resolver('Service.Meta.version == v1'))
    const seen = follow(t, { address: agent.address, token })
    await seen.untilKeys('service-resolver/web')
    await api('PUT', `/v1/acl/policy/${id}`, { ID: id, ...policy('key_prefix "" { policy = "read" }') })
    // A query that waits has the rights it began with; the one after it has them no more.
    let wrote = 0
    await until(async () => {
      await api('PUT', '/v1/config', resolver(`Service.Meta.version == w${String(wrote++)}`))
      return seen.state().kind === 'stale'
    })
    await api('PUT', '/v1/config', resolver('Service.Meta.version == v4'))
    await seen.untilState('stale', /1 of 1 documents are gone, the token may not read service-resolver\/web.*403/)
    t.ok(seen.texts()?.['service-resolver/web'])
    await api('PUT', `/v1/acl/policy/${id}`, { ID: id, ...readable })
    await until(() => seen.texts()?.['service-resolver/web']?.includes('v4'))
    await seen.untilState('current')
    const unknown = follow(t, { address: agent.address, token: '22222222-1111-1111-1111-111111111111' })
    await unknown.untilState('waiting', /403 ACL not found/)
  })
})

void t.test(
  'what a token hides is told by name',
  { skip: consul.path === undefined ? consul.reason : false },
  async (t) => {
    const agent = await startConsulAgent({ aclToken: master })
    t.teardown(() => agent.stop())
    const api = async (method: string, path: string, body?: unknown): Promise<unknown> =>
      agent.api(method, path, body, master)
    const policy = (rules: string): object => ({ Name: 'read', Rules: rules })
    const { ID: id } = (await api('PUT', '/v1/acl/policy', policy('service "web" { policy = "read" }'))) as {
      ID: string
    }
    const { SecretID: token } = (await api('PUT', '/v1/acl/token', { Policies: [{ ID: id }] })) as { SecretID: string }
    await api('PUT', '/v1/config', resolver('Service.Meta.version == v1'))
    const names = ['web', 'shop']
    const source = createEntriesSource(
      { address: agent.address, token, emptyHoldMs: 200, waitMs: 1_000, names: () => names },
      { clock: systemClock, random: systemRandom, log: silentLogger },
    )
    t.teardown(() => source.stop())
    const seen = collectDocuments(source)
    await seen.untilKeys('service-resolver/web')
    await until(() => source.hidden().names.length > 0)
    t.same(source.hidden(), { names: ['shop'], some: false }, 'nothing of it exists, and nobody could tell')
    await api('PUT', `/v1/acl/policy/${id}`, { ID: id, ...policy('service_prefix "" { policy = "read" }') })
    await until(() => source.hidden().names.length === 0)
  },
)

void t.test('what Consul itself says it left out', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(() => fake.stop())
  let filtered: string | undefined = 'true'
  fake.script = () => ({
    body: '[]',
    headers: { 'x-consul-index': '9', 'x-consul-results-filtered-by-acls': filtered },
  })
  const source = createEntriesSource(
    { address: fake.address },
    { clock: systemClock, random: systemRandom, log: silentLogger },
  )
  t.teardown(() => source.stop())
  collectDocuments(source)
  await until(() => source.hidden().some)
  t.same(source.hidden().names, [])
  t.notOk(
    fake.requests.some(({ path }) => path.split('/').length > 4),
    'nobody is asked for where no name matters',
  )
  filtered = undefined
  await until(() => !source.hidden().some)
})

void t.test('a catalog without config entries has none, and is no trouble', async (t) => {
  const embedded = await startEmbedded()
  t.teardown(() => embedded.stop())
  const seen = follow(t, { address: embedded.address })
  await seen.untilKeys()
  await seen.untilState('current')
  t.notOk(seen.states.some(({ kind }) => kind === 'stale'))
})

void t.test('a catalog that does not know them any more takes nothing away, nor does one that fails', async (t) => {
  const fake = await FakeConsul.start()
  t.teardown(() => fake.stop())
  const body = JSON.stringify([{ ...resolver('x == y'), CreateIndex: 5, ModifyIndex: 6 }])
  let broken:
    { readonly status: number; readonly body: string; readonly headers?: Record<string, undefined> } | undefined
  fake.script = (request) => {
    if (broken) return broken
    if (request.query.has('index')) return { hang: true }
    return { body: request.path.endsWith('resolver') ? body : '[]', headers: { 'x-consul-index': '9' } }
  }
  const seen = follow(t, { address: fake.address })
  await seen.untilKeys('service-resolver/web')
  for (const answer of [
    { status: 404, body: 'gone', headers: { 'x-consul-index': undefined }, told: /answered 404 gone/ },
    { status: 501, body: 'no', told: /answered 501 no/ },
    { status: 500, body: 'invalid config entry kind', told: /answered 500 invalid/ },
    { status: 200, body: '{}', told: /is no list/ },
  ]) {
    broken = answer
    fake.cut()
    await seen.untilState('stale', answer.told)
    broken = undefined
    await seen.untilState('current')
  }
  t.equal(seen.snapshots.length, 1)
})
