/** `fairlead what-if`: the command line. What it does is in `what-if/run.ts`, loaded when it is asked for. */
import type { Command } from 'commander'
import type { Address } from '../config/config.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'

interface Options {
  readonly without?: string
  readonly split?: string
  readonly admin: Address
  readonly tokenFile?: string
  readonly json?: boolean
}

export function addWhatIfCommand(program: Command): void {
  program
    .command('what-if')
    .description('shares of versions and load of endpoints, now and if one died or the split were another')
    .argument('<service>', 'its name in the catalog')
    .option(
      '--without <endpoint or service>',
      'if this one died: its handle, address:port or id; or all of a service: its name',
    )
    .option('--split <weights>', 'with these weights, such as 9.7.0=90,9.8.0=10')
    .addOption(adminOption())
    .addOption(tokenOption())
    .option('--json', 'print what the proxy answers, as JSON')
    .addHelpText('after', '\nNothing is changed. Exit codes: 0 done, 1 no proxy answered or it refused, 2 misused.')
    .action(async (service: string, { without, split, admin, tokenFile, json }: Options) => {
      const { whatIf } = await import('./what-if/run.ts')
      const asked = { service, without, split, admin, token: readToken(tokenFile), json: json === true }
      process.stdout.write(await whatIf(asked))
    })
}
