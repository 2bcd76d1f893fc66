/** `fairlead explain`: the command line. What it does is in `explain/run.ts`, loaded when it is asked for. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Address } from '../config/config.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'

interface Options {
  readonly request: string
  readonly header?: readonly string[]
  readonly client?: string
  readonly admin: Address
  readonly tokenFile?: string
  readonly json?: boolean
}

function headerLine(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^[^\s:]+:/.test(text)) throw new InvalidArgumentError("A header is written like 'x-canary: always'.")
  return [...before, text]
}

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('why a request goes where it goes: route, rule, version, instance, and why not the others')
    .argument('<url>', 'such as http://shop.example.com/cart, or a path')
    .option('-X, --request <method>', 'its method', 'GET')
    .option('-H, --header <line>', "a header, such as 'x-canary: always'; may be given several times", headerLine)
    .option('--client <address>', "the client's IP address", '127.0.0.1')
    .addOption(adminOption())
    .addOption(tokenOption())
    .option('--json', 'print what the proxy answers, as JSON')
    .addHelpText('after', '\nNothing is sent to any instance. Exit codes: 0 explained, 1 no proxy answered, 2 misused.')
    .action(async (url: string, options: Options) => {
      const { explainUrl } = await import('./explain/run.ts')
      await explainUrl({
        url,
        method: options.request,
        headers: options.header ?? [],
        client: options.client ?? '127.0.0.1',
        admin: options.admin,
        token: readToken(options.tokenFile),
        json: options.json === true,
      })
    })
}
