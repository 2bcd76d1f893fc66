/**
 * From a text to a Config, or to everything that is wrong with it at once. Pure: it reads no file and no environment
 * but the ones it is given, and never throws for what the text says.
 */
import { errorMaker } from './config-error.ts'
import type { ConfigError } from './config-error.ts'
import type { Config } from './config.ts'
import { crossCheck } from './cross-check.ts'
import type { Finding } from './cross-check.ts'
import { explainIssues } from './explain-issues.ts'
import { locate } from './locate.ts'
import { readYaml } from './read-yaml.ts'
import { environmentProblems, resolveConfig } from './resolve.ts'
import { fileSchema } from './schema.ts'
import { substitute } from './substitute.ts'
import type { Environment } from './substitute.ts'

export type LoadResult =
  | { readonly config: Config; readonly errors?: undefined; readonly warnings: readonly ConfigError[] }
  | { readonly config?: undefined; readonly errors: readonly ConfigError[]; readonly warnings: readonly ConfigError[] }

/**
 * Reads `text` as the configuration file `fileName` (shown in errors; relative paths in it are taken from its folder).
 * Errors are in the order of the text; there is at least one when there is no config.
 */
export function load(text: string, env: Environment, fileName: string): LoadResult {
  const read = readYaml(text, (value) => substitute(value, env))
  const make = errorMaker(fileName, text, read)
  const errors: ConfigError[] = read.mistakes.map(({ offset, path, message }) => make(offset, path, message))
  const place = ({ path, message, suggestion }: Finding): ConfigError => {
    const located = locate(read.root, read.value, path)
    return make(typeof located.raw === 'string' ? located.place.start : located.place.key, located.shown, message, {
      suggestion,
    })
  }
  for (const { name, problem } of environmentProblems(env))
    errors.push({ ...make(0, name, problem), file: 'environment', excerpt: '' })

  // What the reader refused is absent from its value; to call that missing as well would be a second, false complaint.
  const refused = new Set(read.mistakes.map(({ path }) => path))
  const parsed = fileSchema.safeParse(read.value ?? {})
  const issues = explainIssues(parsed.error?.issues ?? [], fileSchema, text, read, make)
  errors.push(...issues.filter(({ path }) => !refused.has(path)))
  const found = crossCheck(read.value)
  errors.push(...found.errors.map(place))
  const warnings = found.warnings.map(place).toSorted(byPlace)
  if (errors.length > 0 || !parsed.success) return { errors: errors.toSorted(byPlace), warnings }
  return { config: resolveConfig(parsed.data, env, fileName), warnings }
}

function byPlace(a: ConfigError, b: ConfigError): number {
  return a.line - b.line || a.column - b.column
}
