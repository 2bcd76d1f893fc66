/**
 * What is wrong in the catalog files that a configuration names, as `fairlead check` says it. A file that is not there is
 * not judged here: it may exist only where the proxy will run.
 */
import { readFileSync } from 'node:fs'
import { parseDefinitions } from '../catalog/file/parse-definitions.ts'
import type { ConfigError } from '../config/config-error.ts'
import type { CatalogConfig } from '../config/config.ts'

export interface CatalogFindings {
  /** Of files in which nothing can be used. */
  readonly errors: readonly ConfigError[]
  /** What costs only itself. */
  readonly warnings: readonly ConfigError[]
}

/** Reads every file source's file that can be read. */
export function checkCatalogs(catalog: readonly CatalogConfig[]): CatalogFindings {
  const errors: ConfigError[] = []
  const warnings: ConfigError[] = []
  for (const source of catalog) {
    if (source.kind !== 'file') continue
    let text: string
    try {
      text = readFileSync(source.path, 'utf8')
    } catch {
      continue
    }
    const found = parseDefinitions(text, { source: source.name, fileName: source.path })
    if (found.broken !== undefined) errors.push(placed(source.path, found.broken.slice(source.path.length + 1)))
    else {
      const all = found.problems.map(({ where, message }) =>
        placed(source.path, `${where.slice(source.path.length + 1)}: ${message}`),
      )
      ;(found.instances.length === 0 ? errors : warnings).push(...all)
    }
  }
  return { errors, warnings }
}

/** `told` is `line:column: message`. */
function placed(file: string, told: string): ConfigError {
  const [, line = '1', column = '1', message = told] = /^(\d+):(\d+): (.*)$/s.exec(told) ?? []
  return { ...findingIn(file, message), line: Number(line), column: Number(column) }
}

/** What is wrong with a file that the configuration names. */
export function findingIn(file: string, message: string): ConfigError {
  return {
    file,
    line: 1,
    column: 1,
    path: '',
    message,
    expected: undefined,
    found: undefined,
    suggestion: undefined,
    // Definitions may hold what nobody wants in a terminal: headers of checks, meta.
    excerpt: '',
  }
}
