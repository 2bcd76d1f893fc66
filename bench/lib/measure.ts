/**
 * Runs the cases: every contestant started afresh for each case, checked, warmed up, then measured in interleaved rounds
 * (A B C, A B C, …), so that whatever drifts on the machine touches all alike. It must not judge or print results.
 */
import { join } from 'node:path'
import type { Backend } from './backend.ts'
import { checkExchange } from './check.ts'
import type { Contestant, RunningContestant } from './contestants.ts'
import type { LoadFigures, LoadTool } from './load.ts'
import type { Exchange } from './payload.ts'
import { coreTicks, cpuMicros, memoryBytes } from './procfs.ts'

/** One measurement of one contestant. */
export interface Sample extends LoadFigures {
  readonly requestsPerSecond: number
  /** CPU time of the proxy's processes per answered request, µs, user and system. */
  readonly cpuMicrosPerRequest: number
  /** Share of the time in which the proxy's core was not idle, 0 to 1; undefined when it is pinned to none. */
  readonly coreBusy: number | undefined
  /** Share of the time in which the proxy itself ran, 0 to 1 (above 1 when it is not pinned to one core). */
  readonly proxyBusy: number
}

export interface ContestantResult {
  readonly name: string
  readonly samples: readonly Sample[]
  /** After the last round, bytes. */
  readonly residentBytes: number
  readonly peakBytes: number
}

export interface CaseResult {
  readonly exchange: Exchange
  readonly connections: number
  readonly results: readonly ContestantResult[]
}

export interface Lab {
  readonly backend: Backend
  readonly load: LoadTool
  readonly proxyCore: number | undefined
  /** The core of the backend and of the load. */
  readonly restCore: number | undefined
  /** A third one, for load that fills a core of its own; undefined where there is none. */
  readonly spareCore: number | undefined
  /** Folder for the files of whatever is started. */
  readonly dir: string
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  /** True: every second round runs in reverse order. For a comparison of two that must not favour the first. */
  readonly alternate: boolean
  readonly say: (line: string) => void
}

async function sample(lab: Lab, target: RunningContestant, exchange: Exchange, connections: number): Promise<Sample> {
  const coreBefore = lab.proxyCore === undefined ? undefined : coreTicks(lab.proxyCore)
  const cpuBefore = cpuMicros(target.pid)
  const startedAt = performance.now()
  const figures = await lab.load.run(target.port, exchange, connections, lab.seconds)
  const elapsedMicros = (performance.now() - startedAt) * 1_000
  const cpu = cpuMicros(target.pid) - cpuBefore
  const coreAfter = lab.proxyCore === undefined ? undefined : coreTicks(lab.proxyCore)
  // the load generator's own start and end are no load: shares are of the time in which it ran
  const loadedMicros = Math.min(elapsedMicros, figures.seconds * 1_000_000)
  return {
    ...figures,
    requestsPerSecond: figures.requests / figures.seconds,
    cpuMicrosPerRequest: cpu / figures.requests,
    coreBusy:
      coreBefore && coreAfter
        ? Math.min(
            1,
            ((coreAfter.busy - coreBefore.busy) / (coreAfter.total - coreBefore.total)) *
              (elapsedMicros / loadedMicros),
          )
        : undefined,
    proxyBusy: cpu / loadedMicros,
  }
}

/** The order of a round; the reverse in every second one when alternating. */
export function roundOrder(count: number, round: number, alternate: boolean): readonly number[] {
  const order = Array.from({ length: count }, (_, index) => index)
  return alternate && round % 2 === 1 ? order.toReversed() : order
}

/** Measures one exchange at one number of connections. Rejects when a contestant cannot start or answers wrongly. */
export async function measureCase(
  lab: Lab,
  contestants: readonly Contestant[],
  exchange: Exchange,
  connections: number,
): Promise<CaseResult> {
  const samples = contestants.map((): Sample[] => [])
  const running: RunningContestant[] = []
  try {
    for (const [index, contestant] of contestants.entries()) {
      const dir = join(lab.dir, `${exchange.name}-${connections}-${index}`)
      const setting = { backendPort: lab.backend.port, core: lab.proxyCore, dir }
      const target = await contestant.start(setting)
      running.push(target)
      await checkExchange(target.port, exchange)
      if (lab.warmUpSeconds > 0) await lab.load.run(target.port, exchange, connections, lab.warmUpSeconds)
    }
    for (let round = 0; round < lab.rounds; round++) {
      lab.say(`${exchange.title}, ${connections} connections: round ${round + 1} of ${lab.rounds}`)
      for (const index of roundOrder(contestants.length, round, lab.alternate)) {
        const target = running[index]
        if (target) samples[index]?.push(await sample(lab, target, exchange, connections))
      }
    }
    const results = contestants.map((contestant, index): ContestantResult => {
      const memory = memoryBytes(running[index]?.pid ?? 0)
      const { resident, peak } = memory
      return { name: contestant.name, samples: samples[index] ?? [], residentBytes: resident, peakBytes: peak }
    })
    return { exchange, connections, results }
  } finally {
    await Promise.all(running.map((target) => target.stop()))
  }
}

/**
 * Measures each contestant once per round, in interleaved rounds, each time started afresh: for what a process that has
 * done other things before would falsify. `clients` is how many it must be able to hold.
 */
export async function measureAfresh<T>(
  lab: Lab,
  contestants: readonly Contestant[],
  setting: { readonly title: string; readonly backendPort: number; readonly clients: number },
  measure: (target: RunningContestant, contestant: Contestant) => Promise<T>,
): Promise<readonly { readonly name: string; readonly samples: readonly T[] }[]> {
  const results = contestants.map(({ name }) => ({ name, samples: [] as T[] }))
  for (let round = 0; round < lab.rounds; round++)
    for (const index of roundOrder(contestants.length, round, lab.alternate)) {
      const contestant = contestants[index]
      if (contestant === undefined) continue
      lab.say(`${setting.title}: round ${round + 1} of ${lab.rounds}, ${contestant.name}`)
      const dir = join(lab.dir, `${setting.title.replaceAll(/\W+/g, '-')}-${round}-${index}`)
      const { backendPort, clients } = setting
      const target = await contestant.start({ backendPort, core: lab.proxyCore, dir, clients })
      try {
        results[index]?.samples.push(await measure(target, contestant))
      } finally {
        await target.stop()
      }
    }
  return results
}
