/**
 * Where bytes of the log go: a file descriptor, opened so that a reader who stops reading blocks no thread of ours.
 * A blocking write would sit in libuv's pool and hold even `process.exit` until the reader came back (tried), so pipes
 * and terminals are opened anew without blocking, which leaves the descriptor others share with us as it was.
 */
import { closeSync, constants, fstatSync, openSync, write } from 'node:fs'
import { Socket } from 'node:net'

export interface Sink {
  /** Writes some or all of `bytes`. One call at a time. `error` EAGAIN: nothing was taken now, try again later. */
  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void
  /** True when a person reads it. */
  readonly terminal: boolean
}

/** A descriptor of our own to the same pipe or terminal, non-blocking; `fd` itself where the system allows none. */
function reopen(fd: number): number {
  for (const path of [`/proc/self/fd/${fd}`, `/dev/fd/${fd}`]) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    } catch {
      // Another user's pipe, or no such folder on this system: the next way.
    }
  }
  return fd
}

function socketSink(fd: number): Sink {
  const socket = new Socket({ fd, readable: false, writable: true })
  // A reader who goes away is told to each write; the event itself must not end the process.
  socket.on('error', () => {})
  socket.unref()
  return {
    terminal: false,
    write: (bytes, done) => void socket.write(bytes, (error) => done(error ?? null, error ? 0 : bytes.length)),
  }
}

function fileSink(fd: number, terminal: boolean): Sink {
  return { terminal, write: (bytes, done) => write(fd, bytes, 0, bytes.length, null, done) }
}

/** A sink for an open descriptor; `fd` stays the caller's. */
export function createSink(fd: number): Sink {
  const kind = fstatSync(fd)
  if (kind.isSocket()) return socketSink(fd)
  if (kind.isFIFO()) {
    const own = reopen(fd)
    try {
      return socketSink(own)
    } catch {
      if (own !== fd) closeSync(own)
      return fileSink(fd, false)
    }
  }
  // A terminal is a character device that is not /dev/null and the like; asking tty keeps the answer the system's.
  if (kind.isCharacterDevice()) return fileSink(reopen(fd), isTerminal(fd))
  // A plain file must keep its descriptor: opened anew it would be written from its start.
  return fileSink(fd, false)
}

function isTerminal(fd: number): boolean {
  return (fd === 1 && process.stdout.isTTY) || (fd === 2 && process.stderr.isTTY)
}
