/** The questions what a connection that does nothing holds in memory: what they share. */
import { setTimeout as delay } from 'node:timers/promises'
import { startBackend } from './backend.ts'
import type { Contestant, RunningContestant } from './contestants.ts'
import type { Held } from './held-connections.ts'
import { holdOpen } from './held-connections.ts'
import { measureAfresh } from './measure.ts'
import type { Lab } from './measure.ts'
import { memoryBytes } from './procfs.ts'
import { figure, ratioCell, referencesAmong, section, spread } from './report.ts'
import { pairedRatios, ratioOf, spreadOf } from './statistics.ts'

/** Connections opened and ended again before the first look, so that what is made once is not counted as theirs. */
const firstFew = 64

/** One contestant, started afresh. */
export interface MemorySample {
  readonly beforeBytes: number
  readonly afterBytes: number
  /** What was opened. */
  readonly opened: number
  /** Of those, open after the look. */
  readonly stillOpen: number
}

export interface MemoryResult {
  readonly name: string
  readonly samples: readonly MemorySample[]
}

export interface MemoryQuestion {
  /** Heads the table. */
  readonly title: string
  readonly count: number
  /** Seconds between the last one opened and the look at memory, and before the first. */
  readonly settleSeconds: number
  /** Makes a connection what is asked about; rejects when it cannot be. */
  readonly become: (held: Held, index: number) => Promise<void>
  /** After the look: shows that they still work. */
  readonly prove?: (held: readonly Held[]) => Promise<void>
}

async function measureOne(target: RunningContestant, asked: MemoryQuestion): Promise<MemorySample> {
  for (const held of await holdOpen(target.port, Math.min(firstFew, asked.count), asked.become)) held.reset()
  await delay(asked.settleSeconds * 1_000)
  const beforeBytes = memoryBytes(target.pid).resident
  const all = await holdOpen(target.port, asked.count, asked.become)
  try {
    await delay(asked.settleSeconds * 1_000)
    const afterBytes = memoryBytes(target.pid).resident
    const stillOpen = all.filter((held) => held.open).length
    await asked.prove?.(all)
    return { beforeBytes, afterBytes, opened: all.length, stillOpen }
  } finally {
    for (const held of all) held.reset()
  }
}

/** Memory per connection, bytes, one per round. */
function perConnection(samples: readonly MemorySample[]): readonly number[] {
  return samples.map(({ beforeBytes, afterBytes, opened }) => (afterBytes - beforeBytes) / opened)
}

/** The table: memory per connection with ratios, what the process held before and with them. */
export function renderMemory(title: string, results: readonly MemoryResult[], notes: readonly string[] = []): string {
  const references = referencesAmong(results.map(({ name }) => name))
  const header = [
    '',
    'kB per connection',
    ...references.map((name) => `÷ ${name}`),
    'RSS MiB before',
    'RSS MiB with them',
  ]
  const rows = results.map(({ name, samples }) => [
    name,
    spread(spreadOf(perConnection(samples).map((bytes) => bytes / 1_000)), 2),
    ...references.map((reference) => {
      const theirs = results.find((one) => one.name === reference)?.samples ?? []
      return ratioCell(ratioOf(pairedRatios(perConnection(samples), perConnection(theirs))))
    }),
    figure(spreadOf(samples.map(({ beforeBytes }) => beforeBytes / 1_048_576)).median, 1),
    figure(spreadOf(samples.map(({ afterBytes }) => afterBytes / 1_048_576)).median, 1),
  ])
  const doubts = results.flatMap(({ name, samples }) => {
    const gone = Math.max(0, ...samples.map(({ opened, stillOpen }) => opened - stillOpen))
    return gone === 0
      ? []
      : [`${name}: up to ${gone} had been closed before the look, so its figures are not comparable.`]
  })
  return section(title, header, rows, [...notes, ...doubts])
}

/** Measures all, each round afresh, before a backend of Node that holds as many as the clients do. */
export async function measureMemory(
  lab: Lab,
  contestants: readonly Contestant[],
  asked: MemoryQuestion,
): Promise<readonly MemoryResult[]> {
  const backend = await startBackend('node', lab.restCore, lab.dir)
  try {
    const setting = { title: asked.title, backendPort: backend.port, clients: asked.count }
    return await measureAfresh(lab, contestants, setting, async (target, contestant) => {
      try {
        return await measureOne(target, asked)
      } catch (error) {
        throw new Error(`${contestant.name} does not hold ${asked.count} connections`, { cause: error })
      }
    })
  } finally {
    await backend.stop()
  }
}
