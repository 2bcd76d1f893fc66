import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { createConsulSource } from '../../src/catalog/consul/source.ts'
import type { ConsulOptions } from '../../src/catalog/consul/options.ts'
import type { CatalogSource } from '../../src/catalog/source.ts'
import { type Collected, collect } from '../fixtures/collect-source.ts'
import { type ConsulAgent, startConsulAgent } from '../fixtures/consul-agent.ts'
import { until } from '../fixtures/until.ts'
import { findConsul } from '../fixtures/install.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLogger }

async function agentFor(test: Tap, options: Parameters<typeof startConsulAgent>[0] = {}): Promise<ConsulAgent> {
  const agent = await startConsulAgent(options)
  test.teardown(async () => agent.stop())
  return agent
}

interface Tap {
  teardown(fn: () => unknown): void
}

function sourceFor(test: Tap, options: ConsulOptions): CatalogSource {
  const source = createConsulSource(options, deps)
  test.teardown(async () => source.stop())
  return source
}

function follow(test: Tap, options: ConsulOptions, names: readonly string[], tagPrefix?: string): Collected {
  return collect(sourceFor(test, options), names, tagPrefix)
}

interface Definition {
  readonly [key: string]: unknown
}

async function register(
  agent: ConsulAgent,
  service: string,
  id: string,
  more: Definition = {},
  token?: string,
): Promise<void> {
  const body = { Name: service, ID: id, Address: '127.0.0.1', Port: 9000, ...more }
  await agent.api('PUT', '/v1/agent/service/register', body, token)
}

async function deregister(agent: ConsulAgent, id: string): Promise<void> {
  await agent.api('PUT', `/v1/agent/service/deregister/${id}`)
}

const consul = await findConsul()

