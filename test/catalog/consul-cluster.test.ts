import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { createConsulSource } from '../../src/catalog/consul/source.ts'
import { systemClock } from '../../src/core/clock.ts'
import { silentLogger } from '../../src/core/log.ts'
import { systemRandom } from '../../src/core/random.ts'
import { collect } from '../fixtures/collect-source.ts'
import { startConsulCluster } from '../fixtures/consul-cluster.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'

const consul = await findConsul()

if (consul.path === undefined) t.pass('needs a real Consul', { skip: consul.reason })
else {
  await t.test('servers lose their leader, their quorum, and find both again', async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'consul-cluster-'))
    const cluster = await startConsulCluster(folder)
    t.teardown(async () => {
      await cluster.stop()
      await rm(folder, { recursive: true, force: true })
    })
    const first = await cluster.leader()
    const [near, other] = [0, 1, 2].filter((at) => at !== first) as [number, number]
    const agent = cluster.server(near)
    const register = async (id: string): Promise<unknown> =>
      agent.api('PUT', '/v1/agent/service/register', { Name: 'web', ID: id, Address: '127.0.0.1', Port: 80 })
    await register('a')
    await until(async () => ((await agent.api('GET', '/v1/health/service/web')) as unknown[]).length === 1)
    const sources = [true, false].map((stale) => {
      const options = { address: agent.address, stale, waitMs: 1_000, emptyHoldMs: 500 }
      const source = createConsulSource(options, { clock: systemClock, random: systemRandom, log: silentLogger })
      t.teardown(async () => source.stop())
      return collect(source, ['web'])
    })
    for (const seen of sources) await seen.until(() => seen.of('web').length === 1)
    const known = (): boolean => sources.every((seen) => seen.of('web').some((one) => one.id === 'a'))

    await Promise.all([cluster.server(first).kill('SIGKILL'), cluster.server(other).kill('SIGKILL')])
    const [stale, strict] = sources as [(typeof sources)[0], (typeof sources)[0]]
    await strict.untilState('stale', /500|No cluster leader/)
    t.ok(known(), 'what was known stands without a quorum')
    const answered = await fetch(`${agent.address}/v1/health/service/web?stale`)
    await answered.text()
    t.equal(answered.status, 200, 'a stale read is answered')
    t.ok(stale.of('web').length === 1)

    await Promise.all([cluster.restart(first), cluster.restart(other)])
    await cluster.leader()
    await until(async () => register('b').then(() => true))
    for (const seen of sources) {
      await until(() => seen.of('web').length === 2, { timeoutMs: 40_000 })
      t.strictSame(
        seen.snapshots.filter((snapshot) => snapshot.services.get('web')?.instances.length === 0),
        [],
        JSON.stringify(seen.states),
      )
    }
    t.ok(known())
    await agent.api('PUT', '/v1/agent/service/deregister/a')
    await agent.api('PUT', '/v1/agent/service/deregister/b')
    for (const seen of sources) await seen.until(() => seen.of('web').length === 0)
  })
}
