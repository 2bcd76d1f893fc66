/**
 * One soak from an empty folder to what was found: a Consul with access control, a fleet, the proxy, clients, churn, and the two
 * troubles of the plan. It measures and counts; what must hold is said in `judge.ts`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../src/core/random.ts'
import { metricIn, type Proxy, startProxy } from '../../test/faults/lib/proxy.ts'
import { startConsulAgent } from '../../test/fixtures/consul-agent.ts'
import { until } from '../../test/fixtures/until.ts'
import { chooseChange, type ChangeKind, servingMin } from './churn.ts'
import { SoakClients } from './clients.ts'
import { SoakFleet } from './fleet.ts'
import { LogReader } from './log-reader.ts'
import type { SoakOptions } from './options.ts'
import { Backends } from './orders.ts'
import type { Plan } from './plan.ts'
import { managementToken, Rights } from './rights.ts'
import { readPage, type Sample, takeSample } from './samples.ts'

export interface SoakSettings extends Omit<SoakOptions, 'totalMs' | 'snapshots' | 'json' | 'markdown'> {
  readonly plan: Plan
  /** How long a deregistered instance serves on at least, ms. */
  readonly graceMs: number
  /** How long slow requests take, ms. */
  readonly slowMs: number
  /** Length of each path's query. */
  readonly queryChars: number
  readonly sampleMs: number
  /** Folder for heap snapshots of the proxy after a quarter and at the end; undefined: none. */
  readonly snapshots?: string | undefined
  readonly say: (line: string) => void
}

export interface SoakResult {
  readonly requests: number
  readonly failed: number
  /** In words, the first of them. */
  readonly failures: readonly string[]
  /** What the proxy's log says of those that did not end well, the first of them. */
  readonly unwell: readonly string[]
  readonly slowestMs: number
  readonly socketsOpened: number
  readonly echoes: number
  readonly changes: Readonly<Partial<Record<ChangeKind, number>>>
  /** From Consul's answer until a look at the table showed it, ms, and how far apart looks were. */
  readonly shownMs: readonly number[]
  readonly goneMs: readonly number[]
  readonly lookMs: number
  readonly blocked: { readonly requests: number; readonly seconds: number; readonly dropped: number }
  readonly blind: {
    /** What Fairlead said of it in either half; undefined: nothing within a minute. */
    readonly told: readonly (string | undefined)[]
    /** Fewest endpoints of one service that a look found meanwhile. */
    readonly endpointsMin: number
    readonly requests: number
    readonly seconds: number
    /** From the rights' return until an instance that had registered meanwhile was in the table, ms. */
    readonly backMs: number
  }
  readonly lines: { readonly requests: number; readonly read: number; readonly dropped: number }
  /** Faults of Fairlead's own, and changes and looks that failed. */
  readonly troubles: readonly string[]
  readonly samples: readonly Sample[]
  /** Longest that the soak's own process stood still, ms: what it waited so long for was the machine. */
  readonly stoodStillMs: number
}

const lookMs = 500
/** Changes that are later than this are left out: a machine that stood still must not make a storm of them. */
const catchUpMs = 1_000
const serviceName = (at: number): string => `svc-${String(at + 1).padStart(2, '0')}`

interface TableJson {
  readonly services: readonly {
    readonly name: string
    readonly versions: readonly { readonly endpoints: readonly { readonly address: string; readonly port: number }[] }[]
  }[]
}

/** Everything that runs, and how it is ended. */
interface Stage {
  readonly settings: SoakSettings
  readonly folder: string
  readonly fleet: SoakFleet
  readonly rights: Rights
  readonly proxy: Proxy
  readonly log: LogReader
  readonly services: readonly string[]
}

