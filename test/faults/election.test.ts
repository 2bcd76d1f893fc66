/** Three Consul servers lose their leader and choose another, under load, while a container dies. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type ConsulCluster, startConsulCluster } from '../fixtures/consul-cluster.ts'
import { until } from '../fixtures/until.ts'
import { byForm } from './lib/form.ts'
import { type Catalog, faultTest } from './lib/scenario.ts'

let cluster: ConsulCluster | undefined
let leader = 0

/** A server that is not the leader. */
async function catalog(folder: string, t: Test): Promise<Catalog> {
  const data = join(folder, 'servers')
  mkdirSync(data)
  const servers = await startConsulCluster(data)
  t.teardown(() => servers.stop())
  cluster = servers
  leader = await servers.leader()
  return servers.server((leader + 1) % 3)
}

faultTest('the leader dies, and an instance with it', {
  world: { catalog, backend: { latency: 5 } },
  act: async (world) => {
    world.load({ rate: 400 })
    await world.pass(500)
    await world.inflict('kill the leader', () => cluster?.server(leader).kill('SIGKILL'))
    await world.kill(world.instance(0))
    await world.pass(byForm(1_500, 10_000))
    const next = await world.fleet.start('web-1b', { latency: 5 })
    // No leader takes no registration.
    await until(() => world.fleet.register(next).then(() => true), { timeoutMs: 20_000 })
    await until(async () => (await world.proxy.endpoints()).some(({ port }) => port === next.port), {
      timeoutMs: 20_000,
      what: 'the replacement is routed',
    })
    await world.pass(byForm(500, 5_000))
  },
  alone: true,
})
