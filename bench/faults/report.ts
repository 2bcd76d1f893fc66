/** The fault bench's figures as a Markdown table, and whether Fairlead's goals are reached. Pure. */
import { markdownTable } from '../lib/report.ts'
import type { Result } from './measure.ts'
import type { RunName } from './options.ts'

const titles: Readonly<Record<RunName, string>> = {
  kill: 'Three kills, each with a replacement',
  freeze: 'One of four freezes (SIGSTOP)',
}

const share = (value: number): string => (Number.isNaN(value) ? '–' : `${Math.round(value * 100)} %`)
const ms = (value: number): string => String(Math.round(value))

export function renderRun(run: RunName, results: readonly Result[]): string {
  const header = ['', 'requests', 'failed safe', 'failed POSTs', 'POSTs seen twice', 'slowest GET ms', 'slowest ms']
  header.push('without: slowest GET', 'slowest', '1st second after', '2nd second', 'requests/s before')
  const rows = results.map(({ name, without, withFault: { figures, times, perSecond } }) => [
    name,
    String(figures.requests),
    String(figures.failedSafe),
    String(figures.failedUnsafe),
    String(figures.postsSeenTwice),
    ms(figures.slowestSafeMs),
    ms(figures.slowestMs),
    ms(without.figures.slowestSafeMs),
    ms(without.figures.slowestMs),
    share(times.firstSecond),
    share(times.nextSecond),
    ms(perSecond),
  ])
  const spoilt = results
    .filter(({ without: { figures } }) => figures.failedSafe + figures.failedUnsafe > 0)
    .map(
      ({ name, without: { figures } }) =>
        `- ${name}: ${figures.failedSafe + figures.failedUnsafe} failed without a fault.`,
    )
  return [`### ${titles[run]}`, '', markdownTable(header, rows), ...(spoilt.length > 0 ? ['', ...spoilt] : [])].join(
    '\n',
  )
}

export interface Goal {
  readonly text: string
  readonly met: boolean
}

/** Of Fairlead only; empty when it did not take part. */
export function goalsOf(run: RunName, results: readonly Result[]): readonly Goal[] {
  const own = results.find(({ name }) => name === 'fairlead')?.withFault
  if (!own) return []
  const { figures, times } = own
  const goal = (text: string, met: boolean): Goal => ({ text: `${run}: ${text}`, met })
  const always = [
    goal(`failed safe requests: ${figures.failedSafe} (goal: 0)`, figures.failedSafe === 0),
    goal(`POSTs seen twice: ${figures.postsSeenTwice} (goal: 0)`, figures.postsSeenTwice === 0),
  ]
  if (run === 'kill')
    return [...always, goal(`slowest request: ${ms(figures.slowestMs)} ms (goal: 250)`, figures.slowestMs <= 250)]
  return [
    ...always,
    goal(`slowest GET: ${ms(figures.slowestSafeMs)} ms (goal: 1000)`, figures.slowestSafeMs <= 1_000),
    goal(`throughput a second later: ${share(times.nextSecond)} (goal: 75 %)`, times.nextSecond >= 0.75),
  ]
}
