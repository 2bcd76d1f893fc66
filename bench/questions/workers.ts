/** `workers`: what a request costs more when several processes share the work. Only Fairlead is judged, so nobody else is started. */
import { fairleadWithWorkers } from '../lib/contestants.ts'
import { type CaseResult, measureCase } from '../lib/measure.ts'
import { exchanges } from '../lib/payload.ts'
import type { Question } from '../lib/question.ts'
import { cpuRatio, figure, type Goal, ratioCell, section, spread } from '../lib/report.ts'
import { spreadOf } from '../lib/statistics.ts'

const dearerMax = 1.1
const [one, two] = [1, 2].map((workers) => fairleadWithWorkers(workers))

/** A row for each number of workers; the ratio is to one process. */
export function renderWorkers(result: CaseResult): string {
  const header = ['', 'CPU µs/request', '÷ one process', 'requests/s', 'p99 ms', 'RSS MiB', 'errors']
  const rows = result.results.map(({ name, samples, residentBytes }) => [
    name,
    spread(spreadOf(samples.map(({ cpuMicrosPerRequest }) => cpuMicrosPerRequest)), 1),
    ratioCell(cpuRatio(result, name, 'one process')),
    figure(spreadOf(samples.map(({ requestsPerSecond }) => requestsPerSecond)).median, 0),
    figure(spreadOf(samples.map(({ p99Ms }) => p99Ms)).median, 2),
    figure(residentBytes / 1_048_576, 0),
    figure(
      samples.reduce((sum, { errors }) => sum + errors, 0),
      0,
    ),
  ])
  return section(`Workers, 64-byte answers, ${result.connections} connections`, header, rows, [])
}

export function workersGoal(result: CaseResult): Goal {
  const ratio = cpuRatio(result, '2 workers', 'one process')
  const told = ratio?.told ? ratio.spread.median : undefined
  const text = `CPU per small request with two workers, beside one process: ${ratioCell(ratio)} times (goal: at most ${dearerMax})`
  return { text, met: told === undefined ? undefined : told <= dearerMax }
}

export const workers: Question = {
  asks: 'What does a request cost more when two workers share the work?',
  how:
    'Fairlead as one process, and as a supervisor, its control and two workers, in turns on the same core: CPU time of all its ' +
    'processes by the number of requests. That two workers have one core between them costs them switches that two cores would not.',
  async *ask(lab, _, options) {
    if (one === undefined || two === undefined) return
    for (const connections of options.connections) {
      const result = await measureCase(lab, [one, two], exchanges.small, connections)
      yield { markdown: renderWorkers(result), figures: result, goals: [workersGoal(result)] }
    }
  },
}
