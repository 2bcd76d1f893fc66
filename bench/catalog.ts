/**
 * `npm run bench:catalog`: from the catalog to the table, with a real Consul agent. See README.md beside it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startConsulAgent } from '../test/fixtures/consul-agent.ts'
import type { ConsulAgent } from '../test/fixtures/consul-agent.ts'
import { findConsul } from '../test/fixtures/install.ts'
import { type ChurnResult, type Put, measureChurn } from './catalog/churn.ts'
import { type DisturbedResult, measureDisturbed } from './catalog/disturbed.ts'
import { Client, startNamedBackend } from './catalog/clients.ts'
import { CountingRelay, requestsBetween } from './catalog/counting-relay.ts'
import { fill, serviceName } from './catalog/fill.ts'
import { parseCatalogOptions } from './catalog/options.ts'
import type { CatalogOptions } from './catalog/options.ts'
import { startProxy } from './catalog/proxy.ts'
import type { CatalogProxy } from './catalog/proxy.ts'
import { deregister, measureArrivals, registerArriving } from './catalog/registration.ts'
import type { Arrival, Scene } from './catalog/registration.ts'
import { catalogGoals, renderArrivals, renderChurn, renderDisturbed, renderScale } from './catalog/report.ts'
import type { ScaleResult } from './catalog/report.ts'
import { measureChanges, measureQuiet, measureSweep, whenComplete } from './catalog/scale.ts'
import { chooseCores, sayProgress } from './lib/lab.ts'
import { describeMachine, describeRevision } from './lib/machine.ts'
import { allowedCores, pinSelf } from './lib/process.ts'
import { memoryBytes } from './lib/procfs.ts'
import { runProgram } from './lib/program.ts'

/** What both parts use. */
interface Stage {
  readonly options: CatalogOptions
  readonly agent: ConsulAgent
  readonly cores: ReturnType<typeof chooseCores>
  readonly dir: string
  readonly scene: Omit<Scene, 'service' | 'proxyPort'>
}

const quietMs = 5_000
const arrivalsAtScale = 5
/** The streams of a large catalog are asked at most every half second when changes never end; this is quieter. */
const arrivalGapMs = 1_500

async function runRegistrations({ options, agent, cores, dir, scene }: Stage): Promise<readonly Arrival[]> {
  const service = 'web'
  const lasting = { ID: 'lasting', Name: service, Address: '127.0.0.1', Port: scene.lasting.port }
  await agent.api('PUT', '/v1/agent/service/register', { ...lasting, Meta: { version: '1.0.0' } })
  const proxy = await startProxy(join(dir, 'registrations'), cores.proxy, agent.ports.http, [service], service)
  try {
    const whole = { ...scene, service, proxyPort: proxy.port }
    return await measureArrivals(whole, options.registrations, options.gapMs, sayProgress)
  } finally {
    await proxy.stop()
    await agent.api('PUT', '/v1/agent/service/deregister/lasting')
  }
}

/** Starts Fairlead `starts` times behind a relay of its own; the last one is left running. */
async function timeStarts(
  stage: Stage,
  services: readonly string[],
  watched: string,
): Promise<
  Pick<ScaleResult, 'readyMs' | 'completeMs' | 'startRequests'> & { proxy: CatalogProxy; relay: CountingRelay }
> {
  const { options, agent, cores, dir } = stage
  const client = new Client()
  const readyMs: number[] = []
  const completeMs: number[] = []
  for (let start = 0; ; start++) {
    sayProgress(`start ${start + 1} of ${options.starts}`)
    const relay = new CountingRelay(agent.ports.http)
    const before = relay.counts()
    const proxy = await startProxy(join(dir, `start-${start}`), cores.proxy, await relay.listen(), services, watched)
    readyMs.push(proxy.readyMs)
    completeMs.push(await whenComplete(client, proxy, services.length * options.instancesPerService))
    if (start + 1 < options.starts) {
      await proxy.stop()
      await relay.close()
      continue
    }
    client.close()
    return { readyMs, completeMs, startRequests: requestsBetween(before, relay.counts()), proxy, relay }
  }
}

/** The service in the middle is a real one. */
function namesOf({ services }: CatalogOptions): { readonly services: readonly string[]; readonly service: string } {
  const names = Array.from({ length: services }, (_, index) => serviceName(index))
  return { services: names, service: names[names.length >> 1] ?? '' }
}

async function fillCatalog({ options, agent, scene }: Stage): Promise<void> {
  const { services, instancesPerService } = options
  sayProgress(`registering ${services * instancesPerService} instances`)
  const real = { service: namesOf(options).service, port: scene.lasting.port }
  await fill({ services, instancesPerService, real }, (path, body) => agent.api('PUT', path, body))
}

