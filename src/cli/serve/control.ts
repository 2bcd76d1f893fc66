/** The control process: the whole proxy but for its requests, which run in workers. */
import { rmdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { createFleet } from '../../fleet/fleet.ts'
import { createTaker } from '../../handover/taker.ts'
import { packageVersion } from '../version.ts'
import { epochOf, sayReady, sayRetired, takeOrders, type ChildOptions, type Orders } from './child.ts'
import { openOutput } from './output.ts'
import { readConfig } from './read-config.ts'
import { run } from './run.ts'

export async function runControl({ socket, config, workers, replaces }: ChildOptions): Promise<void> {
  const read = readConfig(config)
  if (!read) return
  const output = openOutput(read.config.log.level, true)
  const fleet = createFleet({
    path: socket,
    workers,
    version: packageVersion,
    epoch: epochOf(),
    clock: systemClock,
    log: output.log,
  })
  const obey = ({ stop, reload }: Orders): void =>
    takeOrders({
      stop: (orphaned) => {
        if (orphaned) process.once('exit', () => removeFolder(dirname(socket)))
        stop(orphaned)
      },
      reload,
    })
  const parts = {
    log: fleet.log,
    accessLog: fleet.accessLog,
    fleet,
    running: createTaker({ clock: systemClock }),
    replaces,
  }
  await run(read, output, parts, obey, sayReady, sayRetired)
}

/** The socket's, which a supervisor that was killed could not remove. */
function removeFolder(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // It is gone already.
  }
}
