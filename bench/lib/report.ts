/**
 * Results as Markdown: a table per case, and the goals. Pure; it must not measure.
 */
import type { CaseResult, ContestantResult, Sample } from './measure.ts'
import { pairedRatios, ratioOf, spreadOf } from './statistics.ts'
import type { Ratio, Spread } from './statistics.ts'

/** Throughput says something about the proxy only when its core was the bottleneck. */
export const busyEnough = 0.95
/** More of the proxy's core than this went to others: the figures are suspect. */
const foreignLoadMax = 0.1

/** A number with its thousands set apart; a dash for none. */
export function figure(value: number, digits: number): string {
  return Number.isFinite(value)
    ? value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    : '–'
}

/** The median, and the least and the most in parentheses where they differ. */
export function spread(value: Spread, digits: number): string {
  const middle = figure(value.median, digits)
  return value.min === value.max || Number.isNaN(value.median)
    ? middle
    : `${middle} (${figure(value.min, digits)}–${figure(value.max, digits)})`
}

const pick = (result: ContestantResult, field: keyof Sample): readonly number[] =>
  result.samples.map((sample) => sample[field] ?? Number.NaN)

/** Ratio of CPU per request to another contestant's in the same case, paired by round; undefined without that one. */
export function cpuRatio(of: CaseResult, name: string, to: string): Ratio | undefined {
  const ours = of.results.find((result) => result.name === name)
  const theirs = of.results.find((result) => result.name === to)
  if (!ours || !theirs) return undefined
  return ratioOf(pairedRatios(pick(ours, 'cpuMicrosPerRequest'), pick(theirs, 'cpuMicrosPerRequest')))
}

/** A ratio as a cell: its median and range, or why it is not told. */
export function ratioCell(ratio: Ratio | undefined): string {
  if (ratio === undefined) return '–'
  return ratio.told ? spread(ratio.spread, 2) : ratio.why
}

/** Those of the usual references of ratios that took part. */
export function referencesAmong(names: readonly string[]): readonly string[] {
  return ['haproxy', 'relay'].filter((name) => names.includes(name))
}

/** A Markdown table with its columns padded; the first left-aligned, the others right-aligned. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) => Math.max(4, ...[header, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(header), line(rule), ...rows.map(line)].join('\n')
}

function row(of: CaseResult, result: ContestantResult, references: readonly string[]): readonly string[] {
  const busy = spreadOf(pick(result, 'coreBusy'))
  const rate = spread(spreadOf(pick(result, 'requestsPerSecond')), 0)
  return [
    result.name,
    spread(spreadOf(pick(result, 'cpuMicrosPerRequest')), 1),
    ...references.map((name) => ratioCell(cpuRatio(of, result.name, name))),
    busy.median >= busyEnough ? rate : `[${rate}]`,
    Number.isNaN(busy.median) ? '–' : `${figure(busy.median * 100, 0)} %`,
    figure(spreadOf(pick(result, 'p50Ms')).median, 2),
    figure(spreadOf(pick(result, 'p99Ms')).median, 2),
    figure(result.residentBytes / 1_048_576, 0),
    figure(result.peakBytes / 1_048_576, 0),
    figure(
      pick(result, 'errors').reduce((sum, value) => sum + value, 0),
      0,
    ),
  ]
}

/** What makes a case's figures doubtful, one sentence each. */
export function doubts(of: CaseResult): readonly string[] {
  const found: string[] = []
  for (const result of of.results) {
    const shares = result.samples.map((sample) => (sample.coreBusy ?? sample.proxyBusy) - sample.proxyBusy)
    const foreign = spreadOf(shares).median
    if (foreign > foreignLoadMax)
      found.push(`${result.name}: ${figure(foreign * 100, 0)} % of its core went to others; is the machine quiet?`)
    const errors = pick(result, 'errors').reduce((sum, value) => sum + value, 0)
    if (errors > 0) found.push(`${result.name}: ${errors} errors, so its figures are not comparable.`)
  }
  return found
}

/** One case: CPU per request with ratios to the references that took part, then the rest. */
export function renderCase(of: CaseResult): string {
  const references = referencesAmong(of.results.map((result) => result.name))
  const header = ['', 'CPU µs/request', ...references.map((name) => `÷ ${name}`), 'requests/s']
  header.push('core busy', 'p50 ms', 'p99 ms', 'RSS MiB', 'peak MiB', 'errors')
  const rows = of.results.map((result) => row(of, result, references))
  return section(`${of.exchange.title}, ${of.connections} connections`, header, rows, doubts(of))
}

/** A heading, a table under it, and below that what is to be said of it, one item each. */
export function section(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
  notes: readonly string[],
): string {
  const below = notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []
  return [`### ${title}`, '', markdownTable(header, rows), ...below].join('\n')
}

export interface Goal {
  readonly text: string
  /** Undefined when a contestant it needs did not take part, or the ratio may not be told. */
  readonly met: boolean | undefined
}

/** A goal as one line. */
export function renderGoal(goal: Goal): string {
  return `- ${goal.text}${goal.met === undefined ? '' : goal.met ? ': met' : ': MISSED'}`
}

/** CPU per small request at most 1.3 times HAProxy's, and 1.3 times the bare relay's, at each number of connections. */
export function goals(cases: readonly CaseResult[]): readonly Goal[] {
  const found: Goal[] = []
  for (const small of cases.filter((one) => one.exchange.name === 'small'))
    for (const name of ['haproxy', 'relay']) {
      const ratio = cpuRatio(small, 'fairlead', name)
      const measured = ratio?.told ? ratio.spread.median : undefined
      const said = ratio?.told ? `${figure(ratio.spread.median, 2)} times` : (ratio?.why ?? 'not measured')
      found.push({
        text: `CPU per small request, ${small.connections} connections, beside ${name}: ${said} (goal: at most 1.30)`,
        met: measured === undefined ? undefined : measured <= 1.3,
      })
    }
  return found
}
