/**
 * `fairlead split` and `rollback`: the command lines of what changes a service's policy at every proxy. What they do is in
 * `policy/run.ts`, loaded when one is asked for.
 */
import { type Command, InvalidArgumentError } from 'commander'
import type { Address } from '../config/config.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'
import { endWith } from './ask-terminal.ts'

interface Options {
  readonly admin: Address
  readonly tokenFile?: string
  readonly reason?: string
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly json?: boolean
}

const exitCodes =
  '\nExit codes: 0 done, or only shown; 1 the proxy did not answer or refused, or the answer was no; 2 misused, or nobody to ask.\n' +
  'It is written to the KV of the catalog, from where every proxy takes it.'

/** `9.8.0=10`; the weight is judged by the proxy, which says more about it. */
function weightText(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const equals = text.lastIndexOf('=')
  if (equals < 1 || equals === text.length - 1)
    throw new InvalidArgumentError('A version and its weight are written like 9.8.0=10; *=5 is every other version.')
  const version = text.slice(0, equals)
  if (before.has(version)) throw new InvalidArgumentError(`${version} stands there twice.`)
  return new Map([...before, [version, text.slice(equals + 1)]])
}

export function addPolicyCommands(program: Command): void {
  const common = (command: Command): Command =>
    command
      .option('--reason <text>', 'why, for the history')
      .option('-y, --yes', 'do not ask first')
      .option('-n, --dry-run', 'show what it would do, and do nothing')
      .addOption(adminOption())
      .addOption(tokenOption())
      .option('--json', 'print what the proxy answers, as JSON')
      .addHelpText('after', exitCodes)

  common(
    program
      .command('split')
      .description('share a service among its versions, at every proxy')
      .argument('<service>', 'its name in the catalog')
      .argument('<version=weight...>', 'weights on any scale; a version not named gets nothing', weightText)
      .option('--force', 'also versions of which nothing is registered'),
  ).action(async (service: string, versions: ReadonlyMap<string, string>, options: Options) => {
    await run(options, {
      verb: 'split',
      path: `/v1/services/${encodeURIComponent(service)}/split`,
      body: { versions: Object.fromEntries(versions), ...(options.force === true ? { force: true } : {}) },
    })
  })

  common(
    program
      .command('rollback')
      .description("go back to an earlier revision of a service's policy, at every proxy")
      .argument('<service>', 'its name in the catalog')
      .argument('[revision]', 'the one before the last; 0 is what was before any', revisionText),
  ).action(async (service: string, revision: number | undefined, options: Options) => {
    await run(options, {
      verb: 'rollback',
      path: `/v1/services/${encodeURIComponent(service)}/rollback`,
      body: revision === undefined ? {} : { revision },
    })
  })
}

function revisionText(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('A revision is a whole number, as the history shows it.')
  return Number(text)
}

async function run(
  { admin, tokenFile, reason, yes, dryRun, json }: Options,
  wanted: {
    readonly verb: 'split' | 'rollback'
    readonly path: string
    readonly body: Readonly<Record<string, unknown>>
  },
): Promise<void> {
  const { changePolicy } = await import('./policy/run.ts')
  const ending = await changePolicy({
    verb: wanted.verb,
    path: wanted.path,
    body: { ...wanted.body, ...(reason === undefined ? {} : { reason }) },
    yes: yes === true,
    dryRun: dryRun === true,
    admin,
    token: readToken(tokenFile),
    json: json === true,
  })
  endWith(ending)
}
