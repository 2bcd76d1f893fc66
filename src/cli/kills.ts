/** `fairlead kills`: the command line of the kill ledger. What it does is in `kills/run.ts`, loaded when it is asked for. */
import type { Command } from 'commander'
import type { Address } from '../config/config.ts'
import { adminOption } from './admin-option.ts'

export function addKillsCommand(program: Command): void {
  program
    .command('kills')
    .description('what each death of an instance cost, to the request')
    .argument('[service]', 'only deaths of this service')
    .addOption(adminOption())
    .option('--json', 'print what the proxy answers, as JSON')
    .addHelpText('after', '\nExit codes: 0 done, 1 no proxy answered or it refused, 2 the command was misused.')
    .action(async (service: string | undefined, options: { readonly admin: Address; readonly json?: boolean }) => {
      const { kills } = await import('./kills/run.ts')
      process.stdout.write(await kills({ service, admin: options.admin, json: options.json === true }))
    })
}
