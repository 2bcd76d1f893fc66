/**
 * `fairlead drain`, `eject` and `restore`: the command lines of an operator's orders. What they do is in `operate/run.ts`,
 * loaded when one is asked for.
 */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Address } from '../config/config.ts'
import { parseDuration } from '../core/units.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'
import { endWith } from './ask-terminal.ts'

interface Options {
  readonly admin: Address
  readonly tokenFile?: string
  readonly local?: boolean
  readonly for?: string
  readonly reason?: string
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

const descriptions = {
  drain: 'send nothing new to an instance; what it has may finish',
  eject: 'the same, and take from it what waits there and is safe to repeat',
  restore: 'lift a drain or an ejection by hand',
} as const

export function addOperatorCommands(program: Command): void {
  for (const verb of ['drain', 'eject', 'restore'] as const) {
    const command = program
      .command(verb)
      .description(`${descriptions[verb]}, at ${verb === 'eject' ? 'one proxy' : 'every proxy'}`)
      .argument('<endpoint>', 'its handle, as fairlead status and kills show it, or its address:port or id')
      .option('--reason <text>', 'why, for the log and whoever looks')
      .option('-y, --yes', 'do not ask first')
      .option('-n, --dry-run', 'show what it would do, and do nothing')
      .addOption(adminOption())
      .addOption(tokenOption())
      .option('--json', 'print what the proxy answers, as JSON')
      .addHelpText(
        'after',
        '\nExit codes: 0 done, or only shown; 1 the proxy did not answer or refused, or the answer was no; 2 misused, or nobody to ask.',
      )
    if (verb !== 'eject') command.option('--local', 'at this proxy alone')
    if (verb !== 'restore')
      command.addOption(
        new Option('--for <time>', 'how long, such as 30m; else until it is restored').argParser(timeText),
      )
    command.action(async (handle: string, options: Options) => {
      const { operate } = await import('./operate/run.ts')
      const ending = await operate({
        verb,
        local: options.local === true,
        handle,
        forTime: options.for,
        reason: options.reason,
        yes: options.yes === true,
        dryRun: options.dryRun === true,
        admin: options.admin,
        token: readToken(options.tokenFile),
        json: options.json === true,
      })
      endWith(ending)
    })
  }
}

/** The text itself: the proxy takes it as a person writes it. */
function timeText(text: string): string {
  if (parseDuration(text) === undefined) throw new InvalidArgumentError('A time is written like 90s, 30m or 2h.')
  return text
}
