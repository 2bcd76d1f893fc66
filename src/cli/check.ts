/**
 * `fairlead check`: says everything that is wrong with a configuration and the catalog files it names, each with its
 * place and line, and starts nothing. Exit codes: 0 it can be used, 1 it cannot, 2 the file could not be read or the command was misused.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import type { Command } from 'commander'
import { formatConfigError } from '../config/config-error.ts'
import type { ConfigError } from '../config/config-error.ts'
import type { Config } from '../config/config.ts'
import { checkCatalogs, findingIn } from './check-catalogs.ts'
import { jsonText } from './known-answer.ts'
import { load } from '../config/load.ts'
import type { LoadResult } from '../config/load.ts'
import type { Environment } from '../config/substitute.ts'
import { counted } from '../core/counted.ts'
import { fileErrorText } from '../core/file-error.ts'
import { pemBytesMax, pemFault, type PemUse } from '../core/pem.ts'

/** What the command touches of its process. */
export interface CheckIo {
  readonly env: Environment
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly exitCode: (code: number) => void
}

const processIo: CheckIo = {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  exitCode: (code) => {
    process.exitCode = code
  },
}

/** Adds `check` to the program. It sets the exit code and returns; it never ends the process itself. */
export function addCheckCommand(program: Command, io: CheckIo = processIo): void {
  program
    .command('check')
    .description('say everything that is wrong with a configuration and its catalog files, with line and column')
    .option('-c, --config <file>', 'the configuration file; without it, the defaults and the environment are checked')
    .option('--json', 'print what was found as JSON')
    .addHelpText('after', '\nExit codes: 0 it can be used, 1 it cannot, 2 the file could not be read.')
    .action(async (options: { readonly config?: string; readonly json?: boolean }) => {
      io.exitCode(await runCheck(options.config, options.json === true, io))
    })
}

async function runCheck(file: string | undefined, json: boolean, io: CheckIo): Promise<number> {
  let text = ''
  try {
    if (file !== undefined) text = readFileSync(file, 'utf8')
  } catch (error) {
    const message = `cannot read the configuration: ${fileErrorText(error, file ?? '')}; --config names another`
    if (json) io.out(jsonText({ file, ok: false, message, errors: [], warnings: [] }))
    else io.err(`fairlead check: ${message}\n`)
    return 2
  }
  const name = file ?? '(no file)'
  const result = await withTokens(withCatalogs(load(text, io.env, name, unreadable)))
  io.out(json ? asJson(name, result) : asText(name, result))
  return result.errors ? 1 : 0
}

function withCatalogs(result: LoadResult): LoadResult {
  if (!result.config) return result
  const { errors, warnings } = checkCatalogs(result.config.catalog)
  const all = [...result.warnings, ...warnings]
  return errors.length > 0 ? { errors, warnings: all } : { config: result.config, warnings: all }
}

/** Those that can be read here: others may exist only where the proxy will run. */
async function withTokens(result: LoadResult): Promise<LoadResult> {
  const tokens = (result.config?.adminTokens ?? []).filter(({ file }) => unreadable(file) === undefined)
  if (tokens.length === 0) return result
  const { readTokens } = await import('../admin/access.ts')
  const { faults } = await readTokens(tokens)
  const errors = faults.map(({ file, message }) => findingIn(file, message))
  return errors.length > 0 ? { errors, warnings: result.warnings } : result
}

function unreadable(file: string, use?: PemUse): string | undefined {
  try {
    accessSync(file, constants.R_OK)
    if (use === undefined) return undefined
    if (statSync(file).size > pemBytesMax) return `this file cannot be used: it has more than ${pemBytesMax} bytes`
    const fault = pemFault(readFileSync(file, 'utf8'), use)
    return fault && `this file cannot be used: ${fault}`
  } catch (error) {
    return `this file cannot be read here: ${fileErrorText(error, file)}`
  }
}

function asJson(file: string, result: LoadResult): string {
  const { errors = [], warnings } = result
  return jsonText({ file, ok: errors.length === 0, errors, warnings })
}

function asText(file: string, result: LoadResult): string {
  const lines: string[] = []
  for (const error of result.errors ?? []) lines.push(...shown(error, ''))
  for (const warning of result.warnings) lines.push(...shown(warning, 'warning: '))
  const counts = [some(result.errors?.length ?? 0, 'error'), some(result.warnings.length, 'warning')]
  const found = counts.filter((count) => count !== '').join(', ')
  if (result.config) lines.push(`${file}: valid${found && `, ${found}`}; ${summary(result.config)}`)
  else lines.push(`${file}: ${found}`)
  return `${lines.join('\n')}\n`
}

function shown(error: ConfigError, mark: string): readonly string[] {
  const first = formatConfigError({ ...error, message: `${mark}${error.message}` })
  const excerpt = error.excerpt.replaceAll('\t', ' ')
  if (excerpt.trim() === '') return [first]
  // A masked or shortened line has no columns to point at.
  const exact = !/\*\*\*|\.\.\.$/.test(excerpt) && error.column <= excerpt.length + 1
  const caret = exact ? [`    ${' '.repeat(error.column - 1)}^`] : []
  return [first, `    ${excerpt}`, ...caret]
}

function some(count: number, what: string): string {
  return count === 0 ? '' : counted(count, what)
}

function summary(config: Config): string {
  const routes = some(config.routes.length, 'route') || 'no routes'
  const tags = config.tagPrefix === undefined ? '' : ` and those of ${config.tagPrefix} tags`
  const sources = config.catalog.map((source) => source.name).join(', ')
  return `${some(config.listen.length, 'listener') || 'no listeners'}, ${routes}${tags}, catalog from ${sources}`
}
