/**
 * Finds the proxy that runs with this state folder, and comes to an arrangement with it before anything is started: as many
 * connections as it has processes with sockets, each for the process that is to have the same ones. It takes nothing over itself.
 */
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { basename } from 'node:path'
import { FairleadError } from '../../core/errors.ts'
import type { Config } from '../../config/config.ts'
import { handoverPath } from '../../handover/messages.ts'

/** Connections to a proxy that runs. */
export interface Running {
  /** To the process that is asked to go. */
  readonly control: Socket
  /** To its workers, by slot; empty where it is one process, or its workers have left their sockets. */
  readonly workers: ReadonlyMap<number, Socket>
  /**
   * How many workers it takes to have every socket of those: what waits in the queue of one that nobody had would be lost. More than
   * these open sockets of their own beside them.
   */
  readonly workersMin: number
}

/**
 * Undefined: none runs. `workers`: how many this proxy is to have. Rejects with FL_CONFIG when this configuration cannot take over
 * from it.
 */
export async function findRunning({ stateDir, catalog }: Config, workers: number): Promise<Running | undefined> {
  if (stateDir === undefined)
    throw new FairleadError(
      'FL_CONFIG',
      '--replace needs the setting stateDir: the running proxy is found by its socket there',
    )
  const control = await reach(handoverPath(stateDir))
  if (!control) return undefined
  const found = new Map<number, Socket>()
  for (const slot of slotsIn(stateDir)) {
    const socket = await reach(handoverPath(stateDir, slot))
    if (socket) found.set(slot, socket)
  }
  const refuse = (message: string): never => {
    for (const socket of [control, ...found.values()]) socket.destroy()
    throw new FairleadError('FL_CONFIG', message)
  }
  if (workers > 1 && found.size === 0)
    refuse(
      `the running proxy has no workers, or they are ending, and this one is to have ${workers}: beside the socket of a single ` +
        'process no other can be opened, so that a worker that dies could not be replaced. Stop that one, then start this one',
    )
  if (catalog.some(({ kind }) => kind === 'embedded'))
    refuse('a proxy with an embedded catalog cannot be upgraded in place: its catalog lives in the process that ends')
  return { control, workers: found, workersMin: Math.max(1, ...[...found.keys()].map((slot) => slot + 1)) }
}

function slotsIn(stateDir: string): readonly number[] {
  const name = new RegExp(`^${basename(handoverPath('', 0)).replace('0', '(\\d+)')}$`)
  return readdirSync(stateDir)
    .flatMap((file) => name.exec(file)?.[1] ?? [])
    .map(Number)
}

/** Undefined: nobody is there. Rejects with FL_CONFIG when somebody may be, and cannot be reached. */
function reach(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    // Not a byte may be read here: what comes is for the process that gets this connection.
    socket.pause()
    socket.once('connect', () => resolve(socket))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(new FairleadError('FL_CONFIG', `whether a proxy runs cannot be seen at ${path}: ${error.message}`))
    })
  })
}
