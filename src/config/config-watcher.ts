/**
 * Keeps the configuration file in force: every change of it, and every SIGHUP that its owner passes on, is loaded;
 * a good one is handed over, a bad one is refused with its reasons and the last good one stays. Applies nothing itself.
 */
import type { Clock } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { formatConfigError } from './config-error.ts'
import type { ConfigError } from './config-error.ts'
import type { Config } from './config.ts'
import { load } from './load.ts'
import type { Environment } from './substitute.ts'
import { watchFile } from './watch-file.ts'

export interface ConfigWatcherOptions {
  readonly path: string
  readonly env: Environment
  readonly clock: Clock
  readonly log: Logger
  /** The text in force, which is not handed over again until it has changed. Undefined: the first read counts. */
  readonly known?: string | undefined
  /** A valid configuration; a rejected promise (say, an address that cannot be bound) is logged as a refusal. */
  readonly onConfig: (config: Config) => void | Promise<void>
  readonly onRefused: (errors: readonly ConfigError[]) => void
}

export interface ConfigWatcher {
  /** Reads and loads now, changed or not (the environment or files named in it may have); resolves when done. */
  reload(): Promise<void>
  /** Ends the watch. Idempotent. */
  close(): void
}

export function createConfigWatcher(options: ConfigWatcherOptions): ConfigWatcher {
  const { path, env, clock, log } = options
  let latest = options.known
  let applied: string | undefined
  let work: Promise<void> = Promise.resolve()

  const apply = (text: string): Promise<void> => {
    latest = text
    applied = text
    const result = load(text, env, path)
    for (const warning of result.warnings) log.warn({ path: warning.path }, formatConfigError(warning))
    if (result.errors) {
      for (const error of result.errors) log.error({ path: error.path }, formatConfigError(error))
      log.error({ file: path, errors: result.errors.length }, 'this configuration is refused; the last good one stays')
      options.onRefused(result.errors)
      return Promise.resolve()
    }
    const { config } = result
    // One after the other, in the order they were read.
    work = work.then(async () => {
      try {
        await options.onConfig(config)
        log.info({ file: path }, 'the configuration is in force')
      } catch (error) {
        log.error(
          { file: path, error: errorText(error) },
          'this configuration cannot be applied; the last good one stays',
        )
      }
    })
    return work
  }

  const watch = watchFile(path, { clock, log }, (text) => void apply(text), {
    known: options.known,
    bytesMax: 2 * 2 ** 20,
    onUnreadable: (reason) =>
      log.warn({ file: path, reason }, 'the configuration file cannot be read; the last good one stays'),
  })
  return {
    async reload() {
      applied = undefined
      await watch.check()
      // The watch tells only of another text; whoever asks for a reload wants this one loaded as well.
      if (applied === undefined && latest !== undefined) await apply(latest)
      await work
    },
    close: () => watch.close(),
  }
}
