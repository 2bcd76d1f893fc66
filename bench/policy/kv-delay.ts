/**
 * `npm run bench:policy`: how soon a split that is written to the KV of a real Consul is routed by, at two proxies. See
 * ../README.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { startConsulAgent, type ConsulAgent } from '../../test/fixtures/consul-agent.ts'
import { findConsul } from '../../test/fixtures/install.ts'
import { startNamedBackend } from '../catalog/clients.ts'
import { chooseCores, sayProgress } from '../lib/lab.ts'
import { describeMachine, describeRevision } from '../lib/machine.ts'
import { numberFrom } from '../lib/options.ts'
import { allowedCores, pinSelf } from '../lib/process.ts'
import { type Api, measureFlips, registerVersions, service, versions, writeSplit } from './flips.ts'
import { type PolicyProxy, startProxy } from './proxy.ts'
import { flipGoal, renderFlips } from './report.ts'
import { runProgram } from '../lib/program.ts'

interface Options {
  /** Splits written. */
  readonly flips: number
  /** Quiet between two of them, ms. */
  readonly gap: number
  readonly json?: string
}

function parseOptions(args: readonly string[]): Options {
  return new Command('npm run bench:policy --')
    .description('How soon a split written to the KV is routed by, at two proxies, with a real Consul agent.')
    .option('--flips <n>', 'splits written', numberFrom(1, 10_000, true), 50)
    .option('--gap <ms>', 'quiet between two of them', numberFrom(0, 60_000, false), 300)
    .option('--json <file>', 'write every figure to this file as JSON')
    .exitOverride()
    .parse(args, { from: 'user' })
    .opts<Options>()
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function measure(options: Options, agent: ConsulAgent, dir: string): Promise<void> {
  const { proxy: core } = chooseCores(allowedBefore)
  const api: Api = (method, path, body) => agent.api(method, path, body)
  const { Config: config } = (await api('GET', '/v1/agent/self')) as { readonly Config: { readonly Version: string } }
  print(`## The KV's delay\n`)
  print(`${describeMachine()}; ${core === undefined ? 'not pinned' : `both Fairleads on core ${core}`}.`)
  print(`Consul ${config.Version}. Fairlead's source: ${describeRevision()}.\n`)
  const backends = await Promise.all(versions.map(startNamedBackend))
  const proxies: PolicyProxy[] = []
  try {
    await registerVersions(api, backends)
    await writeSplit(api, versions[0], 1)
    for (const name of ['one', 'two']) {
      const settings = {
        catalog: { consul: { address: agent.address } },
        policy: { kv: 'fairlead' },
        routes: [{ service }],
      }
      proxies.push(await startProxy(join(dir, name), core, settings))
    }
    const ports = proxies.map(({ port }) => port)
    const flips = await measureFlips({ api, ports }, options.flips, options.gap, sayProgress)
    const goal = flipGoal(flips)
    print(`${renderFlips(flips)}\n`)
    print(`- ${goal.text}${goal.met === undefined ? '' : goal.met ? ': met' : ': MISSED'}`)
    if (options.json === undefined) return
    const figures = { machine: describeMachine(), revision: describeRevision(), options, flips, goals: [goal] }
    writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`)
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    for (const backend of backends) backend.close()
  }
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  const consul = await findConsul()
  if (consul.path === undefined) {
    process.stderr.write(`${consul.reason}\n`)
    process.exitCode = 1
    return
  }
  pinSelf(chooseCores(allowedBefore).rest)
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  const agent = await startConsulAgent()
  const endAgent = (): void => void agent.stop()
  process.on('exit', endAgent)
  try {
    await measure(options, agent, dir)
  } finally {
    await agent.stop()
    process.off('exit', endAgent)
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The cores that were this process's before it was pinned to one. */
const allowedBefore = allowedCores()

await runProgram(main)
