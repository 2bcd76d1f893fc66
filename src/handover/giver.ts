/**
 * The running proxy's side of an upgrade in place: a Unix socket in the state folder, which only its owner may use. Whoever
 * comes there gets a helper process (see `helper.ts`) that has this process's listening sockets and hands them over one by one,
 * as they are asked for, so that a socket, with all that waits in its queue, is never closed but shared and then left.
 * It decides nothing: what `onRetire` does is up to whoever serves.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import { listenUnix } from '../core/unix-socket.ts'
import type { Logger } from '../core/log.ts'
import { isListeningAt, listeningSockets } from './listening.ts'
import type { ListeningSocket } from './messages.ts'

export interface GiverOptions {
  /** Of the Unix socket. */
  readonly path: string
  /** The helper's whole command line, for these sockets, the first of which it has as its descriptor 4, and so on. */
  readonly helper: (sockets: readonly ListeningSocket[]) => readonly [string, ...string[]]
  /** Called at most once; resolves when the state folder and the addresses that cannot be shared are free. Absent: it is not asked. */
  readonly onRetire?: () => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

export interface Giver {
  /** Opens the socket, now or once the proxy that this one takes over from has left it. */
  open(): void
  /** Idempotent. */
  close(): void
}

/** Between two attempts to open the socket, ms. */
const againMs: Milliseconds = 200
/** How long one that comes while there is a helper waits for the end of it, which one that has given up does not outlive by much, ms. */
const helperGoneMs: Milliseconds = 3_000

export function createGiver(options: GiverOptions): Giver {
  return new UnixGiver(options)
}

class UnixGiver implements Giver {
  readonly #options: GiverOptions
  #server: Server | undefined
  #again: Timer | undefined
  #helper: ChildProcess | undefined
  readonly #waiting = new Set<Socket>()
  #closed = false
  #warned = false

  constructor(options: GiverOptions) {
    this.#options = options
  }

  open(): void {
    void this.#open()
  }

  close(): void {
    this.#closed = true
    this.#again?.clear()
    for (const socket of this.#waiting) socket.destroy()
    this.#waiting.clear()
    this.#server?.close()
    this.#server = undefined
  }

  async #open(): Promise<void> {
    const { path, clock, log } = this.#options
    // Whoever connects to the one that has it is taken for one that takes over, and gets a process of its own.
    if (isListeningAt(path)) {
      this.#again = clock.setTimer(againMs, () => void this.#open())
      return
    }
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#come(socket))
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      await listenUnix(server, path)
    } catch (error) {
      if (this.#closed) return
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (!isTaken && !this.#warned) {
        this.#warned = true
        log.warn({ path }, `this proxy cannot be upgraded in place: ${path} cannot be opened: ${errorText(error)}`)
      }
      this.#again = clock.setTimer(isTaken ? againMs : 50 * againMs, () => void this.#open())
      return
    }
    server.on('error', () => {})
    if (this.#closed) server.close()
    else this.#server = server
  }

  /** One at a time: two that take over at once would both serve. */
  #come(socket: Socket): void {
    const { helper, onRetire, log } = this.#options
    socket.on('error', () => {})
    if (this.#closed) return void socket.destroy()
    if (this.#helper) return this.#wait(socket)
    const sockets = listeningSockets()
    const [program, ...args] = helper(sockets)
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit', socket, ...sockets.map(({ fd }) => fd)],
      // Its channel is the connection, whose other end is that of the one that takes over.
      env: { ...process.env, NODE_CHANNEL_FD: '3' },
    })
    socket.destroy()
    this.#helper = child
    const gone = (): void => {
      if (this.#helper === child) this.#helper = undefined
      const [next] = this.#waiting
      if (next && this.#waiting.delete(next)) this.#come(next)
    }
    child.on('exit', gone)
    child.on('error', (error) => {
      gone()
      log.error({ error: error.message }, `no helper could be started that hands the sockets over: ${error.message}`)
    })
    child.stdin?.on('error', () => {})
    // Asked once more: one that hung hears only later what was said, and then who said it may have gone, and serve nobody.
    child.stdout?.once('data', () => {
      child.stdin?.write('sure?\n')
      child.stdout?.once('data', () => {
        if (onRetire) void onRetire().then(() => child.stdin?.end())
      })
    })
  }

  #wait(socket: Socket): void {
    this.#waiting.add(socket)
    this.#options.clock.setTimer(helperGoneMs, () => {
      if (this.#waiting.delete(socket)) socket.destroy()
    })
  }
}
