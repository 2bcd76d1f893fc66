/**
 * The commands that tell what is and what happened: `fairlead status`, `why`, `history` and `problems`. What they do is in
 * folders of their own, loaded when one is asked for.
 */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Address } from '../config/config.ts'
import { adminOption, readToken, tokenOption } from './admin-option.ts'

interface Options {
  readonly admin: Address
  readonly tokenFile?: string
  readonly json?: boolean
}

const exitCodes = '\nExit codes: 0 done, 1 no proxy answered or it refused, 2 the command was misused.'

export function addTellingCommands(program: Command): void {
  addStatus(program)
  addWhy(program)
  addHistory(program)
  addProblems(program)
}

function addStatus(program: Command): void {
  common(program, 'status', 'what is routed where: versions, shares, instances and their state')
    .argument('[service]', 'only this service')
    .option('-w, --watch', 'show it anew every second, until Ctrl-C')
    .addHelpText('after', exitCodes)
    .action(async (service: string | undefined, options: Options & { readonly watch?: boolean }) => {
      const { status, watchStatus } = await import('./status/run.ts')
      const asked = { service, ...question(options) }
      if (options.watch === true) await watchStatus(asked)
      else process.stdout.write(await status(asked))
    })
}

function addWhy(program: Command): void {
  common(program, 'why', 'what happened to a request that failed or was tried more than once')
    .argument('<request-id>', 'its X-Request-Id, which our own error answers and the access log have')
    .addHelpText('after', exitCodes)
    .action(async (requestId: string, options: Options) => {
      const { why } = await import('./why/run.ts')
      process.stdout.write(await why({ requestId, ...question(options) }))
    })
}

function addHistory(program: Command): void {
  common(program, 'history', 'what changed in the table, when and why, as this proxy saw it')
    .argument('[service]', 'only changes of this service')
    .addOption(new Option('-n, --limit <n>', 'so many tables, the latest').argParser(countOf).default(20))
    .addHelpText('after', exitCodes)
    .action(async (service: string | undefined, options: Options & { readonly limit: number }) => {
      const { history } = await import('./history/run.ts')
      process.stdout.write(await history({ service, limit: options.limit, ...question(options) }))
    })
}

function addProblems(program: Command): void {
  common(program, 'problems', 'what is wrong in what others wrote, and what it costs')
    .option('--fail', 'exit with 1 if there is any')
    .addHelpText('after', exitCodes)
    .action(async (options: Options & { readonly fail?: boolean }) => {
      const { problems } = await import('./problems/run.ts')
      const { text, count } = await problems(question(options))
      process.stdout.write(text)
      if (options.fail === true && count > 0) process.exitCode = 1
    })
}

function common(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(adminOption())
    .addOption(tokenOption())
    .option('--json', 'print what the proxy answers, as JSON')
}

function question({ admin, tokenFile, json }: Options): {
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
} {
  return { admin, token: readToken(tokenFile), json: json === true }
}

function countOf(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > 1_000) throw new InvalidArgumentError('It is a whole number from 1 to 1000.')
  return count
}
