/**
 * One run of the suite, from an empty folder to a verdict: a Consul, backends, the proxy, load, the fault, and what holds
 * afterwards. In the long form each run has a twin in which everything happens but the fault: the yardstick for times.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ConsulAgent, startConsulAgent } from '../../fixtures/consul-agent.ts'
import { findConsul } from '../../fixtures/install.ts'
import { until } from '../../fixtures/until.ts'
import type { Execution } from './backend-log.ts'
import { type Load, type LoadOptions, startLoad } from './client.ts'
import { type Fault, type Figures, figuresOf, figuresText, returnOf, sliceMs, type Times, timesOf } from './figures.ts'
import { type BackendOptions, type CatalogApi, type Check, Fleet, type Instance } from './fleet.ts'
import { long } from './form.ts'
import { descriptorSlack, type Footprint, type Limits, type RunFacts, violations } from './invariants.ts'
import { type LedgerFacts, ledgerText, parseLedger, reconcile } from './ledger.ts'
import { type Proxy, type ProxyOptions, startProxy } from './proxy.ts'

export interface WorldOptions extends Partial<Omit<ProxyOptions, 'consul' | 'folder'>> {
  /** Instances of `web` that are there from the start. Default 4. */
  readonly instances?: number
  readonly backend?: BackendOptions
  readonly check?: Check
  /** Starts the catalog, and sees to its end. Default: an agent that the file's scenarios share, emptied before each. */
  readonly catalog?: (folder: string, t: Test) => Promise<Catalog>
  /** More that must be there before the run begins. */
  readonly before?: (world: World) => Promise<void>
}

/** A catalog, by what speaks for it. */
export type Catalog = CatalogApi & { readonly address: string }

export interface TimeGoals {
  readonly slowestSafeMs?: number
  readonly slowestMs?: number
  /** Least throughput in the second that begins a second after each fault, relative to before. */
  readonly nextSecond?: number
}

export interface Scenario {
  readonly world?: WorldOptions
  /** Makes load and inflicts the fault; when it resolves, load is stopped and the run is judged. */
  readonly act: (world: World) => Promise<void>
  readonly limits?: Limits
  readonly goals?: TimeGoals
  /** Failures that no death explains; `false`: the ledger is not looked at. */
  readonly ledger?: Pick<LedgerFacts, 'exempt' | 'falseAlarmsMax' | 'unseenMax'> | false
  /** More to judge, with and without the fault. */
  readonly also?: (t: Test, judged: Judged, world: World) => void | Promise<void>
  /** No twin without the fault, because nothing is said of times. */
  readonly alone?: boolean
}

/** The text says it all; where in this file it was said helps nobody. */
const bare = { diagnostic: false } as const

/** From a fault to the moment from which throughput is what `nextSecond` says, at most, ms. */
const backMsMax = 1_000

/** Times on a shared machine: a goal is missed for certain only beyond this. */
const slack = 2

/** Everything that a scenario acts on. */
export class World {
  readonly fleet: Fleet
  readonly consul: Catalog
  /** Of `web`, from the start. */
  readonly instances: Instance[] = []
  readonly folder: string
  /** False in the twin. */
  readonly withFault: boolean
  proxy: Proxy
  readonly faults: { what: string; atMs: number; endMs: number | undefined }[] = []
  readonly victims: Instance[] = []
  readonly loads: Load[] = []
  before: Footprint = { descriptors: 0, residentBytes: 0 }

  constructor(parts: Pick<World, 'fleet' | 'consul' | 'folder' | 'withFault' | 'proxy'>) {
    this.fleet = parts.fleet
    this.consul = parts.consul
    this.folder = parts.folder
    this.withFault = parts.withFault
    this.proxy = parts.proxy
  }

  /** Load until the scenario ends, or its own bounds. Default: 16 connections, 600 requests/s, one fifth POSTs. */
  load(options: Partial<LoadOptions> = {}): Load {
    const load = startLoad({ port: this.proxy.port, connections: 16, rate: 600, ...options })
    this.loads.push(load)
    return load
  }

  /** Does what `fn` does, unless this is the twin, and notes when. The fault lasts until `healed`. */
  async inflict(what: string, fn: () => unknown): Promise<void> {
    if (!this.withFault) return
    this.faults.push({ what, atMs: performance.now(), endMs: undefined })
    await fn()
  }

  async heal(fn: () => unknown): Promise<void> {
    if (!this.withFault) return
    await fn()
    const fault = this.faults.findLast(({ endMs }) => endMs === undefined)
    if (fault) fault.endMs = performance.now()
  }