async function runChurn({ options, agent, cores, dir }: Stage): Promise<readonly ChurnResult[]> {
  const { instancesPerService, churnSeconds: seconds, churnRate: rate } = options
  const results: ChurnResult[] = []
  let first = 0
  for (const workers of [1, 2]) {
    sayProgress(`${seconds} s of changes, ${workers} worker${workers === 1 ? '' : 's'}`)
    const churn = { services: namesOf(options).services, instancesPerService, seconds, rate, workers }
    const { result, made } = await measureChurn(
      churn,
      join(dir, `churn-${workers}`),
      cores.proxy,
      agent.ports.http,
      first,
      (path, body) => agent.api('PUT', path, body),
    )
    first += made
    results.push(result)
  }
  return results
}

function runDisturbed({ options, agent, cores, dir }: Stage): Promise<DisturbedResult> {
  const { instancesPerService, latencySeconds, latencyRounds, latencyRequests, churnRate } = options
  const disturbed = {
    services: namesOf(options).services,
    instancesPerService,
    seconds: latencySeconds,
    rounds: latencyRounds,
    requests: latencyRequests,
    rate: churnRate,
  }
  const put: Put = (path, body) => agent.api('PUT', path, body)
  return measureDisturbed(disturbed, join(dir, 'disturbed'), cores, agent.ports.http, put, sayProgress)
}

async function runScale(stage: Stage): Promise<ScaleResult> {
  const { options, scene } = stage
  const { services, service } = namesOf(options)
  const { proxy, relay, ...starts } = await timeStarts(stage, services, service)
  try {
    sayProgress('quiet')
    const quiet = await measureQuiet(relay, quietMs)
    const whole = { ...scene, service, proxyPort: proxy.port }
    sayProgress('sweep')
    const sweep = await measureSweep(proxy, relay, () => registerArriving(whole, 'arriving-first'))
    await deregister(whole, 'arriving-first')
    const changes = await measureChanges(whole, proxy, relay, options.changes, options.windowMs, sayProgress)
    return {
      services: options.services,
      instances: options.services * options.instancesPerService,
      ...starts,
      connectionsPeak: relay.counts().openPeak,
      quiet: { ...quiet, seconds: quietMs / 1_000 },
      changes,
      sweep,
      arrivals: await measureArrivals(whole, arrivalsAtScale, arrivalGapMs, sayProgress),
      residentBytes: memoryBytes(proxy.pid).resident,
    }
  } finally {
    await proxy.stop()
    await relay.close()
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Requests by kind stand in maps, which JSON does not know. */
function plain(_: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value
}

async function runParts(stage: Stage): Promise<void> {
  const { options, agent, cores } = stage
  const self = (await agent.api('GET', '/v1/agent/self')) as { readonly Config: { readonly Version: string } }
  print(`## Catalog bench\n`)
  print(`${describeMachine()}; ${cores.proxy === undefined ? 'not pinned' : `Fairlead on core ${cores.proxy}`}.`)
  print(`Consul ${self.Config.Version}. Fairlead's source: ${describeRevision()}.\n`)
  const arrivals = options.registrations > 0 ? await runRegistrations(stage) : undefined
  if (arrivals) print(`${renderArrivals(arrivals)}\n`)
  if (options.services > 0 && options.starts + options.churnSeconds + options.latencySeconds > 0)
    await fillCatalog(stage)
  const scale = options.services > 0 && options.starts > 0 ? await runScale(stage) : undefined
  if (scale) print(`${renderScale(scale)}\n`)
  const churn = options.services > 0 && options.churnSeconds > 0 ? await runChurn(stage) : []
  if (churn.length > 0) print(`${renderChurn(churn)}\n`)
  const disturbed = options.services > 0 && options.latencySeconds > 0 ? await runDisturbed(stage) : undefined
  if (disturbed) print(`${renderDisturbed(disturbed)}\n`)
  const goals = catalogGoals(arrivals, scale, churn)
  for (const goal of goals) print(`- ${goal.text}${goal.met === undefined ? '' : goal.met ? ': met' : ': MISSED'}`)
  if (options.json === undefined) return
  const figures = {
    machine: describeMachine(),
    revision: describeRevision(),
    options,
    arrivals,
    scale,
    churn,
    disturbed,
    goals,
  }
  writeFileSync(options.json, `${JSON.stringify(figures, plain, 2)}\n`)
}

async function main(): Promise<void> {
  const options = parseCatalogOptions(process.argv.slice(2))
  const consul = await findConsul()
  if (consul.path === undefined) {
    process.stderr.write(`${consul.reason}\n`)
    process.exitCode = 1
    return
  }
  const cores = chooseCores(allowedCores())
  pinSelf(cores.rest)
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  const [lasting, arriving] = await Promise.all([startNamedBackend('lasting'), startNamedBackend('arriving')])
  const agent = await startConsulAgent()
  const endAgent = (): void => void agent.stop()
  process.on('exit', endAgent)
  try {
    await runParts({ options, agent, cores, dir, scene: { agent, lasting, arriving } })
  } finally {
    await agent.stop()
    process.off('exit', endAgent)
    lasting.close()
    arriving.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

await runProgram(main)
