/**
 * A bounded, asynchronous writer of whole lines: one write in flight, the rest in a buffer with a ceiling. When the
 * reader stops reading, lines are dropped and counted; memory and requests are never the price. A line is written
 * whole or not at all, also across partial writes and failed ones. It must not know what a line says.
 */
import type { Clock } from '../core/clock.ts'
import type { Sink } from './sink.ts'

export interface LineWriterOptions {
  readonly sink: Sink
  readonly clock: Clock
  /** Most bytes waiting, those in flight included; 1 MiB by default. */
  readonly bufferBytesMax?: number
  /**
   * Most bytes in one write, but for a single line that is longer; no limit by default. With {@link atomicBytes}, lines of
   * processes that share a pipe never run into each other.
   */
  readonly writeBytesMax?: number
}

/** What a system writes to a pipe as one piece or not at all (POSIX: PIPE_BUF; 4096 on Linux, 512 at the least elsewhere). */
export const atomicBytes = 4_096

export interface LineWriter {
  /**
   * Takes one or more whole lines, the last ending in a newline. False: there was no room and they are dropped.
   * `important` lines may use a further 64 KiB, so that a flood of ordinary ones does not hide them.
   */
  write(lines: string, important?: boolean): boolean
  /** Calls of `write` that were refused, or whose lines were lost to an error of the sink. */
  dropped(): number
  /** Resolves when all is written, or after `deadlineMs`: true when nothing is left. */
  flush(deadlineMs: number): Promise<boolean>
}

const importantBytes = 65_536
/** Pause before asking a full pipe or terminal again, ms. */
const retryMs = 20
const newline = 0x0a

export function createLineWriter(options: LineWriterOptions): LineWriter {
  return new BufferedLineWriter(options)
}

class BufferedLineWriter implements LineWriter {
  readonly #sink: Sink
  readonly #clock: Clock
  readonly #max: number
  readonly #writeMax: number
  #lines: string[] = []
  #waitingBytes = 0
  /** What is being written, and how much of it is out. */
  #chunk: Buffer | undefined
  #chunkLines = 0
  #offset = 0
  #busy = false
  #gone = false
  #dropped = 0
  /** True when the sink holds the beginning of a line whose rest was given up. */
  #torn = false
  #idle: (() => void)[] = []

  constructor(options: LineWriterOptions) {
    this.#sink = options.sink
    this.#clock = options.clock
    this.#max = options.bufferBytesMax ?? 1_048_576
    this.#writeMax = options.writeBytesMax ?? Infinity
  }

  write(lines: string, important = false): boolean {
    // Most text is ASCII; where it is not, three bytes for a unit of UTF-16 is the most it can take.
    const bytes = lines.length
    const held = this.#waitingBytes + (this.#chunk ? this.#chunk.length - this.#offset : 0)
    if (this.#gone || held + bytes > this.#max + (important ? importantBytes : 0)) {
      this.#dropped++
      return false
    }
    this.#lines.push(lines)
    this.#waitingBytes += bytes
    if (!this.#busy) {
      this.#busy = true
      // Lines of the same turn go out in one write.
      setImmediate(() => this.#next())
    }
    return true
  }

  dropped(): number {
    return this.#dropped
  }

  flush(deadlineMs: number): Promise<boolean> {
    if (!this.#busy) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(deadlineMs, () => resolve(false))
      this.#idle.push(() => {
        timer.clear()
        resolve(true)
      })
    })
  }

  #next(): void {
    if (!this.#chunk) {
      if (this.#lines.length === 0) return this.#rest()
      const lines = this.#take()
      const text = lines.join('')
      this.#chunk = Buffer.from(this.#torn ? `\n${text}` : text, 'utf8')
      this.#torn = false
      this.#chunkLines = lines.length
      this.#offset = 0
      this.#waitingBytes -= text.length
    }
    const rest = this.#offset === 0 ? this.#chunk : this.#chunk.subarray(this.#offset)
    this.#sink.write(rest, (error, written) => this.#wrote(error, written))
  }

  /** What goes out in one write. */
  #take(): readonly string[] {
    const lines = this.#lines
    let count = lines.length
    if (this.#writeMax < Infinity) {
      let bytes = this.#torn ? 1 : 0
      for (count = 0; count < lines.length; count++) {
        bytes += Buffer.byteLength(lines[count] ?? '')
        if (count > 0 && bytes > this.#writeMax) break
      }
    }
    if (count < lines.length) return lines.splice(0, count)
    this.#lines = []
    return lines
  }

  #wrote(error: NodeJS.ErrnoException | null, written: number): void {
    const chunk = this.#chunk
    if (!chunk) return
    this.#offset += written
    if (error?.code === 'EAGAIN' || error?.code === 'EINTR') {
      this.#clock.setTimer(retryMs, () => this.#next())
    } else if (error) {
      this.#giveUp(chunk, error)
    } else {
      if (this.#offset >= chunk.length) this.#chunk = undefined
      this.#next()
    }
  }

  /** A full disk costs what was being written; a reader that is gone costs everything from here on. */
  #giveUp(chunk: Buffer, error: NodeJS.ErrnoException): void {
    this.#torn = this.#offset > 0 && chunk[this.#offset - 1] !== newline
    this.#dropped += this.#chunkLines
    this.#chunk = undefined
    if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT' && error.code !== 'EIO') {
      this.#gone = true
      this.#dropped += this.#lines.length
      this.#lines = []
      this.#waitingBytes = 0
    }
    this.#clock.setTimer(retryMs, () => this.#next())
  }

  #rest(): void {
    this.#busy = false
    const idle = this.#idle
    this.#idle = []
    for (const done of idle) done()
  }
}