  /** SIGKILL, as a fault; the ledger must tell of it. */
  async kill(instance: Instance): Promise<void> {
    await this.inflict(`kill ${instance.name}`, async () => {
      this.victims.push(instance)
      await instance.kill()
    })
  }

  /** SIGSTOP, as a fault that lasts until `thaw`; the ledger must tell of it. */
  async freeze(instance: Instance): Promise<void> {
    await this.inflict(`freeze ${instance.name}`, () => {
      this.victims.push(instance)
      instance.freeze()
    })
  }

  async thaw(instance: Instance): Promise<void> {
    await this.heal(() => instance.thaw())
  }

  /** The instance at a place among those from the start. */
  instance(at: number): Instance {
    const found = this.instances[at]
    if (!found) throw new Error(`no instance ${at}`)
    return found
  }

  /** Lets load run. What a scenario waits for is time under load, not something that has probably happened. */
  async pass(ms: number): Promise<void> {
    await delay(ms)
  }

  /** Resolves once `count` more requests of the loads have ended. */
  async requests(count: number): Promise<void> {
    const goal = this.#ended() + count
    await until(() => this.#ended() >= goal, { timeoutMs: 60_000, what: `${count} more requests` })
  }

  /** Resolves once the table has these endpoints of a service, and no others. */
  async routed(instances: readonly Pick<Instance, 'port'>[], service = 'web'): Promise<void> {
    const wanted = instances
      .map(({ port }) => port)
      .toSorted((a, b) => a - b)
      .join()
    const routed = async (): Promise<boolean> => {
      const ports = (await this.proxy.endpoints(service)).map(({ port }) => port)
      return ports.toSorted((a, b) => a - b).join() === wanted
    }
    await until(routed, { timeoutMs: 20_000, what: `${instances.length} instances of ${service} are routed` })
  }

  /** Some requests to each, so that connections stand and code is warm; then what the proxy holds at rest. */
  async warmUp(): Promise<void> {
    const warm = startLoad({
      port: this.proxy.port,
      connections: 16,
      requests: 400,
      ask: () => ({ method: 'GET', path: '/', bodyBytes: 0 }),
    })
    await warm.done
    this.before = await this.footprint()
  }

  /** Load of the loads is over; waits (8 s) until descriptors are near those of before, and takes what is then. */
  async footprint(): Promise<Footprint> {
    let now: Footprint = { descriptors: Infinity, residentBytes: 0 }
    const settled = async (): Promise<boolean> => {
      const services = await this.proxy.get('/v1/table')
      const open = [...JSON.stringify(services).matchAll(/"open":(\d+)/g)].reduce(
        (sum, [, count]) => sum + Number(count),
        0,
      )
      now = { descriptors: this.proxy.descriptors() - open, residentBytes: this.proxy.residentBytes() }
      return this.before.descriptors === 0 || now.descriptors <= this.before.descriptors + descriptorSlack
    }
    await until(settled, { timeoutMs: 8_000 }).catch(() => {})
    return now
  }

  async finish(): Promise<RunFacts> {
    await Promise.all(this.loads.map((load) => load.stop()))
    const sent = this.loads.flatMap((load) => load.sent).sort((a, b) => a.endMs - b.endMs)
    const after = await this.footprint()
    const { faults, before } = this
    return { sent, executions: this.fleet.executions(), faults, before, after, troubles: this.proxy.troubles() }
  }

  #ended(): number {
    return this.loads.reduce((sum, load) => sum + load.sent.length, 0)
  }
}

export interface Judged {
  readonly facts: RunFacts
  readonly figures: Figures
  readonly times: Times
}

// Starting agents and processes takes longer than the tests' usual time when the machine is busy; the runner is told.
t.setTimeout(long ? 3_600_000 : 180_000)

/** A test of one scenario; skipped with a reason where there is no Consul, or where `skip` says so. */
export function faultTest(name: string, scenario: Scenario, skip: string | false = false): void {
  void t.test(name, { timeout: long ? 1_500_000 : 90_000, skip }, async (t) => {
    const { path, reason } = await findConsul()
    if (path === undefined) return void t.pass('needs a real Consul', { skip: reason })
    const twin = long && scenario.alone !== true ? await run(t, scenario, false) : undefined
    const judged = await run(t, scenario, true)
    if (twin) judgeTimes(t, scenario.goals ?? {}, judged, twin)
  })
}

