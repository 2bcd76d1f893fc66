/**
 * The process around the catalog: log, signals, exit code. TERM and INT answer what waits and stop; a second one ends at
 * once. Start is recovery: what a kill left behind is read like anything else.
 */
import {
  createEmbeddedCatalog,
  type EmbeddedCatalog,
  type EmbeddedCatalogDeps,
  type EmbeddedCatalogOptions,
} from '../../catalog/embedded/embedded.ts'
import { isLoopback, showHostPort } from '../../core/host.ts'
import { systemClock } from '../../core/clock.ts'
import { errorText, FairleadError } from '../../core/errors.ts'
import { systemRandom } from '../../core/random.ts'
import { createLineWriter } from '../../telemetry/line-writer.ts'
import { createLogger } from '../../telemetry/log.ts'
import { createSink } from '../../telemetry/sink.ts'

/** How long the log may take to get out at the end, ms. */
const lastWordsMs = 500

/** Starts a catalog and says where it listens. Throws FL_LISTEN or FL_STORE. */
export async function runCatalog(options: EmbeddedCatalogOptions, deps: EmbeddedCatalogDeps): Promise<EmbeddedCatalog> {
  const catalog = createEmbeddedCatalog(options, deps)
  const { host, port } = await catalog.listen()
  const where = showHostPort(host, port)
  deps.log.info({ address: where, stateDir: options.stateDir }, `the catalog listens on http://${where}`)
  // The address that is bound, not the name that was given: what matters is who can connect.
  if (!isLoopback(host))
    deps.log.warn(
      { address: where },
      'there is no ACL: whoever reaches this address can register services and change routes; keep it to trusted networks',
    )
  if (!options.stateDir) deps.log.info({}, 'nothing is kept: without a state directory, all is gone when it ends')
  return catalog
}

/** Runs a catalog until the process is told to stop, and then ends it. */
export async function catalogProcess(options: EmbeddedCatalogOptions): Promise<void> {
  const sink = createSink(1)
  const writer = createLineWriter({ sink, clock: systemClock })
  const pretty = sink.terminal
  const log = createLogger({ writer, level: 'info', pretty, color: pretty && !process.env['NO_COLOR'] })
  const end = async (code: number): Promise<void> => {
    await writer.flush(lastWordsMs)
    process.exit(code)
  }
  try {
    const catalog = await runCatalog(options, { clock: systemClock, random: systemRandom, log })
    let asked = false
    for (const [signal, number] of [
      ['SIGTERM', 15],
      ['SIGINT', 2],
    ] as const) {
      process.on(signal, () => {
        if (asked) return void end(128 + number)
        asked = true
        log.info({ signal }, `${signal}: stopping`)
        void catalog.close().then(() => end(0))
      })
    }
  } catch (error) {
    log.error(
      error instanceof FairleadError ? { code: error.code } : { err: error },
      `the catalog cannot run: ${errorText(error)}`,
    )
    await end(1)
  }
}
