/**
 * One run of the fault bench: four backends, 32 keep-alive clients that never retry, one fifth of the requests 1 kB POSTs,
 * and the fault, or not. What is counted is what the suite in test/faults counts, by the same client and backends.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { mixed, type Load, startLoad } from '../../test/faults/lib/client.ts'
import { type Fault, type Figures, figuresOf, type Times, timesOf } from '../../test/faults/lib/figures.ts'
import { Fleet, type Instance } from '../../test/faults/lib/fleet.ts'
import type { Contestant } from './contestants.ts'
import type { RunName } from './options.ts'

export interface Outcome {
  readonly figures: Figures
  readonly times: Times
  /** Requests per second in the second before the first fault, or of the whole run without one. */
  readonly perSecond: number
}

export interface Result {
  readonly name: string
  readonly without: Outcome
  readonly withFault: Outcome
}

const connections = 32
const backends = 4
/** Of every answer; so that requests are in flight when a backend dies, and the machine is not what limits the run. */
const latencyMs = 10
/** Before the freeze, and after it. */
const calmSeconds = 3

const defaultSeconds: Readonly<Record<RunName, number>> = { kill: 9, freeze: 10 }

class Stage {
  readonly fleet: Fleet
  readonly instances: Instance[]
  readonly faults: { what: string; atMs: number; endMs: number | undefined }[] = []
  readonly #withFault: boolean

  constructor(fleet: Fleet, instances: Instance[], withFault: boolean) {
    this.fleet = fleet
    this.instances = instances
    this.#withFault = withFault
  }

  /** Three kills, evenly spread; each backend is back on its port a ninth of the run later. */
  async kill(seconds: number): Promise<void> {
    await delay((seconds * 1_000) / 6)
    for (const at of [0, 1, 2]) {
      const dead = this.instances[at] as Instance
      await this.#inflict(`kill ${dead.name}`, () => dead.kill())
      await delay((seconds * 1_000) / 9)
      if (this.#withFault) await this.fleet.start(`${dead.name}b`, { port: dead.port, latency: latencyMs })
      await delay((seconds * 1_000) / 3 - (seconds * 1_000) / 9)
    }
  }

  async freeze(seconds: number): Promise<void> {
    const frozen = this.instances[0] as Instance
    await delay(calmSeconds * 1_000)
    await this.#inflict(`freeze ${frozen.name}`, () => frozen.freeze())
    await delay(seconds * 1_000)
    if (this.#withFault) frozen.thaw()
    await delay(calmSeconds * 1_000)
  }

  async #inflict(what: string, fn: () => unknown): Promise<void> {
    if (!this.#withFault) return
    this.faults.push({ what, atMs: performance.now(), endMs: undefined })
    await fn()
  }
}

async function measure(
  contestant: Contestant,
  run: RunName,
  seconds: number,
  withFault: boolean,
  dir: string,
): Promise<Outcome> {
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  const fleet = new Fleet({ api: () => Promise.resolve(undefined) }, dir)
  try {
    const names = Array.from({ length: backends }, (_, at) => `web-${at + 1}`)
    const instances = await Promise.all(names.map((name) => fleet.start(name, { latency: latencyMs })))
    const ports = instances.map(({ port }) => port)
    const proxy = await contestant.start({ ports, dir: join(dir, contestant.name) })
    try {
      // Connections stand and code is warm before anything is counted.
      await startLoad({ port: proxy.port, connections, requests: 2_000 }).done
      const stage = new Stage(fleet, instances, withFault)
      const startedMs = performance.now()
      const load = startLoad({ port: proxy.port, connections, ask: mixed() })
      await stage[run](seconds)
      await load.stop(20_000)
      return outcomeOf(load, fleet, stage.faults, startedMs)
    } finally {
      await proxy.stop()
    }
  } finally {
    await fleet.stop()
  }
}

function outcomeOf(load: Load, fleet: Fleet, faults: readonly Fault[], startedMs: number): Outcome {
  const { sent } = load
  const last = sent.at(-1)?.endMs ?? startedMs
  const first = faults[0]?.atMs
  const [fromMs, toMs] = first === undefined ? [startedMs, last] : [Math.max(startedMs, first - 1_000), first]
  const before = sent.filter(({ outcome, endMs }) => outcome === 'good' && endMs >= fromMs && endMs < toMs).length
  return {
    figures: figuresOf(sent, fleet.executions()),
    times: timesOf(sent, faults),
    perSecond: (before * 1_000) / (toMs - fromMs),
  }
}

/** Both runs of one contestant: without the fault, then with it. `seconds` undefined: as long as the issue has it. */
export async function measureContestant(
  contestant: Contestant,
  run: RunName,
  seconds: number | undefined,
  dir: string,
): Promise<Result> {
  const length = seconds ?? defaultSeconds[run]
  const without = await measure(contestant, run, length, false, `${dir}-without`)
  const withFault = await measure(contestant, run, length, true, `${dir}-with`)
  return { name: contestant.name, without, withFault }
}
