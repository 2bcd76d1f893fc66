/**
 * Question: do nine services get slower while the versions of a tenth are replaced one after another? Ten services in three
 * versions each behind one proxy, constant load on all; windows of quiet, of replacements behind another proxy, and of
 * replacements behind this one take turns. See ../README.md.
 * Run: node bench/policy/ten-services.ts
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import {
  type Asked,
  Homes,
  openAll,
  registration,
  startInstance,
  SteadyLoad,
  type VersionedInstance,
} from '../../test/fixtures/many-services.ts'
import { chooseCores, sayProgress } from '../lib/lab.ts'
import { describeMachine, describeRevision } from '../lib/machine.ts'
import { numberFrom } from '../lib/options.ts'
import { allowedCores, pinSelf } from '../lib/process.ts'
import { type PolicyProxy, startCatalog, startProxy } from './proxy.ts'
import { type Round, renderRounds, roundGoals } from './report.ts'
import { runProgram } from '../lib/program.ts'

interface Options {
  readonly rounds: number
  /** Length of a window of quiet, ms. */
  readonly quiet: number
  /** Between two steps of a replacement, ms. */
  readonly pause: number
  /** Of clients, per service. */
  readonly connections: number
  /** Between an answer and the next request of its connection, ms. */
  readonly rest: number
}

const services = Array.from({ length: 10 }, (_, i) => `s${i}`)
const replaced = 's4'
const versions = ['1', '2', '3'] as const

function parseOptions(args: readonly string[]): Options {
  return new Command('node bench/policy/ten-services.ts')
    .description('What nine services notice while the versions of a tenth are replaced.')
    .option('--rounds <n>', 'rounds of a quiet window and a replacement', numberFrom(1, 1_000, true), 7)
    .option('--quiet <ms>', 'length of a quiet window', numberFrom(50, 60_000, false), 3_000)
    .option('--pause <ms>', 'between two steps of a replacement', numberFrom(0, 60_000, false), 200)
    .option('--connections <n>', 'client connections per service', numberFrom(1, 100, true), 2)
    .option('--rest <ms>', 'between an answer and the next request of a connection', numberFrom(0, 60_000, false), 10)
    .exitOverride()
    .parse(args, { from: 'user' })
    .opts<Options>()
}

/** A call whose answer must be 2xx, unless `mayFail`; resolves with whether it was. */
async function call(method: string, url: string, body?: object, mayFail = false): Promise<boolean> {
  const answer = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await answer.text()
  if (!answer.ok && !mayFail) throw new Error(`${method} ${url}: ${answer.status} ${text}`)
  return answer.ok
}

/** The service whose versions come and go: the first two of three share its users, the third is for those who ask for it. */
class Replaced {
  readonly #catalog: string
  readonly #admin: string
  readonly #pauseMs: number
  #instances: readonly VersionedInstance[]
  #next = versions.length + 1

  constructor(catalog: string, admin: string, pauseMs: number, instances: readonly VersionedInstance[]) {
    this.#catalog = catalog
    this.#admin = admin
    this.#pauseMs = pauseMs
    this.#instances = instances
  }

