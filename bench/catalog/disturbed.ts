/**
 * Part 4 of the catalog bench: how late answers come while something goes on beside them. One Fairlead with the large catalog
 * serves an open loop at a fixed rate; its phases differ in one thing each. It owns the phases; what is done in them is done
 * from outside, as an operator, a scraper or a catalog would.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startBackend } from '../lib/backend.ts'
import { projectRoot } from '../lib/contestants.ts'
import { type OpenLoopFigures, runOpenLoop } from '../lib/load.ts'
import { roundOrder } from '../lib/measure.ts'
import { exchanges } from '../lib/payload.ts'
import { type Put, replaceInstances } from './churn.ts'
import { Client } from './clients.ts'
import { type CatalogProxy, startProxy } from './proxy.ts'
import { whenComplete } from './scale.ts'

export const phases = ['quiet', 'changes', 'reloads', 'scrapes', 'collections'] as const
/** What goes on in a phase; each but the last two a second apart. */
export type Phase = (typeof phases)[number]

export interface DisturbedOptions {
  readonly services: readonly string[]
  readonly instancesPerService: number
  /** Of a phase in a round. */
  readonly seconds: number
  readonly rounds: number
  /** Requests a second. */
  readonly requests: number
  /** Changes a second, in the phase that has them. */
  readonly rate: number
}

export interface DisturbedResult {
  readonly instances: number
  readonly requests: number
  readonly seconds: number
  /** The figures of each round, by phase. */
  readonly phases: ReadonlyMap<Phase, readonly OpenLoopFigures[]>
}

const { small } = exchanges
/** Its route is the path of that exchange. */
const service = 'small'
const settleMs = 5_000
const everyMs = 1_000
const maxConnections = 1_024
const warmUpSeconds = 3

/** Does `once` every second until it is over. */
async function repeat(isOver: () => boolean, once: () => unknown): Promise<void> {
  while (!isOver()) {
    await once()
    await delay(everyMs)
  }
}

interface Scene {
  readonly proxy: CatalogProxy
  readonly options: DisturbedOptions
  readonly put: Put
  /** Changes made so far. */
  made: number
}

async function scrape({ statusPort }: CatalogProxy): Promise<void> {
  const client = new Client()
  try {
    await client.get(statusPort, '/metrics')
  } finally {
    client.close()
  }
}

/** Resolves when what the phase is about has been ended. */
async function disturb(scene: Scene, phase: Phase, isOver: () => boolean): Promise<void> {
  const { proxy, options, put } = scene
  if (phase === 'changes')
    scene.made += await replaceInstances({ ...options, seconds: Infinity, workers: 1 }, scene.made, put, isOver)
  else if (phase === 'reloads') await repeat(isOver, () => proxy.reload())
  else if (phase === 'scrapes') await repeat(isOver, () => scrape(proxy))
  else if (phase === 'collections') await repeat(isOver, () => process.kill(proxy.pid, 'SIGPROF'))
}

/** Starts Fairlead, lets it settle, and asks each phase of each round. The catalog is filled already. */
export async function measureDisturbed(
  options: DisturbedOptions,
  dir: string,
  cores: { readonly proxy: number | undefined; readonly rest: number | undefined; readonly spare: number | undefined },
  consulPort: number,
  put: Put,
  say: (line: string) => void,
): Promise<DisturbedResult> {
  const backend = await startBackend('auto', cores.rest, join(dir, 'backend'))
  const entry = { ID: `${service}-1`, Name: service, Address: '127.0.0.1', Port: backend.port }
  await put('/v1/agent/service/register', entry)
  const gauge = join(projectRoot, 'bench/catalog/collect.ts')
  const names = [...options.services, service]
  const proxy = await startProxy(dir, cores.proxy, consulPort, names, options.services[0] ?? '', {
    env: { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${gauge}` },
  })
  const load = (seconds: number): Promise<OpenLoopFigures> =>
    runOpenLoop(proxy.port, small, {
      core: cores.spare ?? cores.rest,
      yields: cores.spare === undefined,
      rate: options.requests,
      seconds,
      maxConnections,
    })
  try {
    const client = new Client()
    const instances = options.services.length * options.instancesPerService
    await whenComplete(client, proxy, instances + 1)
    client.close()
    await delay(settleMs)
    await load(warmUpSeconds)
    const found = new Map<Phase, OpenLoopFigures[]>(phases.map((phase) => [phase, []]))
    const scene: Scene = { proxy, options, put, made: 0 }
    for (let round = 0; round < options.rounds; round++)
      for (const index of roundOrder(phases.length, round, true)) {
        const phase = phases[index] ?? 'quiet'
        say(`latency: round ${round + 1} of ${options.rounds}, ${phase}`)
        let over = false
        const disturbing = disturb(scene, phase, () => over)
        const figures = await load(options.seconds).finally(() => {
          over = true
        })
        await disturbing
        found.get(phase)?.push(figures)
        await delay(everyMs)
      }
    return { instances, requests: options.requests, seconds: options.seconds, phases: found }
  } finally {
    await Promise.all([proxy.stop(), backend.stop()])
    await put(`/v1/agent/service/deregister/${entry.ID}`, undefined)
  }
}