if (consul.path === undefined) t.pass('needs a real Consul', { skip: consul.reason })
else {
  await t.test('an instance comes, changes and goes', async (t) => {
    const agent = await agentFor(t)
    const seen = follow(t, { address: agent.address }, ['web', 'absent'])
    const first = await seen.until(() => true)
    t.strictSame([...first.services.keys()].sort(), ['absent', 'web'])
    await seen.untilState('current')
    for (let n = 0; n < 20; n++) await register(agent, 'web', `web-${String(n)}`, { Port: 9000 + n })
    await seen.until(() => seen.of('web').length === 20)
    const before = seen.last()
    await register(agent, 'web', 'web-0', { Meta: { version: '2' }, Weights: { Passing: 7, Warning: 2 } })
    await seen.until(() => seen.of('web').some((instance) => instance.meta['version'] === '2'))
    const changed = seen.of('web').find((instance) => instance.id === 'web-0')
    t.strictSame(changed?.weights, { passing: 7, warning: 2 })
    t.equal(seen.last().services.get('absent'), before.services.get('absent'), 'what did not change is the same object')
    for (let n = 0; n < 20; n++) await deregister(agent, `web-${String(n)}`)
    await seen.until(() => seen.of('web').length === 0)
    t.notOk(
      seen.states.some((state) => state.kind === 'stale'),
      'an ordinary end of the last instance is no trouble',
    )
  })
  await t.test('a registration is published within milliseconds', async (t) => {
    const agent = await agentFor(t)
    const names = Array.from({ length: 21 }, (_, n) => `svc-${String(n)}`)
    for (const name of names) await register(agent, name, `${name}-a`)
    const seen = follow(t, { address: agent.address }, names)
    await seen.until(() => names.every((name) => seen.of(name).length === 1))
    const latencies: number[] = []
    for (const name of names) {
      const from = performance.now()
      await register(agent, name, `${name}-b`, { Port: 9001 })
      await until(() => seen.of(name).length === 2)
      latencies.push(performance.now() - from)
    }
    latencies.sort((a, b) => a - b)
    t.comment(`register to published: median ${latencies[10]?.toFixed(1)} ms, worst ${latencies.at(-1)?.toFixed(1)} ms`)
  })

  await t.test('statuses: maintenance, warning, TTL that ends, weights', async (t) => {
    const agent = await agentFor(t)
    const check = { CheckID: 'ttl', TTL: '1s', Status: 'passing' }
    await register(agent, 'web', 'a', { Port: 1, Check: check })
    await register(agent, 'web', 'b', { Port: 2 })
    const seen = follow(t, { address: agent.address }, ['web'])
    const status = (id: string): string | undefined => seen.of('web').find((instance) => instance.id === id)?.status
    await seen.until(() => status('a') === 'passing' && status('b') === 'passing')
    await agent.api('PUT', '/v1/agent/check/warn/ttl')
    await seen.until(() => status('a') === 'warning')
    await seen.until(() => status('a') === 'critical', 'the TTL ended')
    t.notOk(seen.of('web').some((instance) => instance.agentLost))
    await agent.api('PUT', '/v1/agent/service/maintenance/b?enable=true&reason=test')
    await seen.until(() => status('b') === 'maintenance')
    await agent.api('PUT', '/v1/agent/service/maintenance/b?enable=false')
    await seen.until(() => status('b') === 'passing')
    await agent.api('PUT', '/v1/agent/maintenance?enable=true')
    await seen.until(() => status('a') === 'maintenance' && status('b') === 'maintenance')
  })

  await t.test('an agent that is killed and comes back empty is not believed at once', async (t) => {
    const agent = await agentFor(t)
    await register(agent, 'web', 'a', { Port: 1 })
    await register(agent, 'web', 'b', { Port: 2 })
    const seen = follow(t, { address: agent.address, emptyHoldMs: 1_500 }, ['web'])
    await seen.until(() => seen.of('web').length === 2)
    const before = seen.last().services.get('web')
    await agent.kill('SIGKILL')
    const stale = await seen.untilState('stale', /ECONNREFUSED|closed|ECONNRESET/)
    t.match(stale, { reason: new RegExp(`^Consul at ${agent.address}: .*next try in `) })
    const again = await startConsulAgent({ ports: agent.ports })
    t.teardown(async () => again.stop())
    await seen.untilState('stale', /2 of 2 instances are gone after Consul was away/)
    t.equal(seen.last().services.get('web'), before, 'the last good instances stand')
    await register(again, 'web', 'b', { Port: 2 })
    await seen.untilState('current')
    await seen.until(() => seen.ids('web').join() === 'b' || seen.ids('web').join() === 'a,b')
    await again.api('PUT', '/v1/agent/service/deregister/b')
    await seen.until(() => seen.of('web').length === 0, 'in the end an empty service is believed')
    await seen.untilState('current')
  })

  await t.test('access control: blind at start, rights lost, token revoked, token replaced', async (t) => {
    const root = 'b1b1b1b1-0000-4000-8000-000000000001'
    const agent = await agentFor(t, { aclToken: root })
    const blind = follow(t, { address: agent.address }, ['web'])
    await blind.untilState('waiting', /the token sees nothing/)
    t.same(blind.snapshots, [])

    await register(agent, 'web', 'a', { Port: 1 }, root)
    const rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
    const policy = (await agent.api('PUT', '/v1/acl/policy', { Name: 'reader', Rules: rules }, root)) as { ID: string }
    const makeToken = async (): Promise<{ AccessorID: string; SecretID: string }> =>
      (await agent.api('PUT', '/v1/acl/token', { Policies: [{ Name: 'reader' }] }, root)) as never
    const first = await makeToken()
    const file = path.join(t.testdir({}), 'token')
    await writeFile(file, `${first.SecretID}\n`)
    const seen = follow(t, { address: agent.address, tokenFile: file, waitMs: 1_000, emptyHoldMs: 300 }, ['web'])
    await seen.until(() => seen.of('web').length === 1)

    const setRules = async (text: string): Promise<unknown> =>
      agent.api('PUT', `/v1/acl/policy/${policy.ID}`, { ID: policy.ID, Name: 'reader', Rules: text }, root)
    await setRules('key_prefix "" { policy = "read" }')
    await seen.untilState('stale', /token/)
    t.equal(seen.of('web').length, 1, 'rights lost: the last instances stand')
    await setRules(rules)
    await seen.untilState('current')

    await agent.api('DELETE', `/v1/acl/token/${first.AccessorID}`, undefined, root)
    await seen.untilState('stale', /403/)
    t.equal(seen.of('web').length, 1, 'token revoked: the last instances stand')
    await writeFile(file, (await makeToken()).SecretID)
    await seen.untilState('current')
    await register(agent, 'web', 'b', { Port: 2 }, root)
    await seen.until(() => seen.of('web').length === 2)
    t.notOk(JSON.stringify(seen.states).includes(first.SecretID), 'no token in any reason')
  })

  await t.test('a token that sees services but no nodes is said so', async (t) => {
    const root = 'b1b1b1b1-0000-4000-8000-000000000002'
    const agent = await agentFor(t, { aclToken: root })
    await register(agent, 'web', 'a', { Port: 1 }, root)
    await agent.api('PUT', '/v1/acl/policy', { Name: 'half', Rules: 'service_prefix "" { policy = "read" }' }, root)
    const token = (await agent.api('PUT', '/v1/acl/token', { Policies: [{ Name: 'half' }] }, root)) as {
      SecretID: string
    }
    const seen = follow(t, { address: agent.address, token: token.SecretID }, ['web'])
    await seen.untilState('waiting', /lists web but shows none .* node:read/)
  })

  await t.test('a Unix socket', async (t) => {
    // A socket's path is short, so not in the tree.
    const folder = await mkdtemp(path.join(tmpdir(), 'consul-'))
    t.teardown(async () => rm(folder, { recursive: true, force: true }))
    const socket = path.join(folder, 's')
    const agent = await agentFor(t, { extraArgs: ['-hcl', `addresses = { http = "127.0.0.1 unix://${socket}" }`] })
    const seen = follow(t, { address: `unix:${socket}` }, ['web'])
    await seen.until(() => true)
    await register(agent, 'web', 'a')
    await seen.until(() => seen.of('web').length === 1)
  })

  await t.test('by the streams: a change of health, of tags, of Meta alone, an end', async (t) => {
    const agent = await agentFor(t)
    for (const name of ['web', 'api', 'db'])
      await register(agent, name, `${name}-1`, { Check: { CheckID: name, TTL: '10m', Status: 'passing' } })
    const seen = follow(t, { address: agent.address, watchesMax: 1 }, ['web', 'api'], 'urlprefix-')
    await seen.until(() => seen.of('web').length === 1 && seen.of('api').length === 1)
    t.notOk(seen.last().services.has('db'), 'nobody asked for it')
    const others = seen.last().services.get('api')
    await agent.api('PUT', '/v1/agent/check/fail/web')
    await seen.until(() => seen.of('web')[0]?.status === 'critical')
    await register(agent, 'web', 'web-2', { Port: 2 })
    await seen.until(() => seen.of('web').length === 2, 'an instance without a check')
    const meta = { Port: 2, Meta: { version: '9.10' } }
    await register(agent, 'web', 'web-2', meta)
    await seen.until(() => seen.of('web').some((instance) => instance.meta['version'] === '9.10'), 'a change of Meta')
    await register(agent, 'db', 'db-1', { Tags: ['urlprefix-/db'] })
    await seen.until(() => seen.of('db').length === 1, 'a tag makes a service matter')
    t.equal(seen.last().services.get('api'), others, 'what did not change is the same object')
    await deregister(agent, 'db-1')
    await seen.until(() => seen.of('db').length === 0 && seen.last().services.has('db'))
    await agent.api('PUT', '/v1/agent/maintenance?enable=true')
    await seen.until(() => seen.of('api')[0]?.status === 'maintenance', "a node's own check")
    t.notOk(seen.states.some((state) => state.kind === 'stale'))
  })

  await t.test('300 services keep the promise on connections', async (t) => {
    const agent = await agentFor(t)
    const names = Array.from({ length: 300 }, (_, n) => `svc-${String(n)}`)
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map(async (name) => register(agent, name, `${name}-a`)))
    const source = sourceFor(t, { address: agent.address })
    const few = new Set(names.slice(0, 90))
    const seen = collect(source, [...few])
    await seen.until(() => [...few].every((name) => seen.of(name).length === 1))
    let worst = 0
    const look = async (): Promise<void> => void (worst = Math.max(worst, await connectionsTo(agent.ports.http)))
    await look()
    source.setInterest({ names: new Set(names), tagPrefix: undefined })
    await seen.until(async () => {
      await look()
      return names.every((name) => seen.of(name).length === 1)
    })
    await register(agent, 'svc-200', 'svc-200-b', { Port: 2 })
    await seen.until(() => seen.of('svc-200').length === 2)
    source.setInterest({ names: few, tagPrefix: undefined })
    await register(agent, 'svc-1', 'svc-1-b', { Port: 2 })
    await seen.until(() => seen.of('svc-1').length === 2 && seen.last().services.size === 90)
    await look()
    t.ok(worst > 0 && worst <= 120, `at most ${String(worst)} connections`)
  })
}

/** Established connections to a local port, as the kernel counts them. */
async function connectionsTo(port: number): Promise<number> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/))
  return lines.filter((fields) => fields[2]?.endsWith(hex) === true && fields[3] === '01').length
}
