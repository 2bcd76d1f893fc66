/** Consul itself is killed, frozen, emptied, and put back to an earlier time, all under load: clients do not notice. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { type ConsulAgent, startConsulAgent } from '../fixtures/consul-agent.ts'
import { findConsul } from '../fixtures/install.ts'
import { until } from '../fixtures/until.ts'
import { byForm } from './lib/form.ts'
import { type Catalog, faultTest } from './lib/scenario.ts'

/** One server of its own that keeps its data, so that it comes back with what it knew. */
class OwnConsul implements Catalog {
  readonly address: string
  #agent: ConsulAgent
  readonly #data: readonly string[]

  private constructor(agent: ConsulAgent, data: readonly string[]) {
    this.#agent = agent
    this.address = agent.address
    this.#data = data
  }

  static async start(folder: string, t: Test): Promise<OwnConsul> {
    const hcl = 'performance = { raft_multiplier = 1 }'
    const data = ['-server', '-bootstrap-expect', '1', '-node', 'n1', '-data-dir', join(folder, 'consul'), '-hcl', hcl]
    const own = new OwnConsul(await startConsulAgent({ bare: true, extraArgs: data }), data)
    t.teardown(() => own.#agent.stop())
    await own.#ready()
    return own
  }

  async api(method: string, path: string, body?: unknown): Promise<unknown> {
    return await this.#agent.api(method, path, body)
  }

  async kill(): Promise<void> {
    await this.#agent.kill('SIGKILL')
  }

  freeze(): void {
    this.#agent.freeze()
  }

  thaw(): void {
    this.#agent.thaw()
  }

  async restart(): Promise<void> {
    await this.kill()
    this.#agent = await startConsulAgent({ bare: true, ports: this.#agent.ports, extraArgs: this.#data })
    await this.#ready()
  }

  async #ready(): Promise<void> {
    const knowsItself = async (): Promise<boolean> =>
      ((await this.api('GET', '/v1/health/service/consul')) as unknown[]).length > 0
    await until(knowsItself, { timeoutMs: 20_000, what: 'Consul has a leader' })
  }
}

const catalog = OwnConsul.start.bind(OwnConsul)
const own = (consul: Catalog): OwnConsul => consul as OwnConsul

faultTest('killed, and two containers die meanwhile', {
  world: { catalog, backend: { latency: 5 } },
  act: async (world) => {
    world.load()
    await world.pass(500)
    await world.inflict('kill Consul', () => own(world.consul).kill())
    for (const at of [0, 1]) {
      await world.pass(byForm(1_200, 20_000))
      await world.kill(world.instance(at))
    }
    await world.pass(byForm(1_200, 20_000))
    await world.heal(() => own(world.consul).restart())
    // The catalog still names the dead, as it does until somebody tells it.
    await world.pass(byForm(1_000, 5_000))
  },
  goals: { slowestMs: 250 },
})

faultTest('frozen, and one container dies meanwhile', {
  world: { catalog },
  act: async (world) => {
    world.load()
    await world.pass(300)
    await world.inflict('freeze Consul', () => own(world.consul).freeze())
    await world.pass(byForm(700, 10_000))
    await world.kill(world.instance(0))
    await world.pass(byForm(1_200, 50_000))
    await world.heal(() => own(world.consul).thaw())
    await world.pass(byForm(500, 5_000))
  },
})

faultTest('emptied: all registrations vanish at once, and come back', {
  world: { catalog },
  act: async (world) => {
    world.load()
    await world.pass(300)
    await world.inflict('empty Consul', async () => {
      await Promise.all(world.instances.map(({ name }) => world.fleet.deregister(name)))
    })
    await world.pass(byForm(3_000, 15_000))
    for (const instance of world.instances) await world.fleet.register(instance)
    await world.pass(byForm(1_000, 5_000))
  },
  // The brake: what still passes a probe is held, since a catalog that forgets everybody is likelier wrong than right.
  limits: { failedUnsafeMax: 0, seenMax: 1 },
})

faultTest('put back to an earlier time by a snapshot', {
  world: { catalog, instances: 3 },
  act: async (world) => {
    const consul = (await findConsul()).path ?? ''
    const file = join(world.folder, 'snapshot')
    const run = (...args: string[]): Promise<unknown> =>
      promisify(execFile)(consul, ['snapshot', ...args, '-http-addr', world.consul.address, file])
    await run('save')
    // What the snapshot does not know: much history, and a fourth instance.
    for (let at = 0; at < 40; at++) await world.consul.api('PUT', `/v1/kv/history/${at}`, at)
    const fourth = await world.fleet.start('web-4')
    await world.fleet.register(fourth)
    await world.routed([...world.instances, fourth])
    world.load()
    await world.pass(300)
    await world.inflict('restore', () => run('restore'))
    await world.pass(byForm(2_000, 20_000))
    // Indexes went backwards; a change must still be seen.
    const fifth = await world.fleet.start('web-5')
    await world.fleet.register(fifth)
    await until(async () => (await world.proxy.endpoints()).some(({ port }) => port === fifth.port), {
      timeoutMs: 25_000,
      what: 'an instance that registers after the restore',
    })
    await world.pass(500)
  },
  limits: { failedUnsafeMax: 0 },
})
