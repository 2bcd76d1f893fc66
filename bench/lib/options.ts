/**
 * The command lines of the bench and the guard, as values. It must not start anything.
 */
import { Command, InvalidArgumentError, Option } from 'commander'

export const exchangeNames = ['small', 'large', 'post'] as const
/** small: 64-byte answers. large: 100 kB answers. post: 4 kB bodies, 64-byte answers. */
export type ExchangeName = (typeof exchangeNames)[number]

/** What the bench can be asked; each has a file in `bench/questions/`. */
export const questionNames = [
  'small',
  'large',
  'post',
  'latency',
  'accept',
  'fairness',
  'idle',
  'websockets',
  'sidecar',
  'workers',
] as const
export type QuestionName = (typeof questionNames)[number]

export const contestantNames = [
  'fairlead',
  'pipelining',
  'relay',
  'http-proxy',
  'fastify',
  'undici',
  'nginx',
  'haproxy',
  'caddy',
] as const
export type ContestantName = (typeof contestantNames)[number]

/** How every round is run, by the bench and by the guard. */
export interface RoundOptions {
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
  readonly questions: readonly QuestionName[]
  readonly contestants: readonly ContestantName[]
  /** Only tell what can be asked. */
  readonly list: boolean
  /** File that takes the tables as Markdown; undefined: none. */
  readonly markdown: string | undefined
  /** `latency`: requests per second, the same for all; undefined: half of each one's own capacity. */
  readonly rate: number | undefined
  /** `accept`: clients that come at once. */
  readonly newcomers: number
  /** `idle`: connections opened. */
  readonly clients: number
  /** `websockets`: WebSockets opened. */
  readonly tunnels: number
  /** `idle`, `websockets`: seconds between the last connection and the look at memory. */
  readonly settleSeconds: number
  /** `sidecar`: seconds in which the CPU time of doing nothing is measured. */
  readonly quietSeconds: number
}

export interface GuardOptions extends RoundOptions {
  readonly questions: readonly ExchangeName[]
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
  readonly connections?: readonly number[]
  readonly rounds?: number
  readonly seconds?: number
  readonly warmUp?: number
  readonly load: RoundOptions['load']
  readonly backend: RoundOptions['backend']
  readonly json?: string
}

function commandFor(name: string, description: string, questions: readonly string[]): Command {
  return new Command(name)
    .description(description)
    .option('--only <questions>', `questions: ${questions.join(',')}`, listOf(questions))
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
  normal: Pick<RoundOptions, 'connections' | 'rounds' | 'seconds' | 'warmUpSeconds'>,
  quick: Partial<RoundOptions>,
): RoundOptions {
  const base = raw.quick ? { ...normal, ...quick } : normal
  return {
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
  const command = commandFor(
    'npm run bench --',
    'Fairlead beside other proxies, one core each, interleaved.',
    questionNames,
  )
    .option('--contestants <names>', `who takes part: ${contestantNames.join(',')}`, listOf(contestantNames))
    .option('--list', 'tell what each question asks, and end')
    .option('--markdown <file>', 'write the tables to this file as Markdown')
    .option('--rate <n>', "latency: requests/s (half of each one's capacity)", numberFrom(1, 1_000_000, true))
    .option('--newcomers <n>', 'accept: clients that come at once (2,000)', numberFrom(1, 20_000, true))
    .option('--clients <n>', 'idle: connections (10,000)', numberFrom(1, 1_000_000, true))
    .option('--tunnels <n>', 'websockets: how many (2,000)', numberFrom(1, 1_000_000, true))
    .option(
      '--settle <s>',
      'idle, websockets: from the last connection to the look at memory',
      numberFrom(0, 600, false),
    )
    .option('--quiet <s>', 'sidecar: how long doing nothing is watched (10)', numberFrom(0.1, 600, false))
  command.parse(args, { from: 'user' })
  const raw = command.opts<RawBenchOptions>()
  const normal = { connections: [64, 512], rounds: 5, seconds: 4, warmUpSeconds: 2 }
  return {
    ...roundOptions(raw, normal, { rounds: 3, seconds: 1, warmUpSeconds: 1 }),
    questions: raw.only ?? questionNames,
    contestants: raw.contestants ?? contestantNames,
    list: raw.list ?? false,
    markdown: raw.markdown,
    rate: raw.rate,
    newcomers: raw.newcomers ?? 2_000,
    clients: raw.clients ?? 10_000,
    tunnels: raw.tunnels ?? 2_000,
    settleSeconds: raw.settle ?? (raw.quick ? 1 : 5),
    quietSeconds: raw.quiet ?? (raw.quick ? 3 : 10),
  }
}

interface RawBenchOptions extends RawOptions {
  readonly only?: readonly QuestionName[]
  readonly contestants?: readonly ContestantName[]
  readonly list?: true
  readonly markdown?: string
  readonly rate?: number
  readonly newcomers?: number
  readonly clients?: number
  readonly tunnels?: number
  readonly settle?: number
  readonly quiet?: number
}

/** Like {@link parseBenchOptions}, for the guard, which takes the commit as its argument. */
export function parseGuardOptions(args: readonly string[]): GuardOptions {
  const command = commandFor(
    'npm run bench:guard --',
    'The working tree beside a commit: faster, slower or cannot tell.',
    exchangeNames,
  )
  command.argument('<revision>', 'commit, tag or branch').parse(args, { from: 'user' })
  const raw = command.opts<RawOptions & { readonly only?: readonly ExchangeName[] }>()
  const normal = { connections: [64], rounds: 9, seconds: 3, warmUpSeconds: 2 }
  return {
    ...roundOptions(raw, normal, { rounds: 7, seconds: 1, warmUpSeconds: 1 }),
    questions: raw.only ?? ['small', 'post'],
    revision: command.args[0] ?? '',
  }
}
