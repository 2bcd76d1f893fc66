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

if (consul.path === undefined) {
  t.comment(consul.reason)
  t.pass('needs a real Consul')
} else {
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
}
