/**
 * What a named question is: words, what it needs of the machine, and how it is answered. The questions themselves lie in
 * `bench/questions/`, one a file.
 */
import type { Contestant } from './contestants.ts'
import type { Lab } from './measure.ts'
import type { BenchOptions } from './options.ts'
import type { Goal } from './report.ts'

/** One table of an answer, with what it was made from. */
export interface Section {
  /** Markdown, from its heading on. */
  readonly markdown: string
  /** For the results as JSON. */
  readonly figures: unknown
  readonly goals?: readonly Goal[]
}

export interface Question {
  /** What is asked, as one sentence that ends in a question mark. */
  readonly asks: string
  /** How it is asked, as some sentences: what a reader of the table must know. */
  readonly how: string
  /** Files that one process must be able to have open for it; undefined: as many as any process may. */
  readonly openFiles?: (options: BenchOptions) => number
  /** Answers it, a table at a time. Rejects when a contestant cannot start or is wrong. */
  readonly ask: (lab: Lab, contestants: readonly Contestant[], options: BenchOptions) => AsyncIterable<Section>
}

/** Why a question cannot be asked here; undefined when it can. `limit` is how many files a process may have open. */
export function obstacle(question: Question, options: BenchOptions, limit: number): string | undefined {
  const needed = question.openFiles?.(options) ?? 0
  if (needed <= limit) return undefined
  return `needs ${needed} open files in one process, and ${limit} are allowed (ulimit -Hn): raise that, or ask for fewer`
}
