/** `accept`: how long new clients wait that come all at once while others keep the proxy busy. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RunningContestant } from '../lib/contestants.ts'
import { type LoadFigures, type NewcomersFigures, runNewcomers } from '../lib/load.ts'
import { type Lab, measureAfresh } from '../lib/measure.ts'
import { exchanges } from '../lib/payload.ts'
import type { Question } from '../lib/question.ts'
import { figure, ratioCell, referencesAmong, section, spread } from '../lib/report.ts'
import { pairedRatios, ratioOf, spreadOf } from '../lib/statistics.ts'
import { together } from '../lib/together.ts'

const { small } = exchanges
/** What a process has open besides. */
const otherFiles = 512
/** How long those who come may wait: so many lengths of a measurement, and at least so long, s. */
const [patience, patienceMin] = [3, 5]
/** How long the busy ones are there before the others come, s. */
const aheadSeconds = 1

/** One round of one contestant. */
export interface AcceptSample {
  readonly newcomers: NewcomersFigures
  /** Those who kept it busy, before, meanwhile and after. */
  readonly busy: LoadFigures
}

export interface AcceptResult {
  readonly name: string
  readonly samples: readonly AcceptSample[]
}

async function measureOne(lab: Lab, target: RunningContestant, busy: number, count: number): Promise<AcceptSample> {
  if (lab.warmUpSeconds > 0) await lab.load.run(target.port, small, busy, lab.warmUpSeconds)
  const patienceSeconds = Math.max(patienceMin, patience * lab.seconds)
  const load = lab.load.run(target.port, small, busy, aheadSeconds + patienceSeconds)
  const [newcomers, figures] = await together(
    delay(aheadSeconds * 1_000).then(() =>
      runNewcomers(target.port, small, {
        core: lab.spareCore ?? lab.restCore,
        yields: lab.spareCore === undefined,
        count,
        patienceSeconds,
      }),
    ),
    load,
  )
  return { newcomers, busy: figures }
}

const waits = [
  ['p50', 'p50Ms'],
  ['p99', 'p99Ms'],
  ['most', 'maxMs'],
] as const

/** The table; the ratio is of the 99th percentile, which tells how long it took until nearly all were served. */
export function renderAccept(title: string, results: readonly AcceptResult[]): string {
  const references = referencesAmong(results.map(({ name }) => name))
  const of = (name: string): readonly number[] =>
    results.find((one) => one.name === name)?.samples.map(({ newcomers }) => newcomers.p99Ms) ?? []
  const header = ['', ...waits.map(([name]) => `${name} ms`), ...references.map((name) => `p99 ÷ ${name}`)]
  header.push('served/s', 'requests/s of the busy', 'errors')
  const rows = results.map(({ name, samples }) => [
    name,
    ...waits.map(([, wait]) => spread(spreadOf(samples.map(({ newcomers }) => newcomers[wait])), 0)),
    ...references.map((reference) => ratioCell(ratioOf(pairedRatios(of(name), of(reference))))),
    figure(spreadOf(samples.map(({ newcomers }) => newcomers.requests / newcomers.seconds)).median, 0),
    figure(spreadOf(samples.map(({ busy }) => busy.requests / busy.seconds)).median, 0),
    figure(
      samples.reduce((sum, { newcomers, busy }) => sum + newcomers.errors + busy.errors, 0),
      0,
    ),
  ])
  const doubts = results.flatMap(({ name, samples }) => {
    const errors = Math.max(0, ...samples.map(({ newcomers }) => newcomers.errors))
    return errors === 0 ? [] : [`${name}: up to ${errors} of them had no answer in time; their wait is not counted.`]
  })
  return section(title, header, rows, doubts)
}

export const accept: Question = {
  asks: 'How long do 2,000 new clients wait that come all at once to a busy proxy?',
  how:
    'Each is started afresh in each round. While the most keep-alive clients of --connections ask in a closed loop, 2,000 (--newcomers) ' +
    'connect at once and ask once each: the time of each from connecting to its answer, and how many a second were served.',
  openFiles: (options) => 2 * (options.newcomers + Math.max(...options.connections)) + otherFiles,
  async *ask(lab, contestants, options) {
    const busy = Math.max(...options.connections)
    const count = options.newcomers
    const title = `${figure(count, 0)} new clients at once, beside ${figure(busy, 0)} busy ones`
    const setting = { title, backendPort: lab.backend.port, clients: busy + count }
    const results = await measureAfresh(lab, contestants, setting, (target) => measureOne(lab, target, busy, count))
    yield { markdown: renderAccept(title, results), figures: { count, busy, results } }
  },
}
