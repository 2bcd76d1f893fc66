/**
 * From a text to a Config, or to everything that is wrong with it at once. Pure: it reads no file and no environment
 * but the ones it is given, and never throws for what the text says.
 */
import type { PemUse } from '../core/pem.ts'
import { errorMaker } from './config-error.ts'
import type { ConfigError } from './config-error.ts'
import type { Config } from './config.ts'
import { crossCheck } from './cross-check.ts'
import type { Finding } from './cross-check.ts'
import { explainIssues } from './explain-issues.ts'
import { locate } from './locate.ts'
import type { Path } from './locate.ts'
import { readYaml } from './read-yaml.ts'
import { environmentProblems, resolveConfig } from './resolve.ts'
import { fileSchema } from './schema.ts'
import { substitute } from './substitute.ts'
import type { Environment } from './substitute.ts'
import { checkWorkers } from './workers.ts'

/** Why a file cannot be read, or has not in it what it is for (undefined: anything), as a sentence; undefined when it can. */
export type FileProbe = (file: string, use: PemUse | undefined) => string | undefined

export type LoadResult =
  | { readonly config: Config; readonly errors?: undefined; readonly warnings: readonly ConfigError[] }
  | { readonly config?: undefined; readonly errors: readonly ConfigError[]; readonly warnings: readonly ConfigError[] }

/**
 * Reads `text` as the configuration file `fileName` (shown in errors; relative paths in it are taken from its folder).
 * Errors are in the order of the text; there is at least one when there is no config. With `probe`, files that the
 * settings name and that it finds fault with become warnings (warnings, because they may exist only where it will run).
 * `platform` is the system that it will run on, by Node's name; this one by default.
 */
export function load(
  text: string,
  env: Environment,
  fileName: string,
  probe?: FileProbe,
  platform: string = process.platform,
): LoadResult {
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
  errors.push(...found.errors.map(place), ...checkWorkers(read.value, platform).map(place))
  const warnings = found.warnings.map(place).toSorted(byPlace)
  if (errors.length > 0 || !parsed.success) return { errors: errors.toSorted(byPlace), warnings }
  const config = resolveConfig(parsed.data, env, fileName)
  if (!probe) return { config, warnings }
  const faulty = namedFiles(config).flatMap(({ path, file, variable, use }) => {
    const reason = probe(file, use)
    if (reason === undefined) return []
    const fromFile = !locate(read.root, read.value, path).missing
    if (fromFile || variable === undefined || env[variable] !== file) return [place({ path, message: reason })]
    return [{ ...make(0, variable, reason), file: 'environment', excerpt: '' }]
  })
  return { config, warnings: [...warnings, ...faulty].toSorted(byPlace) }
}

function byPlace(a: ConfigError, b: ConfigError): number {
  return a.line - b.line || a.column - b.column
}

interface NamedFile {
  readonly path: Path
  readonly file: string
  /** The environment's word for the same. */
  readonly variable?: string
  /** What must be in it; undefined: the text alone does not say. */
  readonly use?: PemUse
}

const variables = { ca: 'CONSUL_CACERT', cert: 'CONSUL_CLIENT_CERT', key: 'CONSUL_CLIENT_KEY' } as const

/** The files that settings or the environment name, which must be readable when the proxy starts. */
function namedFiles(config: Config): readonly NamedFile[] {
  const files: (Omit<NamedFile, 'file'> & { readonly file: string | undefined })[] = []
  for (const [index, source] of config.catalog.entries()) {
    const path = ['catalog', index, source.kind]
    if (source.kind === 'file') files.push({ path: [...path, 'path'], file: source.path })
    if (source.kind !== 'consul') continue
    files.push({ path: [...path, 'tokenFile'], file: source.tokenFile, variable: 'CONSUL_HTTP_TOKEN_FILE' })
    for (const key of ['ca', 'cert', 'key'] as const)
      files.push({ path: [...path, 'tls', key], file: source.tls?.[key], variable: variables[key], use: key })
  }
  const services = [...config.services].map(([name, settings]) => ({ path: ['services', name], settings }))
  for (const { path, settings } of [{ path: ['defaults'], settings: config.defaults }, ...services])
    for (const key of ['ca', 'cert', 'key'] as const)
      if (settings.tls !== undefined && settings.tls !== 'off')
        files.push({ path: [...path, 'tls', key], file: settings.tls[key], use: key })
  for (const [index, { file }] of config.adminTokens.entries())
    files.push({ path: ['admin', 'tokens', index, 'file'], file })
  for (const [status, file] of config.errorPages) files.push({ path: ['errorPages', String(status)], file })
  return files.flatMap(({ file, ...rest }) => (file === undefined ? [] : [{ ...rest, file }]))
}
