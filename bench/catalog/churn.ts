/**
 * Part 3 of the catalog bench: a large catalog that never rests. How long the loop is busy at a stretch, in each process, and
 * what of the heap an instance takes, before and after.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { projectRoot } from '../lib/contestants.ts'
import { Client } from './clients.ts'
import { replaceOperations } from './fill.ts'
import { readMetric, startProxy } from './proxy.ts'
import type { CatalogProxy } from './proxy.ts'
import { whenComplete } from './scale.ts'
import type { TurnLine } from './turns.ts'

export interface ChurnOptions {
  /** Each with so many instances. */
  readonly services: readonly string[]
  readonly instancesPerService: number
  readonly seconds: number
  /** Changes a second that are wanted; each replaces one instance by a new one, services in turn. */
  readonly rate: number
  readonly workers: number
}

/** What one process did while the catalog changed. Times in ms. */
export interface ProcessTurns {
  /** `whole`, `control` or `worker 1`. */
  readonly role: string
  /** The longest turn of each second: without collections, with them, and by the clock on the wall. */
  readonly ownMs: readonly number[]
  readonly longestMs: readonly number[]
  readonly wallMs: readonly number[]
  /** CPU of the thread that serves, as a share of the time. */
  readonly busy: number
  /** Heap after a full collection, bytes. */
  readonly heapBefore: number
  readonly heapAfter: number
}

export interface ChurnResult {
  readonly workers: number
  readonly instances: number
  readonly seconds: number
  /** Changes made in a second. */
  readonly rate: number
  /** Tables that were made of them in a second. */
  readonly tables: number
  readonly processes: readonly ProcessTurns[]
}

export type Put = (path: string, body: unknown) => Promise<unknown>

const settleMs = 5_000
const scrapeEveryMs = 2_000

/** Replaces an instance `rate` times a second until `seconds` are over, or `isOver` says so; resolves with how often. */
export async function replaceInstances(
  options: ChurnOptions,
  first: number,
  put: Put,
  isOver: () => boolean = () => false,
): Promise<number> {
  const { services, instancesPerService, rate, seconds } = options
  const startedAt = performance.now()
  let made = 0
  for (;;) {
    const nowMs = performance.now() - startedAt
    if (nowMs >= seconds * 1_000 || isOver()) return made
    const dueMs = (made * 1_000) / rate
    if (dueMs > nowMs) {
      await delay(dueMs - nowMs)
      continue
    }
    const turn = first + made++
    // 7 and 1,000 have no divisor in common: services come in turn, but not in order.
    const service = (turn * 7) % services.length
    const round = Math.floor(turn / services.length)
    const instance = round % instancesPerService
    const life = Math.floor(round / instancesPerService) + 1
    const serial = service * instancesPerService + instance
    await put('/v1/txn', replaceOperations({ service: services[service] ?? '', serial, instance, life }))
  }
}

function readLines(dir: string): readonly TurnLine[] {
  const files = readdirSync(dir).filter((file) => file.endsWith('.jsonl'))
  return files.flatMap((file) =>
    readFileSync(join(dir, file), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as TurnLine),
  )
}

function roleOf(line: TurnLine): string | undefined {
  const worker = /\bworker\b.*?(\d+)/.exec(line.role)
  if (worker) return `worker ${worker[1]}`
  return /\bcontrol\b/.test(line.role) ? 'control' : undefined
}

/** Asks each process for its heap; resolves when all have said. */
async function weigh(dir: string, pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const sinceMs = Date.now()
  for (const pid of pids) process.kill(pid, 'SIGUSR2')
  for (let tries = 0; tries < 100; tries++) {
    await delay(100)
    const heaps = new Map<number, number>()
    for (const { pid, atMs, heapBytes } of readLines(dir))
      if (heapBytes !== undefined && atMs >= sinceMs) heaps.set(pid, heapBytes)
    if (heaps.size >= pids.length) return heaps
  }
  throw new Error('a process did not say how large its heap is')
}

/** Over a connection of its own: one that was idle for long may just be closed. */
async function ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client()
  try {
    return await question(client)
  } finally {
    client.close()
  }
}

async function scrape({ statusPort }: CatalogProxy, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await ask((client) => client.get(statusPort, '/metrics'))
    await delay(scrapeEveryMs)
  }
}

export async function measureChurn(
  options: ChurnOptions,
  dir: string,
  core: number | undefined,
  consulPort: number,
  first: number,
  put: Put,
): Promise<{ readonly result: ChurnResult; readonly made: number }> {
  const { services, instancesPerService, seconds, workers } = options
  const turns = join(dir, 'turns')
  mkdirSync(turns, { recursive: true })
  const gauge = join(projectRoot, 'bench/catalog/turns.ts')
  const proxy = await startProxy(dir, core, consulPort, services, services[0] ?? '', {
    workers,
    stateDir: join(dir, 'state'),
    env: {
      FAIRLEAD_BENCH_TURNS: turns,
      NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${gauge}`,
    },
  })
  const tablesOf = (): Promise<number> => ask((client) => readMetric(client, proxy, 'fairlead_table_version'))
  try {
    await ask((client) => whenComplete(client, proxy, services.length * instancesPerService))
    await delay(settleMs)
    // The supervisor that workers have does nothing with a catalog.
    const serving = (line: TurnLine): boolean => workers === 1 || roleOf(line) !== undefined
    const pids = [
      ...new Set(
        readLines(turns)
          .filter(serving)
          .map(({ pid }) => pid),
      ),
    ]
    const before = await weigh(turns, pids)
    const tablesBefore = await tablesOf()
    const fromMs = Date.now()
    let over = false
    const scraping = scrape(proxy, () => over)
    const replacing = replaceInstances(options, first, put).finally(() => {
      over = true
    })
    const [made] = await Promise.all([replacing, scraping])
    const toMs = Date.now()
    const tables = (await tablesOf()) - tablesBefore
    await delay(settleMs)
    const after = await weigh(turns, pids)
    const lines = readLines(turns).filter(({ atMs }) => atMs > fromMs + 1_000 && atMs <= toMs + 1_000)
    const processes = pids.map((pid): ProcessTurns => {
      const own = lines.filter((line) => line.pid === pid)
      return {
        role: (own[0] && roleOf(own[0])) ?? 'whole',
        ownMs: own.map((line) => line.ownMs),
        longestMs: own.map((line) => line.longestMs),
        wallMs: own.map((line) => line.wallMs),
        busy: own.reduce((sum, line) => sum + line.cpuMs, 0) / (own.length * 1_000),
        heapBefore: before.get(pid) ?? Number.NaN,
        heapAfter: after.get(pid) ?? Number.NaN,
      }
    })
    const instances = services.length * instancesPerService
    const result = { workers, instances, seconds, rate: made / seconds, tables: tables / seconds, processes }
    return { result, made }
  } finally {
    await proxy.stop()
  }
}
