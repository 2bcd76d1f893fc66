/** `fairlead compare`: its command line. What it does is in `compare/run.ts`, loaded when it is asked for. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { parseConsulAddress } from '../config/addresses.ts'
import type { Address } from '../config/config.ts'
import { Because } from '../config/declare.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'

interface Options {
  readonly fabio: string
  readonly admin: Address
  readonly tokenFile?: string
  readonly json?: boolean
}

const notes = `
It compares places (host and path), services, options, instances in traffic, and their shares as they stand now. It does not compare
what differs by design: a path here ends on a segment boundary (/cart is not /carton), and allow= and deny= go by the address
that \`trust\` lets be known. Rules and stickiness are not looked at.

Exit codes: 0 no difference, 1 differences, or one of the two did not answer, 2 the command was misused.`

export function addCompareCommand(program: Command): void {
  program
    .command('compare')
    .description('where a running fabio and this proxy would send requests differently')
    .addOption(
      new Option('--fabio <url>', 'admin address of the fabio, such as http://127.0.0.1:9998')
        .argParser(fabioUrl)
        .makeOptionMandatory(),
    )
    .addOption(adminOption())
    .addOption(tokenOption())
    .option('--json', 'print the differences as JSON')
    .addHelpText('after', notes)
    .action(async ({ fabio, admin, tokenFile, json }: Options) => {
      const { compare } = await import('./compare/run.ts')
      const { text, differs } = await compare({ fabio, admin, token: readToken(tokenFile), json: json === true })
      process.stdout.write(text)
      if (differs) process.exitCode = 1
    })
}

function fabioUrl(text: string): string {
  const parsed = parseConsulAddress(text)
  if (parsed instanceof Because) throw new InvalidArgumentError(`${parsed.reason}.`)
  if (parsed?.startsWith('http')) return parsed
  throw new InvalidArgumentError('It is an address such as http://127.0.0.1:9998.')
}