export async function runSoak(settings: SoakSettings): Promise<SoakResult> {
  const ends: (() => unknown)[] = []
  try {
    const stage = await setUp(settings, ends)
    return await new Soak(stage).run()
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function setUp(settings: SoakSettings, ends: (() => unknown)[]): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-soak-'))
  ends.push(() => rmSync(folder, { recursive: true, force: true }))
  const agent = await startConsulAgent({ aclToken: managementToken })
  const endAgent = (): void => void agent.stop()
  process.once('exit', endAgent)
  ends.push(async () => {
    process.off('exit', endAgent)
    await agent.stop()
  })
  const rights = await Rights.create(agent)
  const backends = await Backends.start()
  ends.push(() => backends.stop())
  const { graceMs, slowMs } = settings
  const fleet = new SoakFleet({ agent, token: managementToken, backends, graceMs, lastingMs: 2 * slowMs })
  const services = Array.from({ length: settings.services }, (_, at) => serviceName(at))
  for (const service of services) for (let at = 0; at < settings.instances; at++) await fleet.add(service, '1.0.0')
  const log = new LogReader()
  const snapshots = settings.snapshots === undefined ? [] : snapshotArgs(settings.snapshots)
  const proxy = await startProxy({
    consul: agent.address,
    folder,
    token: rights.token,
    routes: services.map((service) => ({ path: `/${service}`, service })),
    access: 'all',
    reader: log.read,
    nodeArgs: ['--max-semi-space-size=4', '--expose-gc', ...snapshots],
  })
  ends.push(() => proxy.kill())
  return { settings, folder, fleet, rights, proxy, log, services }
}

const snapshotArgs = (folder: string): readonly string[] => [
  '--heapsnapshot-signal=SIGUSR2',
  `--diagnostic-dir=${folder}`,
]

class Soak {
  readonly #stage: Stage
  readonly #samples: Sample[] = []
  readonly #troubles: string[] = []
  readonly #looks: ((services: TableJson['services'], addresses: ReadonlySet<string>) => void)[] = []
  #startMs = 0
  #ending = false
  #over = false

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async run(): Promise<SoakResult> {
    const { settings, fleet, proxy, services, log } = this.#stage
    const { plan, say } = settings
    this.#looks.push((_, addresses) => fleet.saw(addresses))
    const looking = this.#look()
    const all = settings.services * settings.instances
    await until(() => fleet.shownMs.length === all, { timeoutMs: 30_000, what: `${all} instances are routed` })
    // What waited for the proxy's start says nothing.
    fleet.shownMs.length = 0
    const { connections, requestsPerS, webSockets, slowMs, queryChars } = settings
    const clients = new SoakClients({
      port: proxy.port,
      services,
      lasting: services[0] ?? '',
      connections,
      requestsPerS,
      webSockets,
      slowMs,
      queryChars,
    })
    this.#startMs = performance.now()
    const ownDelay = monitorEventLoopDelay({ resolution: 20 })
    ownDelay.enable()
    const sampling = this.#sample(clients)
    const changing = this.#change()
    if (settings.snapshots !== undefined) void this.#at(plan.totalMs / 4).then(() => proxy.signal('SIGUSR2'))
    await this.#at(plan.blocked.fromMs)
    const blocked = await this.#block(clients)
    await this.#at(plan.blind.fromMs)
    const blind = await this.#blind(clients)
    await this.#at(plan.totalMs)
    if (settings.snapshots !== undefined) {
      proxy.signal('SIGUSR2')
      await delay(15_000)
    }
    say('ending')
    this.#ending = true
    await changing
    await clients.stop()
    const requests = clients.requests + clients.socketsOpened
    const lines = await this.#accountFor(requests)
    this.#over = true
    await Promise.all([looking, sampling])
    return {
      requests: clients.requests,
      failed: clients.failed,
      failures: clients.failures,
      unwell: log.unwell,
      slowestMs: clients.slowestMs,
      socketsOpened: clients.socketsOpened,
      echoes: clients.echoes,
      changes: fleet.changes,
      shownMs: fleet.shownMs,
      goneMs: fleet.goneMs,
      lookMs,
      blocked,
      blind,
      lines: { requests, read: log.accessLines, dropped: lines },
      troubles: [...this.#troubles, ...proxy.troubles()],
      samples: this.#samples,
      stoodStillMs: ownDelay.max / 1e6,
    }
  }

  /** Resolves at a time after the start. */
  async #at(ms: number): Promise<void> {
    await delay(Math.max(0, this.#startMs + ms - performance.now()))
  }

  /** Looks at the table again and again. */
  async #look(): Promise<void> {
    const { proxy } = this.#stage
    while (!this.#over) {
      await this.#attempt('a look at the table', async () => {
        const { services } = JSON.parse(await readPage(proxy, '/v1/table')) as TableJson
        const endpoints = services.flatMap(({ versions }) => versions.flatMap((version) => version.endpoints))
        const addresses = new Set(endpoints.map(({ address, port }) => `${address}:${port}`))
        for (const look of this.#looks) look(services, addresses)
      })
      await delay(lookMs)
    }
  }

  async #sample(clients: SoakClients): Promise<void> {
    const { settings, proxy } = this.#stage
    for (let n = 0; !this.#ending; n++) {
      await this.#at(n * settings.sampleMs)
      await this.#attempt('a sample', async () => {
        const atMs = performance.now() - this.#startMs
        this.#samples.push(await takeSample(proxy, atMs, clients.requests))
      })
    }
  }

  /** One change after another, at the rate. */
  async #change(): Promise<void> {
    const { fleet, settings, services } = this.#stage
    const random = seededRandom(settings.seed)
    const min = Math.max(servingMin + 1, Math.floor(settings.instances / 2))
    const limits = { min, max: settings.instances * 2, lasting: new Set(services.slice(0, 1)) }
    for (let dueMs = performance.now(); !this.#ending;) {
      await delay(Math.max(0, dueMs - performance.now()))
      dueMs = Math.max(dueMs + 1_000 / settings.changesPerS, performance.now() - catchUpMs)
      const change = chooseChange(fleet.members, limits, random)
      await this.#attempt(`a change (${change.kind})`, () => fleet.apply(change))
    }
  }

  /** What fails of the soak's own doing is told, and the soak goes on. */
  async #attempt(what: string, fn: () => Promise<void>): Promise<void> {
    try {
      await fn()
    } catch (error) {
      if (this.#troubles.length < 20) this.#troubles.push(`${what}: ${String(error)}`)
    }
  }

  /** Nobody reads the log for as long as the plan says, and at least until lines were lost. */
  async #block(clients: SoakClients): Promise<SoakResult['blocked']> {
    const { log, proxy, settings } = this.#stage
    const dropped = async (): Promise<number> =>
      metricIn(await readPage(proxy, '/metrics'), 'fairlead_access_log_dropped_total', '') ?? 0
    settings.say('standard output is not read')
    const startMs = performance.now()
    const requests = clients.requests
    log.pause()
    await delay(settings.plan.blocked.forMs)
    await until(async () => (await dropped()) > 0, { timeoutMs: 60_000, what: 'a line is lost' }).catch(() => {})
    const blocked = { requests: clients.requests - requests, seconds: (performance.now() - startMs) / 1_000 }
    log.resume()
    settings.say('it is read again')
    return { ...blocked, dropped: await dropped() }
  }

  async #blind(clients: SoakClients): Promise<SoakResult['blind']> {
    const { fleet, rights, settings, services } = this.#stage
    const { plan, say } = settings
    const startMs = performance.now()
    const requests = clients.requests
    const witnesses: string[] = []
    let endpointsMin = Infinity
    let seenAll = false
    this.#looks.push((table, addresses) => {
      seenAll = witnesses.length > 0 && witnesses.every((one) => addresses.has(one))
      if (fleet.readable) return
      const counts = new Map(table.map(({ name, versions }) => [name, versions.flatMap((one) => one.endpoints).length]))
      for (const service of services) endpointsMin = Math.min(endpointsMin, counts.get(service) ?? 0)
    })
    say('the token shows nothing')
    fleet.readable = false
    await rights.showNothing()
    const first = await this.#told()
    await this.#at(plan.blind.fromMs + plan.blind.forMs / 2)
    say('the token is deleted')
    await rights.deleteToken()
    const second = await this.#told(/403/)
    const { host, port } = await fleet.add(services[0] ?? '', '1.0.0')
    witnesses.push(`${host}:${port}`)
    await this.#at(plan.blind.fromMs + plan.blind.forMs)
    await rights.showAll()
    await rights.createToken()
    const backAtMs = performance.now()
    const blind = { requests: clients.requests - requests, seconds: (backAtMs - startMs) / 1_000 }
    say('the token is back')
    await until(() => seenAll, { timeoutMs: 90_000, what: 'what registered meanwhile is routed' }).catch(() => {})
    const backMs = seenAll ? performance.now() - backAtMs : Infinity
    // The next look takes what is still under way for what it is: blind.
    await delay(2 * lookMs)
    fleet.readable = true
    this.#looks.pop()
    return { ...blind, told: [first, second], endpointsMin, backMs }
  }

  /** What Fairlead says of a catalog that it cannot read. */
  async #told(pattern = /token/): Promise<string | undefined> {
    const { proxy } = this.#stage
    const find = async (): Promise<string | undefined> => {
      const { problems } = JSON.parse(await readPage(proxy, '/v1/problems')) as {
        readonly problems: readonly { message: string }[]
      }
      const found = problems.find(({ message }) => pattern.test(message))?.message
      if (found === undefined) await delay(100)
      return found
    }
    return await until(find, { timeoutMs: 60_000 }).catch(() => undefined)
  }

  /** Waits until each request has its line, read or lost; resolves with how many were lost. */
  async #accountFor(requests: number): Promise<number> {
    const { log, proxy } = this.#stage
    let dropped = 0
    const complete = async (): Promise<boolean> => {
      dropped = metricIn(await readPage(proxy, '/metrics'), 'fairlead_access_log_dropped_total', '') ?? 0
      return log.accessLines + dropped >= requests
    }
    await until(complete, { timeoutMs: 15_000, what: 'a line for each request' }).catch(() => {})
    return dropped
  }
}
