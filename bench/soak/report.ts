/** A soak as Markdown: what it held over time, how soon changes were seen, and what held. Pure. */
import { figure, markdownTable } from '../lib/report.ts'
import { median, quantile } from '../lib/statistics.ts'
import type { Judgement } from './judge.ts'
import type { Phase, Plan } from './plan.ts'
import type { SoakResult } from './run.ts'
import type { Sample } from './samples.ts'

const rows = 12
const mebibyte = 1_048_576

/** Whether a phase and a stretch of time have a moment in common. */
const overlaps = (phase: Phase, fromMs: number, toMs: number): boolean =>
  phase.fromMs < toMs && phase.fromMs + phase.forMs > fromMs

function renderRow(samples: readonly Sample[], fromMs: number, toMs: number, plan: Plan): string[] {
  const middle = (read: (sample: Sample) => number): number => median(samples.map(read))
  const last = samples.at(-1)
  const first = samples[0]
  const rate = last && first ? ((last.requests - first.requests) * 1_000) / (last.atMs - first.atMs) : Number.NaN
  const events = [
    overlaps(plan.blocked, fromMs, toMs) ? 'output not read' : '',
    overlaps(plan.blind, fromMs, toMs) ? 'rights lost' : '',
  ]
  return [
    `${figure(fromMs / 60_000, 1)}–${figure(toMs / 60_000, 1)}`,
    figure(middle((sample) => sample.residentBytes) / mebibyte, 0),
    figure(middle((sample) => sample.heapUsedBytes) / mebibyte, 0),
    figure(middle((sample) => sample.externalBytes) / mebibyte, 1),
    figure(
      middle((sample) => sample.descriptors),
      0,
    ),
    figure(
      middle((sample) => sample.clientConnections),
      0,
    ),
    figure(
      middle((sample) => sample.upstreamConnections),
      0,
    ),
    figure(
      middle((sample) => sample.timers),
      0,
    ),
    figure(rate, 0),
    figure(
      samples.reduce((most, { loopLagMs }) => Math.max(most, loopLagMs), 0),
      0,
    ),
    figure(last?.tableVersion ?? Number.NaN, 0),
    figure(last?.droppedLines ?? Number.NaN, 0),
    events.filter((event) => event !== '').join(', '),
  ]
}

/** The table of what was held, a twelfth of the time to a row, medians. */
export function renderSamples({ samples }: SoakResult, plan: Plan): string {
  const header = ['minutes', 'RSS MiB', 'heap MiB', 'external MiB', 'descriptors', 'clients', 'to instances', 'timers']
  header.push('requests/s', 'most lag ms', 'table', 'lines lost', '')
  const stretchMs = plan.totalMs / rows
  const found = Array.from({ length: rows }, (_, at) => {
    const fromMs = at * stretchMs
    const some = samples.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + stretchMs)
    return renderRow(some, fromMs, fromMs + stretchMs, plan)
  })
  return markdownTable(header, found)
}

export function renderChanges({ changes, shownMs, goneMs, lookMs, slowestMs, stoodStillMs }: SoakResult): string {
  const kinds = Object.entries(changes).map(([kind, count]) => `${kind} ${figure(count, 0)}`)
  const times = (what: string, values: readonly number[]): string =>
    `${what} after ${figure(median(values), 0)} ms (median), ${figure(quantile(values, 0.99), 0)} (p99), ${figure(quantile(values, 1), 0)} (most)`
  return [
    `Changes: ${kinds.join(', ')}.`,
    `Seen in the table, which was looked at every ${lookMs} ms while Consul could be read: a registration ${times('', shownMs).trim()}; a deregistration ${times('', goneMs).trim()}.`,
    `Slowest request: ${figure(slowestMs, 0)} ms. The soak's own process stood still for up to ${figure(stoodStillMs, 0)} ms: far more than a few hundred, and it was the machine that was too busy.`,
  ].join('\n')
}

export function renderJudgements(judgements: readonly Judgement[]): string {
  return judgements.map(({ text, met }) => `- ${text}: ${met ? 'met' : 'MISSED'}`).join('\n')
}
