/**
 * Reads the proxy's standard output as long as it may, counts the lines of requests, keeps the first of those that did not end well,
 * and writes what is no request to a file.
 */
import { appendFileSync } from 'node:fs'
import type { Readable } from 'node:stream'

/** Lines of requests that are kept. */
const keptMax = 20
/** One that ended well has no cause; WebSockets end when their client is told to reset them. */
const endedWell = /"status":101,|"cause":""\}$/

export class LogReader {
  /** Lines of requests that did not end well, the first of them. */
  readonly unwell: string[] = []
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
    const others: string[] = []
    for (const line of lines)
      if (line.startsWith('{"level":"access"')) this.#request(line)
      else others.push(line)
    if (others.length > 0) appendFileSync(file, `${others.join('\n')}\n`, 'latin1')
  }

  #request(line: string): void {
    this.#accessLines++
    if (this.unwell.length < keptMax && !endedWell.test(line)) this.unwell.push(line)
  }
}
