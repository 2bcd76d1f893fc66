/**
 * Results of the benches of policy as Markdown, and their goals. Pure; it must not measure.
 */
import type { Goal } from '../lib/report.ts'
import { markdownTable } from '../lib/report.ts'
import { median, pairedRatios, quantile } from '../lib/statistics.ts'

export const flipGoalMs = 100

function summary(values: readonly number[]): readonly string[] {
  return [median(values), quantile(values, 0.95), Math.max(...values)].map((value) => value.toFixed(1))
}

const slower = (flips: readonly (readonly number[])[]): readonly number[] => flips.map((times) => Math.max(...times))

/** A row for each proxy, and one for whichever was the slower at each flip. */
export function renderFlips(flips: readonly (readonly number[])[]): string {
  const rows = (flips[0] ?? []).map((_, i) => [
    `proxy ${i + 1}`,
    ...summary(flips.map((times) => times[i] ?? Number.NaN)),
  ])
  rows.push(['the slower of them', ...summary(slower(flips))])
  const header = ["from the write's answer to the first request routed by it, ms", 'median', 'p95', 'max']
  return [`### ${flips.length} splits written to the KV`, '', markdownTable(header, rows)].join('\n')
}

export function flipGoal(flips: readonly (readonly number[])[]): Goal {
  const middle = median(slower(flips))
  const text = `A split written to the KV is routed by at every proxy, median: ${middle.toFixed(1)} ms (goal: ${flipGoalMs} ms)`
  return { text, met: Number.isNaN(middle) ? undefined : middle <= flipGoalMs }
}

// === Ten services ===

/** What happened in a window. */
interface Window {
  /** Of each request to the nine others, from its being sent to the end of its answer, ms. */
  readonly msOfOthers: readonly number[]
  /** Requests of any service that were not answered 200. */
  readonly failed: number
  /** Requests to the nine others that another version answered than the one they are for. */
  readonly strayed: number
}

/**
 * A window of quiet; one in which the same replacement went on behind another proxy on the load's core, which is what its
 * processes and calls cost everybody on this machine; and the replacement behind the proxy that is asked.
 */
export interface Round {
  readonly quiet: Window
  readonly elsewhere: Window
  readonly replacing: Window
}

/** "Unchanged", as far as a window's slowest hundredth repeats itself. */
export const slowdownGoal = 1.25

function windowRow(name: string, windows: readonly Window[]): readonly string[] {
  const all = windows.flatMap(({ msOfOthers }) => msOfOthers)
  const sum = (of: (window: Window) => number): string =>
    String(windows.reduce((total, window) => total + of(window), 0))
  const times = [quantile(all, 0.5), quantile(all, 0.99), quantile(all, 1)].map((ms) => ms.toFixed(2))
  return [name, String(all.length), ...times, sum(({ failed }) => failed), sum(({ strayed }) => strayed)]
}

/** How many times slower the nine are during a replacement than in the window of that round it is compared with: the median over rounds. */
function slowdown(rounds: readonly Round[], share: number, than: 'quiet' | 'elsewhere'): number {
  const of = (window: keyof Round): readonly number[] =>
    rounds.map((round) => quantile(round[window].msOfOthers, share))
  return median(pairedRatios(of('replacing'), of(than)))
}

function ratioRow(name: string, rounds: readonly Round[], than: 'quiet' | 'elsewhere'): readonly string[] {
  const [half, most] = [0.5, 0.99].map((share) => slowdown(rounds, share, than).toFixed(2))
  return [name, '', half ?? '', most ?? '', '', '', '']
}

export function renderRounds(rounds: readonly Round[]): string {
  const header = [
    'the nine others',
    'requests',
    'p50 ms',
    'p99 ms',
    'most ms',
    'failed (all ten)',
    'by another version',
  ]
  const rows = [
    windowRow(
      'in quiet',
      rounds.map(({ quiet }) => quiet),
    ),
    windowRow(
      'during one behind another proxy',
      rounds.map(({ elsewhere }) => elsewhere),
    ),
    windowRow(
      'during the replacement',
      rounds.map(({ replacing }) => replacing),
    ),
    ratioRow('÷ behind another, median of the rounds', rounds, 'elsewhere'),
    ratioRow('÷ in quiet, median of the rounds', rounds, 'quiet'),
  ]
  return [`### Three versions of one of them replaced, ${rounds.length} times`, '', markdownTable(header, rows)].join(
    '\n',
  )
}

export function roundGoals(rounds: readonly Round[]): readonly Goal[] {
  const sum = (of: (window: Window) => number): number =>
    rounds.reduce((total, { quiet, elsewhere, replacing }) => total + of(quiet) + of(elsewhere) + of(replacing), 0)
  const failed = sum((window) => window.failed)
  const strayed = sum((window) => window.strayed)
  const goals: Goal[] = [
    { text: `Failed requests, of all ten: ${failed} (goal: 0)`, met: failed === 0 },
    { text: `Requests to the nine that another version answered: ${strayed} (goal: 0)`, met: strayed === 0 },
  ]
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const ratio = slowdown(rounds, share, 'elsewhere')
    const text = `${name} of the nine during a replacement, beside one behind another proxy: ${ratio.toFixed(2)} times (goal: at most ${slowdownGoal})`
    goals.push({ text, met: Number.isNaN(ratio) ? undefined : ratio <= slowdownGoal })
  }
  return goals
}
