/**
 * `latency`: how much later answers come through each proxy than directly, at a load that is fixed, whatever comes back.
 */
import { join } from 'node:path'
import { checkExchange } from '../lib/check.ts'
import type { Contestant, RunningContestant } from '../lib/contestants.ts'
import { runOpenLoop } from '../lib/load.ts'
import type { OpenLoopFigures } from '../lib/load.ts'
import { roundOrder } from '../lib/measure.ts'
import type { Lab } from '../lib/measure.ts'
import { exchanges } from '../lib/payload.ts'
import type { Question } from '../lib/question.ts'
import { figure, ratioCell, referencesAmong, section, spread } from '../lib/report.ts'
import { pairedRatios, ratioOf, spreadOf } from '../lib/statistics.ts'

const { small } = exchanges
/** Clients of the closed loop that finds a contestant's capacity. */
const capacityConnections = 64
const maxConnections = 1_024
/** The generator's own lateness from which the figures say more of it than of the proxy, ms. */
const latenessMax = 1

const points = [
  ['p50', 'p50Ms'],
  ['p99', 'p99Ms'],
  ['p99.9', 'p999Ms'],
] as const
type Point = (typeof points)[number][1]

/** One round of one contestant: the same load on it, and on the backend without it. */
export interface LatencySample {
  readonly direct: OpenLoopFigures
  readonly through: OpenLoopFigures
}

export interface LatencyResult {
  readonly name: string
  /** Requests/s in a closed loop; undefined when the rate was given. */
  readonly capacity: number | undefined
  readonly rate: number
  readonly samples: readonly LatencySample[]
}

const added = (samples: readonly LatencySample[], point: Point): readonly number[] =>
  samples.map(({ direct, through }) => through[point] - direct[point])

/** What makes the figures doubtful, one sentence each. */
export function latencyDoubts(results: readonly LatencyResult[]): readonly string[] {
  const found: string[] = []
  for (const { name, rate, samples } of results) {
    const lateness = spreadOf(
      samples.map(({ direct, through }) => Math.max(direct.ownLatenessP99Ms, through.ownLatenessP99Ms)),
    ).median
    if (lateness > latenessMax)
      found.push(
        `${name}: the generator itself was ${figure(lateness, 1)} ms late (p99) at ${figure(rate, 0)} requests/s.`,
      )
    const errors = samples.reduce((sum, { direct, through }) => sum + direct.errors + through.errors, 0)
    if (errors > 0) found.push(`${name}: ${errors} requests failed or were not answered; their wait is counted.`)
  }
  return found
}

/** The table; ratios of the added time only where all had the same rate, since else they were not asked the same. */
export function renderLatency(results: readonly LatencyResult[]): string {
  const sameRate = new Set(results.map(({ rate }) => rate)).size === 1
  const references = sameRate ? referencesAmong(results.map(({ name }) => name)) : []
  const header = ['', 'capacity/s', 'rate/s', ...points.map(([name]) => `added ${name} ms`)]
  header.push(...references.map((name) => `added p50 ÷ ${name}`), ...points.map(([name]) => `direct ${name}`), 'errors')
  const rows = results.map(({ name, capacity, rate, samples }) => [
    name,
    figure(capacity ?? Number.NaN, 0),
    figure(rate, 0),
    ...points.map(([, point]) => spread(spreadOf(added(samples, point)), 3)),
    ...references.map((reference) => {
      const theirs = results.find((one) => one.name === reference)?.samples ?? []
      return ratioCell(ratioOf(pairedRatios(added(samples, 'p50Ms'), added(theirs, 'p50Ms'))))
    }),
    ...points.map(([, point]) => figure(spreadOf(samples.map(({ direct }) => direct[point])).median, 3)),
    figure(
      samples.reduce((sum, { through }) => sum + through.errors, 0),
      0,
    ),
  ])
  return section('Added latency, 64-byte answers at a fixed rate', header, rows, latencyDoubts(results))
}

interface Prepared {
  readonly name: string
  readonly target: RunningContestant
  readonly capacity: number | undefined
  readonly rate: number
  readonly samples: LatencySample[]
}

async function prepare(
  lab: Lab,
  target: RunningContestant,
  name: string,
  given: number | undefined,
): Promise<Prepared> {
  await checkExchange(target.port, small)
  if (lab.warmUpSeconds > 0) await lab.load.run(target.port, small, capacityConnections, lab.warmUpSeconds)
  if (given !== undefined) return { name, target, capacity: undefined, rate: given, samples: [] }
  lab.say(`latency: capacity of ${name}`)
  const figures = await lab.load.run(target.port, small, capacityConnections, lab.seconds)
  const capacity = figures.requests / figures.seconds
  return { name, target, capacity, rate: Math.max(1, Math.floor(capacity / 2)), samples: [] }
}

async function runRounds(lab: Lab, prepared: readonly Prepared[]): Promise<void> {
  const core = lab.spareCore ?? lab.restCore
  const load = (port: number, rate: number): Promise<OpenLoopFigures> =>
    runOpenLoop(port, small, { core, yields: lab.spareCore === undefined, rate, seconds: lab.seconds, maxConnections })
  for (let round = 0; round < lab.rounds; round++) {
    const direct = new Map<number, OpenLoopFigures>()
    for (const index of roundOrder(prepared.length, round, lab.alternate)) {
      const one = prepared[index]
      if (one === undefined) continue
      lab.say(`latency: round ${round + 1} of ${lab.rounds}, ${one.name}`)
      // those with the same rate share what it takes without a proxy
      const without = direct.get(one.rate) ?? (await load(lab.backend.port, one.rate))
      direct.set(one.rate, without)
      one.samples.push({ direct: without, through: await load(one.target.port, one.rate) })
    }
  }
}

async function measureLatency(
  lab: Lab,
  contestants: readonly Contestant[],
  rate: number | undefined,
): Promise<readonly LatencyResult[]> {
  const running: RunningContestant[] = []
  try {
    const prepared: Prepared[] = []
    for (const [index, contestant] of contestants.entries()) {
      const dir = join(lab.dir, `latency-${index}`)
      const target = await contestant.start({ backendPort: lab.backend.port, core: lab.proxyCore, dir })
      running.push(target)
      prepared.push(await prepare(lab, target, contestant.name, rate))
    }
    await runRounds(lab, prepared)
    return prepared.map(({ name, capacity, rate, samples }) => ({ name, capacity, rate, samples }))
  } finally {
    await Promise.all(running.map((target) => target.stop()))
  }
}

export const latency: Question = {
  asks: 'How much later does an answer come through a proxy than directly, at half of what the proxy could do?',
  how:
    'Each one’s capacity is found first, by 64 clients in a closed loop; then requests come at half of it (or at --rate), ' +
    'due at fixed times whether or not answers come, and latency counts from when each was due. Added: what the proxy’s ' +
    'percentile is above the backend’s own at the same rate, in the same round.',
  // capacity is measured with as many connections at both ends as the generator may open
  openFiles: () => 2 * maxConnections + 200,
  async *ask(lab, contestants, options) {
    const results = await measureLatency(lab, contestants, options.rate)
    yield { markdown: renderLatency(results), figures: results }
  },
}
