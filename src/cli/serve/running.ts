/**
 * Finds the proxy that runs with this state folder, and comes to an arrangement with it before anything is started: as many
 * connections as it has processes with sockets, each for the process that is to have the same ones. It takes nothing over itself.
 */
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { basename } from 'node:path'
import { FairleadError } from '../../core/errors.ts'
import { type Milliseconds, systemClock } from '../../core/clock.ts'
import type { Config } from '../../config/config.ts'
import { readLines, type Reply, take } from '../../handover/greeting.ts'
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

/** How long the running proxy may take to say whether it hands over, ms; more than it has one wait whose turn is yet to come. */
const answerMs: Milliseconds = 10_000
const hangs = 'does not answer: it hangs, or it is stopped. End it with KILL, then start this one'
const isOther = 'is of a version that hands its sockets over in another way: stop it, then start this one'
const refusals: ReadonlyMap<string, string> = new Map<Reply, string>([
  ['busy', 'does not hand its sockets over: another one is taking over from it'],
  ['no', isOther],
])

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
  try {
    for (const slot of slotsIn(stateDir)) {
      const socket = await reach(handoverPath(stateDir, slot))
      if (socket) found.set(slot, socket)
    }
    refuseUnfit(catalog, workers, found.size)
  } catch (error) {
    for (const socket of [control, ...found.values()]) socket.destroy()
    throw error
  }
  return { control, workers: found, workersMin: Math.max(1, ...[...found.keys()].map((slot) => slot + 1)) }
}

function refuseUnfit(catalog: Config['catalog'], workers: number, found: number): void {
  const refuse = (message: string): never => {
    throw new FairleadError('FL_CONFIG', message)
  }
  if (workers > 1 && found === 0)
    refuse(
      `the running proxy has no workers, or they are ending, and this one is to have ${workers}: beside the socket of a single ` +
        'process no other can be opened, so that a worker that dies could not be replaced. Stop that one, then start this one',
    )
  if (catalog.some(({ kind }) => kind === 'embedded'))
    refuse('a proxy with an embedded catalog cannot be upgraded in place: its catalog lives in the process that ends')
}

function slotsIn(stateDir: string): readonly number[] {
  const name = new RegExp(`^${basename(handoverPath('', 0)).replace('0', '(\\d+)')}$`)
  return readdirSync(stateDir)
    .flatMap((file) => name.exec(file)?.[1] ?? [])
    .map(Number)
}

/** Undefined: nobody is there. Rejects with FL_CONFIG when somebody may be, and cannot be reached or will not hand over now. */
function reach(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    const refuse = (why: string): void => {
      patience.clear()
      socket.destroy()
      reject(new FairleadError('FL_CONFIG', why))
    }
    const patience = systemClock.setTimer(answerMs, () => refuse(`the running proxy ${hangs}`))
    // What comes after this is for the process that gets the connection.
    const stop = readLines(socket, (line) => {
      stop()
      if (line !== ('yes' satisfies Reply)) return refuse(`the running proxy ${refusals.get(line) ?? isOther}`)
      patience.clear()
      resolve(socket)
    })
    socket.write(`${take}\n`)
    socket.on('end', () => refuse('the running proxy does not hand its sockets over: it ends'))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED')
        return refuse(`whether a proxy runs cannot be seen at ${path}: ${error.message}`)
      patience.clear()
      resolve(undefined)
    })
  })
}
