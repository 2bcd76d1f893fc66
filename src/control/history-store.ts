/**
 * Keeps the history of tables in the state folder: a file that is appended to, and the one before it, so that what is kept
 * has a bound. A torn or foreign line costs itself only. A disk that takes nothing costs a line in the log and a problem,
 * never a request; what waits to be written has a bound as well.
 */
import { constants } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Problem } from '../core/problem.ts'
import { nextTurn } from '../core/turn.ts'
import { decodeEntry, encodeEntry, type HistoryEntry } from './history-entry.ts'

export const historyFile = 'history.jsonl'
/** What {@link historyFile} was before it grew too large. */
export const historyBefore = 'history.1.jsonl'
/** Between the ends of one writing and the beginning of the next. */
export const writeSpacingMs: Milliseconds = 1_000
/** After a failure: the disk may be full for long. */
export const retryMs: Milliseconds = 10_000
/** Nothing that we wrote comes near it. */
const readBytesMax = 64 * 1_048_576

export interface HistoryStoreOptions {
  /** Made when it is missing. */
  readonly dir: string
  readonly clock: Pick<Clock, 'now' | 'setTimer'>
  readonly log: Logger
  /** Entries that are kept, also while they wait to be written. */
  readonly entriesMax: number
  /** A file that is larger is put aside for a new one; 4 MiB by default. */
  readonly fileBytesMax?: number
}

export interface HistoryStore {
  readonly path: string
  /** What is kept, oldest first, at most `entriesMax`. It is read once, and nothing is written before. Never rejects. */
  load(): Promise<readonly HistoryEntry[]>
  /** Takes entries to be written: at once after quiet, else within a second. */
  append(entries: readonly HistoryEntry[]): void
  /** Empty, or why the history is not saved. */
  problems(): readonly Problem[]
  /** Writes what waits, if that can be done at once; nothing is written afterwards. Idempotent. */
  stop(): Promise<void>
}

export function createHistoryStore(options: HistoryStoreOptions): HistoryStore {
  return new FileStore(options)
}

class FileStore implements HistoryStore {
  readonly path: string
  readonly #options: HistoryStoreOptions
  readonly #fileBytesMax: number
  #waiting: HistoryEntry[] = []
  #bytes = 0
  /** The file may end in the middle of a line. */
  #torn = false
  #loaded = false
  #loading: Promise<readonly HistoryEntry[]> | undefined
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #notBefore = -Infinity
  #failure: string | undefined
  #stopping: Promise<void> | undefined

  constructor(options: HistoryStoreOptions) {
    this.#options = options
    this.#fileBytesMax = options.fileBytesMax ?? 4 * 1_048_576
    this.path = join(options.dir, historyFile)
  }

  load(): Promise<readonly HistoryEntry[]> {
    this.#loading ??= this.#load()
    return this.#loading
  }

  async #load(): Promise<readonly HistoryEntry[]> {
    const before = await this.#lines(join(this.#options.dir, historyBefore))
    const now = await this.#lines(this.path)
    this.#bytes = now.bytes
    this.#torn = now.torn
    // What a writing that failed half-way has written is there twice.
    const lines = [...new Set([...before.lines, ...now.lines])]
    const entries: HistoryEntry[] = []
    let unusable = 0
    for (const [i, line] of lines.entries()) {
      if (i % 32 === 31) await nextTurn()
      const entry = decodeEntry(line)
      if (entry) entries.push(entry)
      else if (line !== '') unusable++
    }
    if (unusable > 0)
      this.#options.log.warn(
        { file: this.path, lines: unusable },
        `lines of the history ${this.path} are unreadable and left out`,
      )
    this.#loaded = true
    this.#plan()
    return entries.sort((a, b) => a.atMs - b.atMs).slice(-this.#options.entriesMax)
  }

  append(entries: readonly HistoryEntry[]): void {
    if (this.#stopping) return
    this.#waiting.push(...entries)
    this.#bound()
    this.#plan()
  }

  problems(): readonly Problem[] {
    if (this.#failure === undefined) return []
    const message = `what changed cannot be saved: ${this.#failure}. A restart will not know of it; nothing else suffers`
    return [{ code: 'history-unsaved', where: this.path, message }]
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#timer?.clear()
    this.#timer = undefined
    await this.#loading
    await this.#running
    if (this.#loaded && this.#failure === undefined && this.#waiting.length > 0) await this.#write()
  }

  // === Reading ===

  async #lines(path: string): Promise<{ lines: readonly string[]; bytes: number; torn: boolean }> {
    try {
      // Without waiting: what stands there by that name may be no file at all.
      const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        const about = await file.stat()
        if (!about.isFile()) throw new Error('it is no file')
        if (about.size > readBytesMax) throw new Error(`it has ${about.size} bytes, more than ${readBytesMax}`)
        const text = await file.readFile('utf8')
        return { lines: text.split('\n'), bytes: about.size, torn: text !== '' && !text.endsWith('\n') }
      } finally {
        await file.close()
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
        this.#options.log.warn({ file: path }, `the history in ${path} is not used: ${errorText(error)}`)
      return { lines: [], bytes: 0, torn: false }
    }
  }

  // === Writing ===

  #bound(): void {
    const { entriesMax } = this.#options
    if (this.#waiting.length > entriesMax) this.#waiting = this.#waiting.slice(-entriesMax)
  }

  #plan(): void {
    if (!this.#loaded || this.#stopping || this.#running || this.#timer || this.#waiting.length === 0) return
    const { clock } = this.#options
    const begin = (): void => {
      this.#timer = undefined
      this.#running = this.#write().then(() => {
        this.#running = undefined
        this.#notBefore = clock.now() + (this.#failure === undefined ? writeSpacingMs : retryMs)
        this.#plan()
      })
    }
    const waitMs = this.#notBefore - clock.now()
    if (waitMs <= 0) begin()
    else this.#timer = clock.setTimer(waitMs, begin)
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const { log } = this.#options
    const entries = this.#waiting
    this.#waiting = []
    const before = this.#failure
    try {
      await this.#append(entries)
      this.#failure = undefined
      if (before !== undefined) log.info({ file: this.path }, 'the history is saved again')
    } catch (error) {
      this.#failure = errorText(error)
      this.#waiting = [...entries, ...this.#waiting]
      this.#bound()
      if (before === undefined)
        log.warn({ file: this.path }, `the history cannot be saved in ${this.path}: ${this.#failure}`)
    }
  }

  async #append(entries: readonly HistoryEntry[]): Promise<void> {
    const lines = entries.map((entry) => `${encodeEntry(entry)}\n`).join('')
    const text = Buffer.from(this.#torn ? `\n${lines}` : lines)
    const { dir } = this.#options
    await mkdir(dir, { recursive: true, mode: 0o700 })
    if (this.#bytes > 0 && this.#bytes + text.length > this.#fileBytesMax) {
      await rename(this.path, join(dir, historyBefore))
      this.#bytes = 0
    }
    const file = await open(
      this.path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK,
      0o600,
    )
    try {
      // Until it is known to be whole.
      this.#torn = true
      await file.appendFile(text)
      await file.datasync()
      this.#torn = false
      this.#bytes += text.length
    } finally {
      await file.close()
    }
  }
}
