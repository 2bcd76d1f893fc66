/**
 * Part 2 of the catalog bench: a large catalog. How soon the first table stands, what one change costs Fairlead itself,
 * and how much Consul is asked, at the start, in quiet, and per change.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { cpuMicros, mainThreadCpuMicros } from '../lib/procfs.ts'
import { Client, whenAnswers } from './clients.ts'
import { requestsBetween } from './counting-relay.ts'
import type { Counts, CountingRelay } from './counting-relay.ts'
import { readMetric } from './proxy.ts'
import type { CatalogProxy } from './proxy.ts'
import { deregister, registerArriving } from './registration.ts'
import type { Scene } from './registration.ts'

/** What one change cost Fairlead, ms: CPU time in a window with the change, less that in the quiet window before it. */
export interface ChangeCost {
  readonly kind: 'registered' | 'deregistered'
  /** The thread that serves requests. */
  readonly mainThreadMs: number
  /** All threads: decoding off the request loop and garbage collection too. */
  readonly allThreadsMs: number
  /** The table alone, by Fairlead's own metric. */
  readonly buildMs: number
  /** What Consul was asked in the window. */
  readonly requests: ReadonlyMap<string, number>
}

interface Reading {
  readonly main: number
  readonly all: number
  readonly counts: Counts
}

const read = (proxy: CatalogProxy, relay: CountingRelay): Reading => ({
  main: mainThreadCpuMicros(proxy.pid),
  all: cpuMicros(proxy.pid),
  counts: relay.counts(),
})

/** Waits until the table holds so many instances; resolves with the time since the process started, ms. */
export async function whenComplete(client: Client, proxy: CatalogProxy, instances: number): Promise<number> {
  const readyAt = performance.now()
  for (;;) {
    const endpoints = await readMetric(client, proxy, 'fairlead_endpoints')
    if (endpoints >= instances) return proxy.readyMs + performance.now() - readyAt
    if (performance.now() > readyAt + 60_000)
      throw new Error(`${endpoints} of ${instances} instances in the table a minute after it was ready`)
    await delay(20)
  }
}

/** Resolves when nothing was asked of Consul for so long; at most after a minute. */
async function untilQuiet(relay: CountingRelay, quietMs: number): Promise<void> {
  const deadline = performance.now() + 60_000
  let before = relay.counts()
  for (let quietSince = performance.now(); performance.now() < Math.min(deadline, quietSince + quietMs);) {
    await delay(20)
    const now = relay.counts()
    if (requestsBetween(before, now).size > 0) quietSince = performance.now()
    before = now
  }
}

/** What follows a change that Consul's streams woke for and did not show: every service is read again, at a bounded pace. */
export interface Sweep {
  readonly requests: ReadonlyMap<string, number>
  /** From the change until Consul was asked nothing more. */
  readonly lastedMs: number
  readonly mainThreadMs: number
  readonly allThreadsMs: number
}

const quietEnoughMs = 500

/** One change and everything that it leads to. */
export async function measureSweep(
  proxy: CatalogProxy,
  relay: CountingRelay,
  change: () => Promise<void>,
): Promise<Sweep> {
  await untilQuiet(relay, quietEnoughMs)
  const before = read(proxy, relay)
  const startedAt = performance.now()
  await change()
  await untilQuiet(relay, quietEnoughMs)
  const after = read(proxy, relay)
  return {
    requests: requestsBetween(before.counts, after.counts),
    lastedMs: performance.now() - startedAt - quietEnoughMs,
    mainThreadMs: (after.main - before.main) / 1_000,
    allThreadsMs: (after.all - before.all) / 1_000,
  }
}

/** More service reads than this in a window belong to a sweep, which is priced by itself. */
const readsOfOneChangeMax = 5

/** Undefined: a sweep ran in one of the two windows. */
async function measureChange(
  proxy: CatalogProxy,
  relay: CountingRelay,
  client: Client,
  windowMs: number,
  kind: ChangeCost['kind'],
  change: () => Promise<void>,
): Promise<ChangeCost | undefined> {
  await untilQuiet(relay, quietEnoughMs)
  const first = read(proxy, relay)
  await delay(windowMs)
  const second = read(proxy, relay)
  await change()
  await delay(windowMs)
  const third = read(proxy, relay)
  const cost = (field: 'main' | 'all'): number =>
    (third[field] - second[field] - (second[field] - first[field])) / 1_000
  const requests = requestsBetween(second.counts, third.counts)
  const swept = requestsBetween(first.counts, second.counts).size > 0
  if (swept || (requests.get('health/service') ?? 0) > readsOfOneChangeMax) return undefined
  return {
    kind,
    mainThreadMs: cost('main'),
    allThreadsMs: cost('all'),
    buildMs: (await readMetric(client, proxy, 'fairlead_table_build_seconds')) * 1_000,
    requests,
  }
}

/**
 * `count` registrations and as many deregistrations, each in a window of its own after a quiet one of the same length.
 * Those that a sweep fell into are left out.
 */
export async function measureChanges(
  scene: Scene,
  proxy: CatalogProxy,
  relay: CountingRelay,
  count: number,
  windowMs: number,
  say: (line: string) => void,
): Promise<readonly ChangeCost[]> {
  const client = new Client()
  const costs: ChangeCost[] = []
  const path = `/${scene.service}`
  const measure = async (kind: ChangeCost['kind'], change: () => Promise<void>): Promise<void> => {
    const cost = await measureChange(proxy, relay, client, windowMs, kind, change)
    if (cost) costs.push(cost)
  }
  try {
    await whenAnswers(client, proxy.port, path, 'lasting')
    for (let round = 0; round < count; round++) {
      say(`changes ${2 * round + 1} and ${2 * round + 2} of ${2 * count}`)
      const id = `arriving-at-scale-${round}`
      await measure('registered', () => registerArriving(scene, id))
      // outside the window: it must have had the effect that is being priced
      await whenAnswers(client, proxy.port, path, 'arriving')
      await measure('deregistered', () => deregister(scene, id))
      await whenAnswers(client, proxy.port, path, 'lasting')
    }
    return costs
  } finally {
    client.close()
  }
}

/** What Consul was asked while nothing changed. */
export async function measureQuiet(
  relay: CountingRelay,
  windowMs: number,
): Promise<{ readonly requests: ReadonlyMap<string, number>; readonly open: number }> {
  const before = relay.counts()
  await delay(windowMs)
  const after = relay.counts()
  return { requests: requestsBetween(before, after), open: after.open }
}