  /** Each version in turn: a new one registers and gets the share of the old one, which goes. */
  async replaceAll(): Promise<void> {
    for (let place = 0; place < versions.length; place++) {
      const old = this.#instances[place]
      const next = await startInstance(replaced, String(this.#next++))
      await register(this.#catalog, next)
      const both = this.#instances.flatMap((one, i) => (i === place ? [one, next] : [one]))
      await this.#split(both, undefined)
      await delay(this.#pauseMs)
      await this.#split(both, old)
      await delay(this.#pauseMs)
      await call('PUT', `${this.#catalog}/v1/agent/service/deregister/${replaced}-${old?.version ?? ''}`)
      await delay(this.#pauseMs)
      await old?.close()
      this.#instances = both.filter((one) => one !== old)
      await this.#split(this.#instances, undefined)
      await delay(this.#pauseMs)
    }
  }

  /** All but the last get one part each, and `without` none. Asked again until the proxy has heard of all of them. */
  async #split(instances: readonly VersionedInstance[], without: VersionedInstance | undefined): Promise<void> {
    const weight = (one: VersionedInstance, i: number): number =>
      one === without || i === instances.length - 1 ? 0 : 1
    const weights = Object.fromEntries(instances.map((one, i) => [one.version, weight(one, i)]))
    const url = `${this.#admin}/v1/services/${replaced}/split`
    const endsAt = performance.now() + 10_000
    while (!(await call('POST', url, { versions: weights }, performance.now() < endsAt))) await delay(50)
  }

  close(): void {
    for (const instance of this.#instances) void instance.close()
  }
}

async function register(catalog: string, instance: VersionedInstance): Promise<void> {
  await call('PUT', `${catalog}/v1/agent/service/register`, registration(instance))
}

function settings(catalog: string): object {
  const rules = versions.map((version) => ({ when: { header: { 'x-version': version } }, version }))
  const service = { versions: { 1: 1, 2: 1, 3: 0 }, rules, sticky: { header: 'x-user' } }
  return {
    catalog: { consul: { address: catalog } },
    routes: services.map((name) => ({ path: `/${name}`, service: name })),
    services: Object.fromEntries(services.map((name) => [name, service])),
  }
}

/** Counts into whatever window stands; outside of one nothing is kept. */
class Windows {
  readonly #homes = new Homes()
  #open: { msOfOthers: number[]; failed: number; strayed: number } | undefined

  take(asked: Asked): void {
    const others = asked.service !== replaced
    const strayed = asked.good && others && !this.#homes.isHome(asked)
    if (!this.#open) return
    if (!asked.good) this.#open.failed++
    if (strayed) this.#open.strayed++
    if (others) this.#open.msOfOthers.push(asked.ms)
  }

  async during(work: () => Promise<unknown>): Promise<Round['quiet']> {
    const window = (this.#open = { msOfOthers: [], failed: 0, strayed: 0 })
    await work()
    this.#open = undefined
    return window
  }
}

/** Ten services in three versions, the catalog they are in, and the proxy before them. */
interface Site {
  readonly proxy: PolicyProxy
  readonly changing: Replaced
  stop(): Promise<void>
}

async function openSite(
  names: readonly string[],
  pauseMs: number,
  core: number | undefined,
  dir: string,
): Promise<Site> {
  const catalog = await startCatalog(undefined)
  const instances: VersionedInstance[] = []
  const closeAll = async (): Promise<void> => {
    await catalog.stop()
    for (const instance of instances) void instance.close()
  }
  try {
    for (const name of names)
      for (const version of versions) {
        const instance = await startInstance(name, version)
        instances.push(instance)
        await register(catalog.address, instance)
      }
    const proxy = await startProxy(dir, core, settings(catalog.address))
    const own = instances.filter(({ service }) => service === replaced)
    const changing = new Replaced(catalog.address, `http://127.0.0.1:${proxy.adminPort}`, pauseMs, own)
    const stop = async (): Promise<void> => {
      await proxy.stop()
      changing.close()
      await closeAll()
    }
    return { proxy, changing, stop }
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function measure(
  options: Options,
  cores: ReturnType<typeof chooseCores>,
  dir: string,
): Promise<readonly Round[]> {
  const { connections, rest: restMs, pause } = options
  const other = await openSite([replaced], pause, cores.rest, join(dir, 'other'))
  try {
    const site = await openSite(services, pause, cores.proxy, join(dir, 'proxy'))
    const { port } = site.proxy
    const windows = new Windows()
    try {
      await openAll({ port, services, connections, versions })
      const onAsked = (asked: Asked): void => windows.take(asked)
      const load = new SteadyLoad({ port, services, connections, restMs, users: 10, versions, onAsked })
      try {
        return await rounds(options, windows, site, other)
      } finally {
        await load.stop()
      }
    } finally {
      await site.stop()
    }
  } finally {
    await other.stop()
  }
}

async function rounds(options: Options, windows: Windows, site: Site, other: Site): Promise<readonly Round[]> {
  // Everything has happened once before it is measured.
  await site.changing.replaceAll()
  await other.changing.replaceAll()
  const done: Round[] = []
  for (let round = 0; round < options.rounds; round++) {
    sayProgress(`round ${round + 1} of ${options.rounds}`)
    const quiet = await windows.during(() => delay(options.quiet))
    const elsewhere = await windows.during(() => other.changing.replaceAll())
    done.push({ quiet, elsewhere, replacing: await windows.during(() => site.changing.replaceAll()) })
  }
  return done
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  const cores = chooseCores(allowedCores())
  pinSelf(cores.rest)
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'))
  try {
    const rounds = await measure(options, cores, dir)
    const pinned = cores.proxy === undefined ? 'not pinned' : `Fairlead on core ${cores.proxy}`
    console.log(`## Ten services in three versions\n`)
    console.log(`${describeMachine()}; ${pinned}. Fairlead's source: ${describeRevision()}.\n`)
    console.log(`${renderRounds(rounds)}\n`)
    for (const { text, met } of roundGoals(rounds)) console.log(`- ${text}: ${met ? 'met' : 'MISSED'}`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

await runProgram(main)
