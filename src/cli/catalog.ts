/** `fairlead catalog`: the command line of the catalog alone. What it does is in `catalog/run.ts`, loaded when asked for. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseHostPort } from '../config/addresses.ts'
import { Because } from '../config/declare.ts'

interface Options {
  readonly address: { readonly host: string; readonly port: number }
  readonly stateDir?: string
  readonly node?: string
  readonly datacenter?: string
  readonly advertise?: string
}

export function addCatalogCommand(program: Command): void {
  program
    .command('catalog')
    .description("run Fairlead's own catalog alone: Consul's HTTP API for one machine")
    .addOption(
      new Option('--address <host:port>', 'where to listen')
        .argParser(parseAddress)
        .default({ host: '127.0.0.1', port: 8500 }, '127.0.0.1:8500'),
    )
    .option('--state-dir <dir>', 'keep registrations, KV and sessions there; without it they are gone at the end')
    .option('--node <name>', 'name of its node (default: fairlead)')
    .option('--datacenter <name>', 'name of its datacenter (default: dc1)')
    .option('--advertise <address>', 'address of services that register without one (default: the listening one)')
    .addHelpText(
      'after',
      '\nIt has no ACL: tokens are accepted and not looked at. Listen on more than loopback only where all are trusted.' +
        '\nExit codes: 0 stopped as asked, 1 it could not run, 2 the command was misused.',
    )
    .action(async (options: Options) => {
      const { catalogProcess } = await import('./catalog/run.ts')
      await catalogProcess({
        host: options.address.host,
        port: options.address.port,
        ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
        ...(options.node === undefined ? {} : { nodeName: options.node }),
        ...(options.datacenter === undefined ? {} : { datacenter: options.datacenter }),
        ...(options.advertise === undefined ? {} : { nodeAddress: options.advertise }),
      })
    })
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const parsed = parseHostPort(text)
  if (parsed instanceof Because) throw new InvalidArgumentError(`${parsed.reason}.`)
  return parsed
}
