/** `fairlead kills`: the command line of the kill ledger. What it does is in `kills/run.ts`, loaded when it is asked for. */
import type { Command } from 'commander'
import type { Address } from '../config/config.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'

interface Options {
  readonly admin: Address
  readonly tokenFile?: string
  readonly json?: boolean
}

export function addKillsCommand(program: Command): void {
  program
    .command('kills')
    .description('what each death of an instance cost, to the request')
    .argument('[service]', 'only deaths of this service')
    .addOption(adminOption())
    .addOption(tokenOption())
    .option('--json', 'print what the proxy answers, as JSON')
    .addHelpText('after', '\nExit codes: 0 done, 1 no proxy answered or it refused, 2 the command was misused.')
    .action(async (service: string | undefined, options: Options) => {
      const { kills } = await import('./kills/run.ts')
      const token = readToken(options.tokenFile)
      process.stdout.write(await kills({ service, admin: options.admin, token, json: options.json === true }))
    })
}
