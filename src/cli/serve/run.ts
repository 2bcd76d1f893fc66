/**
 * `fairlead serve`: the proxy in this process, or, with several workers, the supervisor of the processes that it is made of.
 * What stands here is the process around the proxy: its configuration and the changes of it, its orders, its exit code.
 */
import { availableParallelism } from 'node:os'
import { createApp, type App, type AppDeps } from '../../app.ts'
import { createConfigWatcher, type ConfigWatcher } from '../../config/config-watcher.ts'
import type { Config } from '../../config/config.ts'
import { workerCount } from '../../config/workers.ts'
import { systemClock } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
import { isInUse } from '../../core/listen-error.ts'
import { systemRandom } from '../../core/random.ts'
import type { AppLogger } from '../../telemetry/log.ts'
import { packageVersion } from '../version.ts'
import { holdProcess, openOutput, type Output } from './output.ts'
import { createCopier } from '../../handover/copier.ts'
import type { Giver } from '../../handover/giver.ts'
import { openGiver } from './hand-over.ts'
import { readConfig, type ReadConfig } from './read-config.ts'
import type { Orders } from './child.ts'
import { onSignals } from './signals.ts'

/** Runs until it is told to stop, and then ends the process. */
export async function serve(file: string | undefined, replace: boolean): Promise<void> {
  const read = readConfig(file)
  if (!read) return
  const wanted = countOf(read.config)
  const running = replace ? await (await import('./running.ts')).findRunning(read.config, wanted) : undefined
  const workers = Math.max(wanted, running?.workersMin ?? 1)
  if (workers > 1) {
    const { supervise } = await import('./supervise.ts')
    return supervise(read, { workers, wanted, replaces: replace }, running)
  }
  if (running) {
    const { aroundWhole } = await import('./whole.ts')
    return aroundWhole(read, running.control)
  }
  const output = openOutput(read.config.log.level, false)
  announce(read, output.log)
  await run(read, output, { ...output, replaces: replace }, ({ stop, reload }) => {
    onSignals(() => stop(false), output)
    process.on('SIGHUP', reload)
  })
}

/** How many workers a configuration means here. */
export function countOf({ workers }: Config): number {
  return workerCount(workers, process.platform, availableParallelism())
}

export function announce({ file, warnings }: ReadConfig, log: AppLogger, more: object = {}): void {
  for (const { path, message } of warnings) log.warn({ path }, message)
  log.info({ version: packageVersion, node: process.versions.node, config: file ?? null, ...more }, 'fairlead starts')
}

/** `replaces`: it was started with `--replace`. */
type Parts = Pick<AppDeps, 'log' | 'accessLog' | 'fleet' | 'running'> & { readonly replaces?: boolean | undefined }

/**
 * Runs the proxy whose parts are `parts`, in this process. `takeOrders` is called once, with what an order does.
 * `onServing` is called when requests are taken, `onRetired` when another proxy has taken over; absent: then this one stops.
 */
export async function run(
  read: ReadConfig,
  output: Output,
  parts: Parts,
  takeOrders: (orders: Orders) => void,
  onServing: () => void = () => {},
  onRetired?: () => void,
): Promise<void> {
  const { log } = output
  const end = holdProcess(output)
  const copySocket = createCopier({ clock: systemClock, log })
  const deps = { clock: systemClock, random: systemRandom, version: packageVersion, copySocket, ...parts }
  const app = createApp(read.config, deps)
  const watcher = watchConfig(app, read, log)
  let giver: Giver | undefined
  const stop = (): void => {
    watcher?.close()
    // One that drains can still be taken over from.
    void app.stop().then(() => {
      giver?.close()
      return end(0)
    })
  }
  takeOrders({
    stop,
    reload: () => {
      if (watcher) void watcher.reload()
      else log.info({}, 'there is no configuration file to read again')
    },
  })
  try {
    await parts.fleet?.open()
    // What loading the program left is a third of its memory, and nobody waits yet.
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    await app.start()
    onServing()
    giver = openGiver({
      stateDir: read.config.stateDir,
      log,
      unseen: () => app.unseen(),
      onRetire: async () => {
        giver?.close()
        await app.retire()
        // In the next turn, when this has been told.
        setImmediate(onRetired ?? stop)
      },
    })
  } catch (error) {
    log.error(
      error instanceof FairleadError ? { code: error.code } : { err: error },
      `fairlead cannot run: ${errorText(error)}${isInUse(error) ? `; ${whoHasIt(read.config, parts)}` : ''}`,
    )
    await end(1)
  }
}

/** What helps where somebody has an address. */
function whoHasIt({ stateDir }: Config, { replaces, running }: Parts): string {
  if (running) return `the running proxy does not have it: another program does, or a proxy with another stateDir`
  return replaces
    ? `there is no running proxy in ${stateDir ?? ''}: another program has it, or a proxy with another stateDir`
    : 'if that is this same proxy, `fairlead serve --replace` takes over from it'
}

function watchConfig(app: App, { file, text, config: first }: ReadConfig, log: AppLogger): ConfigWatcher | undefined {
  if (file === undefined) return undefined
  return createConfigWatcher({
    path: file,
    known: text,
    env: process.env,
    clock: systemClock,
    log,
    onConfig: async (config: Config) => {
      const workers = countOf(first)
      const message = `the number of workers changes only with a new start: there are ${workers}, and ${countOf(config)} are asked for`
      const isOther = countOf(config) !== workers
      if (isOther) log.warn({ workers }, message)
      await app.reload(config)
      app.standing.restartFor(isOther ? [{ setting: 'workers', message }] : [])
    },
    onRefused: (errors) => app.standing.refused(errors),
  })
}
