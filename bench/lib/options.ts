/**
 * The command lines of the bench and the guard, as values. It must not start anything.
 */
import { Command, InvalidArgumentError, Option } from 'commander'

export const questionNames = ['small', 'large', 'post'] as const
/** small: 64-byte answers. large: 100 kB answers. post: 4 kB bodies, 64-byte answers. */
export type QuestionName = (typeof questionNames)[number]

export const contestantNames = ['fairlead', 'relay', 'http-proxy', 'nginx', 'haproxy'] as const
export type ContestantName = (typeof contestantNames)[number]

/** How every round is run, by the bench and by the guard. */
export interface RoundOptions {
  readonly questions: readonly QuestionName[]
  readonly connections: readonly number[]
  readonly rounds: number
  /** Length of one measurement. */
  readonly seconds: number
  /** Load before the first measurement of each contestant, in seconds; lets compilers and pools settle. */
  readonly warmUpSeconds: number
  /** Which load generator; auto: wrk where installed. */
  readonly load: 'auto' | 'wrk' | 'node'
  /** Which backend; auto: nginx where installed. */
  readonly backend: 'auto' | 'nginx' | 'node'
  /** File that takes every figure as JSON; undefined: none. */
  readonly json: string | undefined
}

export interface BenchOptions extends RoundOptions {
  readonly contestants: readonly ContestantName[]
}

export interface GuardOptions extends RoundOptions {
  /** The commit to compare the working tree with. */
  readonly revision: string
}

/** A parser for commander: names from a list, by commas. Throws what commander prints. */
export function listOf<T extends string>(known: readonly T[]): (text: string) => readonly T[] {
  return (text) =>
    text.split(',').map((word) => {
      const found = known.find((name) => name === word.trim())
      if (found === undefined) throw new InvalidArgumentError(`'${word}' is not one of ${known.join(', ')}.`)
      return found
    })
}

/** A parser for commander: a number within bounds, whole if asked for. Throws what commander prints. */
export function numberFrom(min: number, max: number, whole: boolean): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= min && value <= max) || (whole && !Number.isInteger(value)))
      throw new InvalidArgumentError(`Expected ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}.`)
    return value
  }
}

function integersOf(text: string): readonly number[] {
  return text.split(',').map(numberFrom(1, 10_000, true))
}

interface RawOptions {
  readonly quick?: true
  readonly only?: readonly QuestionName[]
  readonly connections?: readonly number[]
  readonly rounds?: number
  readonly seconds?: number
  readonly warmUp?: number
  readonly load: RoundOptions['load']
  readonly backend: RoundOptions['backend']
  readonly json?: string
}

function commandFor(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--only <questions>', `questions: ${questionNames.join(',')}`, listOf(questionNames))
    .option('--connections <list>', 'connections, one case each: 64,512', integersOf)
    .option('--rounds <n>', 'rounds per case', numberFrom(1, 1_000, true))
    .option('--seconds <s>', 'length of one measurement', numberFrom(0.1, 600, false))
    .option('--warm-up <s>', 'load before the first measurement of each', numberFrom(0, 600, false))
    .option('--quick', 'fewer and shorter rounds: a look, not a result')
    .addOption(new Option('--load <tool>', 'load generator').choices(['auto', 'wrk', 'node']).default('auto'))
    .addOption(new Option('--backend <kind>', 'backend').choices(['auto', 'nginx', 'node']).default('auto'))
    .option('--json <file>', 'write every figure to this file as JSON')
    .exitOverride()
}

function roundOptions(
  raw: RawOptions,
  normal: Pick<RoundOptions, 'questions' | 'connections' | 'rounds' | 'seconds' | 'warmUpSeconds'>,
  quick: Partial<RoundOptions>,
): RoundOptions {
  const base = raw.quick ? { ...normal, ...quick } : normal
  return {
    questions: raw.only ?? base.questions,
    connections: raw.connections ?? base.connections,
    rounds: raw.rounds ?? base.rounds,
    seconds: raw.seconds ?? base.seconds,
    warmUpSeconds: raw.warmUp ?? base.warmUpSeconds,
    load: raw.load,
    backend: raw.backend,
    json: raw.json,
  }
}

/** Parses the arguments after the script's name. Throws commander's `CommanderError`, its message already printed. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const command = commandFor('npm run bench --', 'Fairlead beside other proxies, one core each, interleaved.').option(
    '--contestants <names>',
    `who takes part: ${contestantNames.join(',')}`,
    listOf(contestantNames),
  )
  command.parse(args, { from: 'user' })
  const raw = command.opts<RawOptions & { readonly contestants?: readonly ContestantName[] }>()
  const normal = { questions: questionNames, connections: [64, 512], rounds: 5, seconds: 4, warmUpSeconds: 2 }
  return {
    ...roundOptions(raw, normal, { rounds: 3, seconds: 1, warmUpSeconds: 1 }),
    contestants: raw.contestants ?? contestantNames,
  }
}

/** Like {@link parseBenchOptions}, for the guard, which takes the commit as its argument. */
export function parseGuardOptions(args: readonly string[]): GuardOptions {
  const command = commandFor(
    'npm run bench:guard --',
    'The working tree beside a commit: faster, slower or cannot tell.',
  )
  command.argument('<revision>', 'commit, tag or branch').parse(args, { from: 'user' })
  const raw = command.opts<RawOptions>()
  const normal: Parameters<typeof roundOptions>[1] = {
    questions: ['small', 'post'],
    connections: [64],
    rounds: 9,
    seconds: 3,
    warmUpSeconds: 2,
  }
  return {
    ...roundOptions(raw, normal, { rounds: 7, seconds: 1, warmUpSeconds: 1 }),
    revision: command.args[0] ?? '',
  }
}
