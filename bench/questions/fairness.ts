/** `fairness`: what small clients that ask now and then have to wait while another one takes all it can get. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RunningContestant } from '../lib/contestants.ts'
import { type LoadFigures, type OpenLoopFigures, runOpenLoop, runPipelining } from '../lib/load.ts'
import { type Lab, measureAfresh } from '../lib/measure.ts'
import { type Exchange, exchanges } from '../lib/payload.ts'
import type { Question } from '../lib/question.ts'
import { figure, ratioCell, referencesAmong, section, spread } from '../lib/report.ts'
import { pairedRatios, ratioOf, spreadOf } from '../lib/statistics.ts'
import { together } from '../lib/together.ts'

const { small, large } = exchanges
/** The small ones: so many connections at most, and so many requests a second of all. */
const smallOnes = { maxConnections: 32, rate: 160 }
/** How long the greedy one is there before the small ones are asked of, s; these have a second of their own that is not counted. */
const aheadSeconds = 0.5
/** The small ones' own lateness from which the figures say more of the generator than of the proxy, ms. */
const latenessMax = 2

/** One megabyte up, and a short answer. */
const upload: Exchange = { ...exchanges.post, path: '/upload', requestBody: 'x'.repeat(1_000_000) }

interface Greed {
  readonly title: string
  readonly run: (lab: Lab, port: number, seconds: number) => Promise<LoadFigures>
}

const closedLoop =
  (exchange: Exchange, connections: number): Greed['run'] =>
  (lab, port, seconds) =>
    lab.load.run(port, exchange, connections, seconds)

export type GreedName = 'pipelining' | 'connections' | 'download' | 'upload'

const greeds: Readonly<Record<GreedName, Greed>> = {
  pipelining: {
    title: 'one that pipelines without end on one connection',
    run: (lab, port, seconds) => runPipelining(port, small, { core: lab.restCore, seconds }),
  },
  connections: { title: 'one with 512 busy connections', run: closedLoop(small, 512) },
  download: { title: 'one that takes 100 kB answers on 8 connections', run: closedLoop(large, 8) },
  upload: { title: 'one that sends 1 MB bodies on 8 connections', run: closedLoop(upload, 8) },
}
const greedNames = Object.keys(greeds) as readonly GreedName[]

/** One round of one contestant. */
export interface FairnessSample {
  /** The small ones without the greedy one. */
  readonly alone: OpenLoopFigures
  readonly beside: Readonly<Record<GreedName, { readonly small: OpenLoopFigures; readonly greedy: LoadFigures }>>
}

export interface FairnessResult {
  readonly name: string
  readonly samples: readonly FairnessSample[]
}

async function measureOne(lab: Lab, { port }: RunningContestant): Promise<FairnessSample> {
  const ask = (): Promise<OpenLoopFigures> =>
    // they need little, and must have that at once to know how late an answer is
    runOpenLoop(port, small, {
      ...smallOnes,
      core: lab.spareCore ?? lab.restCore,
      yields: false,
      seconds: lab.seconds,
    })
  if (lab.warmUpSeconds > 0) await lab.load.run(port, small, 64, lab.warmUpSeconds)
  const alone = await ask()
  const beside: Partial<Record<GreedName, FairnessSample['beside'][GreedName]>> = {}
  for (const name of greedNames) {
    // the whole time of the small ones, and the start of their generator
    const greedy = greeds[name].run(lab, port, aheadSeconds + lab.seconds + 2)
    const [asked, taken] = await together(delay(aheadSeconds * 1_000).then(ask), greedy)
    beside[name] = { small: asked, greedy: taken }
  }
  return { alone, beside: beside as FairnessSample['beside'] }
}

/** The table of one kind of greed; the ratios are of the small ones' 99th percentile beside it. */
export function renderFairness(name: GreedName, results: readonly FairnessResult[]): string {
  const references = referencesAmong(results.map((result) => result.name))
  const p99 = (of: string): readonly number[] =>
    results.find((result) => result.name === of)?.samples.map(({ beside }) => beside[name].small.p99Ms) ?? []
  const header = ['', 'alone p50 ms', 'p99', 'beside it p50 ms', 'p99', ...references.map((of) => `p99 ÷ ${of}`)]
  header.push('requests/s of the greedy', 'errors')
  const rows = results.map(({ name: of, samples }) => [
    of,
    figure(spreadOf(samples.map(({ alone }) => alone.p50Ms)).median, 2),
    figure(spreadOf(samples.map(({ alone }) => alone.p99Ms)).median, 2),
    spread(spreadOf(samples.map(({ beside }) => beside[name].small.p50Ms)), 2),
    spread(spreadOf(p99(of)), 2),
    ...references.map((reference) => ratioCell(ratioOf(pairedRatios(p99(of), p99(reference))))),
    figure(spreadOf(samples.map(({ beside: { [name]: one } }) => one.greedy.requests / one.greedy.seconds)).median, 0),
    figure(
      samples.reduce((sum, { alone, beside }) => sum + alone.errors + beside[name].small.errors, 0),
      0,
    ),
  ])
  const doubts = results.flatMap(({ name: of, samples }) => {
    const late = spreadOf(samples.map(({ beside }) => beside[name].small.ownLatenessP99Ms)).median
    const wrong = samples.reduce((sum, { beside }) => sum + beside[name].greedy.errors, 0)
    return [
      ...(late > latenessMax ? [`${of}: the small ones’ generator itself was ${figure(late, 1)} ms late (p99).`] : []),
      ...(wrong > 0 ? [`${of}: the greedy one had ${wrong} errors.`] : []),
    ]
  })
  return section(`32 small clients beside ${greeds[name].title}`, header, rows, doubts)
}

export const fairness: Question = {
  asks: 'How much longer do small clients wait while a greedy one takes all it can get?',
  how:
    'Each is started afresh in each round. 160 requests a second in all come from up to 32 connections, due at fixed times; first alone, then beside a client ' +
    'that pipelines without end, one with 512 busy connections, one that takes 100 kB answers, and one that sends bodies of 1 MB.',
  openFiles: () => 2 * 1_024,
  async *ask(lab, contestants) {
    const setting = { title: 'Fairness', backendPort: lab.backend.port, clients: 1_024 }
    const results = await measureAfresh(lab, contestants, setting, (target) => measureOne(lab, target))
    for (const name of greedNames) yield { markdown: renderFairness(name, results), figures: { greed: name, results } }
  },
}
