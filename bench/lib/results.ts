/**
 * What a run leaves behind: its head, and everything it found as Markdown and as JSON. Pure; the date is the caller's.
 */
import type { Machine } from './machine.ts'
import type { BenchOptions, QuestionName } from './options.ts'
import type { Question, Section } from './question.ts'
import { renderGoal } from './report.ts'
import type { Goal } from './report.ts'
import { leastRounds, widestSpread } from './statistics.ts'

/** What every figure of a run must be read with. */
export interface Circumstances {
  /** ISO 8601, by the clock of whoever ran it. */
  readonly date: string
  readonly machine: Machine
  /** Which cores did what. */
  readonly cores: {
    readonly proxy: number | undefined
    readonly rest: number | undefined
    readonly spare: number | undefined
  }
  /** Commit of Fairlead's source. */
  readonly revision: string
  readonly load: string
  readonly backend: string
  /** Of those that took part. */
  readonly versions: Readonly<Record<string, string>>
  readonly options: BenchOptions
}

export interface Answer {
  readonly name: QuestionName
  readonly question: Question
  readonly sections: readonly Section[]
}

function describeCores({ proxy, rest, spare }: Circumstances['cores']): string {
  if (proxy === undefined) return 'not pinned'
  const third = spare === undefined ? '' : `, load at a fixed rate on ${spare}`
  return `proxy on core ${proxy}, rest on ${rest ?? 0}${third}`
}

/** What stands above the tables. */
export function renderHead(of: Circumstances): string {
  const { machine, options } = of
  const versions = Object.entries(of.versions).map(([name, version]) => `${name} ${version}`)
  return [
    '## Bench',
    '',
    `${of.date}. ${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node ${machine.node}; ${describeCores(of.cores)}.`,
    `Load: ${of.load}. Backend: ${of.backend}. Contestants: ${versions.join(', ')}. Fairlead's source: ${of.revision}.`,
    `${options.rounds} interleaved rounds of ${options.seconds} s; medians (least–most). Ratios are paired by round, and not told`,
    `where the middle half of them spans more than ${widestSpread * 100} % of their median ("too noisy") or there are fewer than ${leastRounds}.`,
  ].join('\n')
}

/** What stands above a question's tables. */
export function renderQuestion(name: QuestionName, question: Question): string {
  return `**${name}**: ${question.asks} ${question.how}`
}

const goalsOf = (answers: readonly Answer[]): readonly Goal[] =>
  answers.flatMap(({ sections }) => sections.flatMap(({ goals }) => goals ?? []))

/** The goals, one item each; '' when there are none. */
export function renderGoals(answers: readonly Answer[]): string {
  return goalsOf(answers).map(renderGoal).join('\n')
}

/** The whole run. */
export function renderMarkdown(of: Circumstances, answers: readonly Answer[]): string {
  const parts = answers.flatMap(({ name, question, sections }) => [
    renderQuestion(name, question),
    ...sections.map(({ markdown }) => markdown),
  ])
  return `${[renderHead(of), ...parts, renderGoals(answers)].filter((part) => part !== '').join('\n\n')}\n`
}

/** The whole run with every figure of it. */
export function renderJson(of: Circumstances, answers: readonly Answer[]): string {
  const questions = answers.map(({ name, question, sections }) => ({
    name,
    asks: question.asks,
    figures: sections.map(({ figures }) => figures),
  }))
  return `${JSON.stringify({ ...of, questions, goals: goalsOf(answers) }, undefined, 2)}\n`
}
