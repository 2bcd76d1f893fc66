/**
 * The running proxy's side of an upgrade in place: a Unix socket in the state folder, which only its owner may use. Whoever
 * comes there, says what it wants (see `greeting.ts`) and has the turn gets a helper process (see `helper.ts`) that has this process's listening sockets and hands them over one by one,
 * as they are asked for, so that a socket, with all that waits in its queue, is never closed but shared and then left.
 * It decides nothing: what `onRetire` does is up to whoever serves.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer, type Server, Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import { listenUnix } from '../core/unix-socket.ts'
import type { Logger } from '../core/log.ts'
import { go, readLines, type Reply, take } from './greeting.ts'
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
/** How long one that comes may take to say what it wants, ms. */
const wordMs: Milliseconds = 2_000
/** How long one that has the turn may take to look at what else it needs, ms. */
const goMs: Milliseconds = 10_000
/** Connections at one time, of whoever has not been given a helper. */
const guestsMax = 16
/** How long one that comes while another has the turn waits, since a helper does not outlive by much who has given up; ms. */
const helperGoneMs: Milliseconds = 3_000

export function createGiver(options: GiverOptions): Giver {
  return new UnixGiver(options)
}

class UnixGiver implements Giver {
  readonly #options: GiverOptions
  #server: Server | undefined
  #again: Timer | undefined
  /** Whoever takes over: first its connection, then the helper. */
  #turn: Socket | ChildProcess | undefined
  readonly #guests = new Set<Socket>()
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
    for (const socket of this.#guests) {
      if (this.#waiting.delete(socket)) socket.end(said('busy'))
      else socket.destroy()
    }
    this.#server?.close()
    this.#server = undefined
  }

  async #open(): Promise<void> {
    const { path, clock, log } = this.#options
    // It need not be woken to be seen.
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

  /** It says what it wants first, and soon. */
  #come(socket: Socket): void {
    const { clock } = this.#options
    socket.on('error', () => {})
    if (this.#closed || this.#guests.size >= guestsMax) return void socket.destroy()
    const patience = clock.setTimer(wordMs, () => socket.destroy())
    const stop = readLines(socket, (line) => {
      stop()
      patience.clear()
      if (line === take) this.#queue(socket)
      else socket.end(said('no'))
    })
    this.#guests.add(socket)
    socket.once('close', () => {
      patience.clear()
      this.#guests.delete(socket)
      this.#left(socket)
    })
  }

  /** One at a time: two that take over at once would both serve. */
  #queue(socket: Socket): void {
    const { clock } = this.#options
    if (this.#turn === undefined) return this.#give(socket)
    this.#waiting.add(socket)
    // What is read tells of the end of whoever waits.
    socket.resume()
    clock.setTimer(helperGoneMs, () => {
      if (this.#waiting.delete(socket)) socket.end(said('busy'))
    })
  }

  #give(socket: Socket): void {
    this.#turn = socket
    const patience = this.#options.clock.setTimer(goMs, () => socket.destroy())
    const stop = readLines(socket, (line) => {
      stop()
      patience.clear()
      if (line === go) this.#help(socket)
      else socket.destroy()
    })
    socket.once('close', () => patience.clear())
    socket.write(said('yes'))
  }

  /** Whoever has the turn has gone: it is the next one's. */
  #left(who: Socket | ChildProcess): void {
    if (who !== this.#turn) return void (who instanceof Socket && this.#waiting.delete(who))
    this.#turn = undefined
    const [next] = this.#waiting
    if (next && this.#waiting.delete(next)) this.#give(next)
  }

  #help(socket: Socket): void {
    const { helper, onRetire, log } = this.#options
    const sockets = listeningSockets()
    const [program, ...args] = helper(sockets)
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit', socket, ...sockets.map(({ fd }) => fd)],
      // Its channel is the connection, whose other end is that of the one that takes over.
      env: { ...process.env, NODE_CHANNEL_FD: '3' },
    })
    this.#turn = child
    socket.destroy()
    child.on('exit', () => this.#left(child))
    child.on('error', (error) => {
      this.#left(child)
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
}

function said(reply: Reply): string {
  return `${reply}\n`
}
