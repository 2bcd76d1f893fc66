/**
 * Finds the proxy that runs with this state folder, and comes to an arrangement with it before anything is started: as many
 * connections as it has processes with sockets, each for the process that is to have the same ones. It takes nothing over itself.
 */
import { connect, type Socket } from 'node:net'
import { FairleadError } from '../../core/errors.ts'
import type { Config } from '../../config/config.ts'
import { handoverPath } from '../../handover/messages.ts'

/** Connections to a proxy that runs. */
export interface Running {
  /** To the process that is asked to go. */
  readonly control: Socket
  /** To its workers, by slot; empty where it is one process. */
  readonly workers: readonly Socket[]
}

/** Undefined: none runs. Rejects with FL_CONFIG when this configuration cannot take over from it. */
export async function findRunning({ stateDir, catalog }: Config, workers: number): Promise<Running | undefined> {
  if (stateDir === undefined)
    throw new FairleadError(
      'FL_CONFIG',
      '--replace needs the setting stateDir: the running proxy is found by its socket there',
    )
  const control = await reach(handoverPath(stateDir))
  if (!control) return undefined
  const wanted = workers > 1 ? workers : 0
  const found: Socket[] = []
  // One more than is wanted, to see that there is none.
  for (let slot = 0; slot <= wanted; slot++) {
    const socket = await reach(handoverPath(stateDir, slot))
    if (!socket) break
    found.push(socket)
  }
  const refuse = (message: string): never => {
    for (const socket of [control, ...found]) socket.destroy()
    throw new FairleadError('FL_CONFIG', message)
  }
  if (found.length !== wanted)
    refuse(
      `the running proxy has ${found.length > wanted ? 'more' : 'fewer'} workers than this one is to have (${workers}), and ` +
        'sockets go from worker to worker: upgrade with the same number, and change it by a stop and a start',
    )
  if (catalog.some(({ kind }) => kind === 'embedded'))
    refuse('a proxy with an embedded catalog cannot be upgraded in place: its catalog lives in the process that ends')
  return { control, workers: found }
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
