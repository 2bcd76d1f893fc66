/** Crash-only: kill -9 of the proxy itself, and it serves again with nothing repaired; from its snapshot when Consul is away. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ConsulAgent, startConsulAgent } from '../fixtures/consul-agent.ts'
import { until } from '../fixtures/until.ts'
import { askOnce } from './lib/client.ts'
import { long } from './lib/form.ts'
import { type Catalog, faultTest } from './lib/scenario.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'fairlead-state-'))
t.teardown(() => rmSync(stateDir, { recursive: true, force: true }))
let agent: ConsulAgent | undefined
/** By whether Consul was away, ms. */
const tookByForm = new Map<boolean, number>()

/** The snapshot names all of these ports: it is written within a second of a change. The history names them, too, and is none. */
function isSaved(ports: readonly number[]): boolean {
  const texts = readdirSync(stateDir)
    .filter((name) => name === 'snapshot.json')
    .map((name) => readFileSync(join(stateDir, name), 'utf8'))
  return texts.some((text) => ports.every((port) => text.includes(String(port))))
}

async function catalog(_folder: string, t: Test): Promise<Catalog> {
  const started = await startConsulAgent()
  t.teardown(() => started.stop())
  agent = started
  return started
}

for (const away of [false, true])
  faultTest(`killed and started again, Consul ${away ? 'away' : 'there'}`, {
    world: { catalog, more: `stateDir: ${stateDir}` },
    act: async (world) => {
      await until(() => isSaved(world.instances.map(({ port }) => port)), { what: 'the snapshot is written' })
      if (away) await agent?.kill('SIGKILL')
      const startedMs = performance.now()
      world.proxy = await world.proxy.restart()
      await until(async () => (await askOnce(world.proxy.port)).outcome === 'good', { what: 'a good answer' })
      const tookMs = performance.now() - startedMs
      world.before = await world.footprint()
      world.load({ connections: 8, requests: 200 })
      await world.requests(200)
      await world.inflict('kill the proxy', () => {})
      tookByForm.set(away, tookMs)
    },
    limits: { failedUnsafeMax: 0 },
    alone: true,
    also: (t) => {
      const tookMs = tookByForm.get(away) ?? Infinity
      t.comment(`the first good answer came ${Math.round(tookMs)} ms after kill -9, start included`)
      if (long) t.ok(tookMs < 3_000, 'soon')
    },
  })
