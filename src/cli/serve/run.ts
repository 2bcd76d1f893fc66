/**
 * The process around the proxy: log, configuration and its changes, signals, the last words of a crash, the exit code.
 * Crash-only: whatever was not foreseen is logged and ends the process; starting again is the recovery.
 */
import { readFileSync } from 'node:fs'
import { createApp, type App } from '../../app.ts'
import { formatConfigError } from '../../config/config-error.ts'
import { createConfigWatcher, type ConfigWatcher } from '../../config/config-watcher.ts'
import type { Config } from '../../config/config.ts'
import { load } from '../../config/load.ts'
import { systemClock } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
import { systemRandom } from '../../core/random.ts'
import { createAccessLog } from '../../telemetry/access-log.ts'
import { createLineWriter, type LineWriter } from '../../telemetry/line-writer.ts'
import { createLogger, type AppLogger } from '../../telemetry/log.ts'
import { createSink } from '../../telemetry/sink.ts'
import { packageVersion } from '../version.ts'

/** How long the log may take to get out at the end, ms. */
const lastWordsMs = 500

/** Runs until it is told to stop, and then ends the process. */
export async function serve(file: string | undefined): Promise<void> {
  const text = file === undefined ? '' : readConfig(file)
  if (text === undefined) return
  const loaded = load(text, process.env, file ?? '(no file)')
  if (loaded.errors) {
    for (const error of loaded.errors) process.stderr.write(`${formatConfigError(error)}\n`)
    process.stderr.write('fairlead serve: this configuration cannot be used\n')
    process.exitCode = 1
    return
  }
  const { config } = loaded
  const sink = createSink(1)
  const writer = createLineWriter({ sink, clock: systemClock })
  const pretty = sink.terminal
  const color = pretty && !process.env['NO_COLOR']
  const log = createLogger({ writer, level: config.log.level, pretty, color })
  const accessLog = createAccessLog({ writer, clock: systemClock, pretty })
  for (const warning of loaded.warnings) log.warn({ path: warning.path }, formatConfigError(warning))
  log.info({ version: packageVersion, node: process.versions.node, config: file ?? null }, 'fairlead starts')
  const app = createApp(config, { clock: systemClock, random: systemRandom, log, accessLog, version: packageVersion })
  await run(app, file === undefined ? undefined : { file, text }, { log, writer })
}

interface Output {
  readonly log: AppLogger
  readonly writer: LineWriter
}

async function run(
  app: App,
  source: { readonly file: string; readonly text: string } | undefined,
  output: Output,
): Promise<void> {
  const { log, writer } = output
  // Timers of the clock let a process end; waiting for a catalog must not.
  // oxlint-disable-next-line no-restricted-globals -- measures nothing, only holds the process
  const hold = setInterval(() => {}, 2 ** 30)
  const end = async (code: number): Promise<void> => {
    clearInterval(hold)
    await writer.flush(lastWordsMs)
    process.exit(code)
  }
  const crash = (error: unknown): void => {
    log.error({ err: error }, `a fault of ours ends this process: ${errorText(error)}`)
    void end(1)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  const watcher = source && watchConfig(app, source, log)
  onSignals(async () => {
    watcher?.close()
    await app.stop()
    await end(0)
  }, output)
  process.on('SIGHUP', () => {
    if (watcher) void watcher.reload()
    else log.info({}, 'there is no configuration file to read again')
  })
  try {
    await app.start()
  } catch (error) {
    log.error(
      error instanceof FairleadError ? { code: error.code } : { err: error },
      `fairlead cannot run: ${errorText(error)}`,
    )
    await end(1)
  }
}

function watchConfig(
  app: App,
  source: { readonly file: string; readonly text: string },
  log: AppLogger,
): ConfigWatcher {
  return createConfigWatcher({
    path: source.file,
    known: source.text,
    env: process.env,
    clock: systemClock,
    log,
    onConfig: (config: Config) => app.reload(config),
    onRefused: () => app.setReloadOk(false),
  })
}

/** The first TERM or INT stops gently; a second one ends the process as the shell would have it. */
function onSignals(stop: () => Promise<void>, { log, writer }: Output): void {
  let asked = false
  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2],
  ] as const) {
    process.on(signal, () => {
      if (asked) {
        log.warn({ signal }, 'a second signal: ending at once')
        void writer.flush(lastWordsMs).then(() => process.exit(128 + number))
        return
      }
      asked = true
      log.info({ signal }, `${signal}: stopping`)
      void stop()
    })
  }
}

function readConfig(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    process.stderr.write(`fairlead serve: cannot read the configuration: ${errorText(error)}\n`)
    process.exitCode = 2
    return undefined
  }
}