async function run(t: Test, scenario: Scenario, withFault: boolean): Promise<Judged> {
  const world = await createWorld(t, scenario.world ?? {}, withFault)
  await scenario.act(world)
  const facts = await world.finish()
  const { sent, executions, faults } = facts
  const limits = scenario.limits ?? {}
  const counted = sent.filter((one) => limits.exempt?.(one) !== true)
  const judged: Judged = { facts, figures: figuresOf(counted, executions), times: timesOf(counted, faults) }
  t.comment(`${withFault ? 'with the fault' : 'without it'}: ${figuresText(judged.figures, judged.times)}`)
  for (const { invariant, text } of violations(facts, limits)) t.fail(`${invariant}: ${text}`, bare)
  t.ok(sent.length > 0, `${sent.length} requests were made`)
  if (withFault && scenario.ledger !== false) await checkLedger(t, world, facts, scenario.ledger ?? {})
  await scenario.also?.(t, judged, world)
  await world.proxy.kill()
  return judged
}

async function checkLedger(
  t: Test,
  world: World,
  facts: RunFacts,
  options: Exclude<Scenario['ledger'], false | undefined>,
): Promise<void> {
  const { victims } = world
  const { sent, executions } = facts
  let problems: readonly string[] = []
  try {
    // What was lost just now waits in the ledger for the death that it may belong to.
    await until(
      async () => {
        const ledger = parseLedger(await world.proxy.get('/v1/kills'))
        problems = [ledgerText(ledger), ...reconcile(ledger, { sent, executions, victims, ...options })]
        return problems.length === 1
      },
      { timeoutMs: 4_000 },
    )
  } catch (error) {
    if (problems.length === 0) t.fail(`ledger: ${String((error as Error).cause ?? error)}`, bare)
  }
  for (const [at, text] of problems.entries()) {
    if (at === 0) t.comment(`ledger: ${text}`)
    else t.fail(`ledger: ${text}`, bare)
  }
}

/** Only in the long form: a goal is asserted with slack and beside the twin, and told without. */
function judgeTimes(t: Test, goals: TimeGoals, judged: Judged, twin: Judged): void {
  const atMost = (what: string, value: number, yardstick: number, goal: number | undefined): void => {
    if (goal === undefined) return
    t.comment(`${what}: ${Math.round(value)} ms, without the fault ${Math.round(yardstick)} ms, goal ${goal} ms`)
    t.ok(value <= yardstick + slack * goal, `${what} within ${slack} times the goal beyond the twin's`)
  }
  const { figures, times } = judged
  atMost('slowest GET', figures.slowestSafeMs, twin.figures.slowestSafeMs, goals.slowestSafeMs)
  atMost('slowest request', figures.slowestMs, twin.figures.slowestMs, goals.slowestMs)
  if (goals.nextSecond === undefined) return
  const fault = judged.facts.faults[0]
  if (fault) {
    const { shares, backMs } = returnOf(judged.facts.sent, fault.atMs, goals.nextSecond)
    const slices = shares.map((share) => Math.round(share * 100)).join(' ')
    t.comment(`throughput in slices of ${sliceMs} ms from the fault on, % of before: ${slices}`)
    t.comment(`back at ${goals.nextSecond} of before after ${backMs} ms, goal ${backMsMax} ms`)
    t.ok(backMs <= backMsMax, `throughput was back within ${backMsMax} ms`)
  }
  t.comment(`throughput in the 2nd second: ${times.nextSecond.toFixed(2)} of before, goal ${goals.nextSecond}`)
  t.ok(times.nextSecond >= goals.nextSecond / slack, 'throughput came back')
}

let shared: Promise<ConsulAgent> | undefined

async function sharedConsul(): Promise<ConsulAgent> {
  shared ??= startConsulAgent()
  const agent = await shared
  if (!torn) t.teardown(() => agent.stop())
  torn = true
  const services = (await agent.api('GET', '/v1/agent/services')) as Readonly<Record<string, unknown>>
  for (const id of Object.keys(services))
    await agent.api('PUT', `/v1/agent/service/deregister/${encodeURIComponent(id)}`)
  return agent
}

let torn = false

export async function createWorld(t: Test, options: WorldOptions, withFault = true): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-faults-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const consul = await (options.catalog?.(folder, t) ?? sharedConsul())
  const fleet = new Fleet(consul, folder)
  t.teardown(() => fleet.stop())
  const instances = await fleet.startMany(options.instances ?? 4, options.backend, options.check)
  const proxy = await startProxy({ ...options, consul: consul.address, folder })
  const world = new World({ fleet, consul, folder, withFault, proxy })
  t.teardown(() => world.proxy.kill())
  world.instances.push(...instances)
  await options.before?.(world)
  await world.routed(world.instances)
  await world.warmUp()
  return world
}

export type { Execution, Fault }
