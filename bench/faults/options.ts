/** The command line of the fault bench, as values. It must not start anything. */
import { Command } from 'commander'
import { listOf, numberFrom } from '../lib/options.ts'

export const runNames = ['kill', 'freeze'] as const
/** kill: three kills, each with a replacement. freeze: one of four stands still, and goes on. */
export type RunName = (typeof runNames)[number]

export const contestantNames = ['fairlead', 'haproxy', 'haproxy-tuned', 'nginx'] as const
export type ContestantName = (typeof contestantNames)[number]

export interface FaultBenchOptions {
  readonly runs: readonly RunName[]
  readonly contestants: readonly ContestantName[]
  /** Length of the kill run, and of the freeze in the freeze run; undefined: 9 and 10. */
  readonly seconds: number | undefined
  /** File that takes every figure as JSON; undefined: none. */
  readonly json: string | undefined
}

/** Parses the arguments after the script's name. Throws commander's `CommanderError`, its message already printed. */
export function parseFaultBenchOptions(args: readonly string[]): FaultBenchOptions {
  const command = new Command('npm run bench:faults --')
    .description('What a killed and what a frozen backend cost, beside other proxies.')
    .option('--only <runs>', `runs: ${runNames.join(',')}`, listOf(runNames))
    .option('--contestants <names>', `who takes part: ${contestantNames.join(',')}`, listOf(contestantNames))
    .option('--seconds <s>', 'length of the kill run (9), and of the freeze (10)', numberFrom(1, 600, false))
    .option('--json <file>', 'write every figure to this file as JSON')
    .exitOverride()
  command.parse(args, { from: 'user' })
  const raw = command.opts<{
    readonly only?: readonly RunName[]
    readonly contestants?: readonly ContestantName[]
    readonly seconds?: number
    readonly json?: string
  }>()
  return {
    runs: raw.only ?? runNames,
    contestants: raw.contestants ?? contestantNames,
    seconds: raw.seconds,
    json: raw.json,
  }
}
