/** Reads the proxy's standard output as long as it may, counts the lines of requests, and keeps the others. */
import { appendFileSync } from 'node:fs'
import type { Readable } from 'node:stream'

export class LogReader {
  #accessLines = 0
  #rest = ''
  #stdout: Readable | undefined

  /** Lines of requests so far. */
  get accessLines(): number {
    return this.#accessLines
  }

  /** What is no request is appended to `file`. */
  readonly read = (stdout: Readable, file: string): void => {
    this.#stdout = stdout
    this.#rest = ''
    stdout.on('data', (chunk: Buffer) => this.#take(chunk.toString('latin1'), file))
  }

  /** Nobody reads, until {@link resume}. */
  pause(): void {
    this.#stdout?.pause()
  }

  resume(): void {
    this.#stdout?.resume()
  }

  #take(text: string, file: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    const others = lines.filter((line) => !line.startsWith('{"level":"access"'))
    this.#accessLines += lines.length - others.length
    if (others.length > 0) appendFileSync(file, `${others.join('\n')}\n`, 'latin1')
  }
}
