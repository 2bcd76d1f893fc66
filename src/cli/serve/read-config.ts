/** Reads the configuration of a process that is to run with it, and says what is wrong with it where a person reads it. */
import { readFileSync } from 'node:fs'
import { formatConfigError } from '../../config/config-error.ts'
import type { Config } from '../../config/config.ts'
import { load } from '../../config/load.ts'
import { fileErrorText } from '../../core/file-error.ts'

/** A configuration as it was read. */
export interface ReadConfig {
  readonly config: Config
  /** Undefined: the defaults and the environment. */
  readonly file: string | undefined
  readonly text: string
  /** Each a line for the log. */
  readonly warnings: readonly { readonly path: string; readonly message: string }[]
}

/** Undefined: it cannot be used; why was said, and the exit code is set. */
export function readConfig(file: string | undefined): ReadConfig | undefined {
  const text = file === undefined ? '' : readText(file)
  if (text === undefined) return undefined
  const loaded = load(text, process.env, file ?? '(no file)')
  if (loaded.errors) {
    for (const error of loaded.errors) process.stderr.write(`${formatConfigError(error)}\n`)
    process.stderr.write('fairlead serve: this configuration cannot be used\n')
    process.exitCode = 1
    return undefined
  }
  const warnings = loaded.warnings.map((warning) => ({ path: warning.path, message: formatConfigError(warning) }))
  return { config: loaded.config, file, text, warnings }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    process.stderr.write(
      `fairlead serve: cannot read the configuration: ${fileErrorText(error, file)}; --config names another\n`,
    )
    process.exitCode = 2
    return undefined
  }
}
