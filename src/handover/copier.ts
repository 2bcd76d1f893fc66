/**
 * Copies of listening sockets for this same process. Node accepts one connection in a turn of its loop for each handle, however
 * many wait, and a copy of a socket is a handle more on the same queue. Nothing in Node copies one but a channel to another process:
 * what is sent there is copied by the system. So a child is started that sends back whatever it is sent, one by one, and ends
 * when there is no more to do. It accepts nothing, and without it all goes on with what there is: that is told, and no error.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Server } from 'node:net'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { CopySocket } from '../core/inherit.ts'
import type { Logger } from '../core/log.ts'

export interface CopierOptions {
  /** The child's whole command line; absent: this Node with {@link mirror}. */
  readonly command?: readonly [string, ...string[]]
  readonly clock: Pick<Clock, 'setTimer'>
  readonly log: Pick<Logger, 'warn'>
}

/** The child's whole program, which needs nothing of ours: it is up sooner than ours would be loaded. Socket and copy are closed there within a turn. */
const mirror = "process.on('message', (word, socket) => { process.send(word, socket); socket?.close() })"

/** How long the child may take to start, and to answer, ms. */
const answerMs: Milliseconds = 10_000

interface Job {
  readonly server: Server
  readonly onCopy: (copy: Server) => void
  left: number
}

export function createCopier(options: CopierOptions): CopySocket {
  const copier = new Copier(options)
  const copySocket = (server: Server, count: number, onCopy: (copy: Server) => void): void => {
    if (count > 0) copier.add({ server, left: count, onCopy })
  }
  return Object.assign(copySocket, { settled: () => copier.settled })
}

class Copier {
  readonly #options: CopierOptions
  readonly #jobs: Job[] = []
  #child: ChildProcess | undefined
  #patience: Timer | undefined
  /** Resolves when no child is left: it may have a socket for as long as it lives. */
  settled: Promise<void> = Promise.resolve()

  constructor(options: CopierOptions) {
    this.#options = options
  }

  add(job: Job): void {
    this.#jobs.push(job)
    if (this.#child) return
    try {
      this.#child = this.#start()
      this.#next()
    } catch (error) {
      this.#failed(undefined, errorText(error))
    }
  }

  #start(): ChildProcess {
    const [program, ...args] = this.#options.command ?? [process.execPath, '-e', mirror]
    // What this process is told to load by it, that one has no use for.
    const { NODE_OPTIONS: _, ...env } = process.env
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env })
    child.unref()
    child.channel?.unref()
    child.on('message', (_, copy) => this.#got(copy as Server | undefined))
    const gone = new Promise<void>((resolve) => {
      for (const end of ['exit', 'error']) child.once(end, () => resolve())
    })
    const { settled } = this
    this.settled = gone.then(() => settled)
    child.on('error', (error) => this.#failed(child, error.message))
    child.on('exit', (code, signal) => this.#failed(child, `ended (${signal ?? `exit code ${String(code)}`})`))
    return child
  }

  /** One at a time, so that each is sent before its socket could be closed. */
  #next(): void {
    const { clock } = this.#options
    const child = this.#child
    const [job] = this.#jobs
    this.#patience?.clear()
    if (!job) {
      this.#child = undefined
      return child?.disconnect()
    }
    this.#patience = clock.setTimer(answerMs, () => child?.kill('SIGKILL'))
    // That it cannot be told is told by its end, or by the error of one that could not be started.
    if (child?.connected) child.send('copy', job.server, {}, () => {})
  }

  #got(copy: Server | undefined): void {
    const [job] = this.#jobs
    // Closed meanwhile: nothing of it may stay open.
    const isWanted = copy !== undefined && job?.server.listening === true
    if (isWanted) job.onCopy(copy)
    else copy?.close()
    if (!isWanted || --job.left === 0) this.#jobs.shift()
    this.#next()
  }

  #failed(child: ChildProcess | undefined, why: string): void {
    if (child !== this.#child) return
    this.#child = undefined
    this.#patience?.clear()
    this.#jobs.length = 0
    this.#options.log.warn(
      { reason: why },
      `new connections are accepted more slowly than they could be: the process that copies listening sockets ${why}`,
    )
  }
}
