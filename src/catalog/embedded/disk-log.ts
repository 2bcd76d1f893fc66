/**
 * Keeps commits in a directory: one file `catalog-N.log` that is appended to, replaced by `catalog-N+1.log` at every start
 * and whenever it has outgrown its snapshot.
 *
 * - A commit is in the system's hands before memory changes (survives kill -9) and on the disk (`fdatasync`, many commits
 *   at once) before it is acknowledged (survives a power cut).
 * - A new file is written aside, synced, and given its name by `link`, which fails if that name exists. So each file has
 *   one writer, and there is no lock to repair: of two processes on one directory the later start takes over, and the
 *   earlier one sees the next file after its very next write and refuses it, and every other, from then on. The later
 *   one reads the earlier's file once more after taking the name, so what the earlier acknowledged is never lost.
 */
import * as fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { errorText, FairleadError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import { encodeLine, LOG_FORMAT, parseLog, parseTail, type ParsedLog } from './log-format.ts'
import type { Commit } from './records.ts'
import { CatalogState, dump } from './state.ts'
import type { Log } from './store.ts'
import { uuid } from './uuid.ts'

const fdatasync = promisify(fs.fdatasync)
const fsync = promisify(fs.fsync)

/** A log is rewritten when it has grown by this much and by as much as its snapshot. */
const GROWTH_BYTES_MIN = 1_048_576
const TAKE_OVER_ATTEMPTS = 20

export interface DiskLogOptions {
  readonly dir: string
  /** The least index to go on from, usually the wall clock in ms. */
  readonly indexFloor: number
  /** Growth after which the log is rewritten; default 1 MiB. */
  readonly growthBytesMin?: number
  readonly random: Random
  readonly log: Logger
}

/** Reads what is there, takes the directory over, and returns the state with the log that keeps it. Throws FL_STORE. */
export function openDiskLog(options: DiskLogOptions): { state: CatalogState; disk: DiskLog } {
  try {
    fs.mkdirSync(options.dir, { recursive: true, mode: 0o700 })
    for (let attempt = 0; attempt < TAKE_OVER_ATTEMPTS; attempt++) {
      const opened = takeOver(options)
      if (opened) return opened
    }
  } catch (error) {
    if (error instanceof FairleadError) throw error
    throw new FairleadError('FL_STORE', `the state directory ${options.dir} cannot be used: ${errorText(error)}`, {
      cause: error,
    })
  }
  throw new FairleadError('FL_STORE', `other processes keep taking over the state directory ${options.dir}`)
}

/** Undefined if another process was faster. */
function takeOver(options: DiskLogOptions): { state: CatalogState; disk: DiskLog } | undefined {
  const { dir, log } = options
  const current = newest(dir)
  const oldFd = current === 0 ? undefined : openIfThere(fileOf(dir, current))
  if (current !== 0 && oldFd === undefined) return undefined
  try {
    const name = fileOf(dir, current)
    const parsed = oldFd === undefined ? undefined : parseLog(fs.readFileSync(oldFd), name)
    const state = load(parsed)
    state.raise(Math.max(state.index + 1, options.indexFloor, 1))
    const written = writeSnapshot(dir, state, options.random)
    if (!publish(written.path, fileOf(dir, current + 1))) {
      fs.closeSync(written.fd)
      return undefined
    }
    const disk = new DiskLog(options, state, { ...written, generation: current + 1 })
    if (oldFd !== undefined && parsed) catchUp(state, disk, oldFd, parsed, name, log)
    syncDirectory(dir)
    clean(dir, current + 1)
    return { state, disk }
  } finally {
    if (oldFd !== undefined) fs.closeSync(oldFd)
  }
}

function load(parsed: ParsedLog | undefined): CatalogState {
  const state = new CatalogState(parsed?.header.index ?? 0)
  if (!parsed) return state
  state.apply({ index: parsed.header.index, changes: parsed.snapshot })
  for (const commit of parsed.commits) state.apply(commit)
  return state
}

/** What an earlier owner, still alive, wrote and acknowledged between our reading and our taking the name. */
function catchUp(state: CatalogState, disk: DiskLog, fd: number, parsed: ParsedLog, name: string, log: Logger): void {
  const bytes = Buffer.alloc(fs.fstatSync(fd).size)
  fs.readSync(fd, bytes, 0, bytes.length, 0)
  const late = parseTail(bytes, name, parsed.goodBytes)
  for (const { changes } of late) {
    const commit: Commit = { index: state.index + 1, changes }
    disk.append(commit)
    state.apply(commit)
  }
  if (late.length === 0 && parsed.tornBytes > 0)
    log.warn(
      { file: name, at: parsed.goodBytes, bytes: parsed.tornBytes },
      'the last record of the catalog log was torn and is cut off; nothing before it is lost',
    )
}

export class DiskLog implements Log {
  readonly #options: DiskLogOptions
  readonly #state: CatalogState
  #fd: number
  #generation: number
  #snapshotBytes: number
  #bytes: number
  /** The file that will replace this one, while it is being synced: gets every commit too. */
  #next: { fd: number; path: string; bytes: number } | undefined
  #written = 0
  #synced = 0
  #cycle: Promise<void> | undefined
  #compaction: Promise<void> | undefined
  #broken: FairleadError | undefined
  #closed = false

  constructor(
    options: DiskLogOptions,
    state: CatalogState,
    file: { readonly fd: number; readonly bytes: number; readonly generation: number },
  ) {
    this.#options = options
    this.#state = state
    this.#fd = file.fd
    this.#generation = file.generation
    this.#snapshotBytes = this.#bytes = file.bytes
  }

  append(commit: Commit): void {
    if (this.#broken) throw this.#broken
    const line = Buffer.from(encodeLine(commit))
    this.#write(line)
    this.#refuseIfTakenOver()
    this.#bytes += line.length
    this.#written++
    this.#writeNext(line)
    // Nobody may be waiting for this one (a check's verdict): it goes to the disk all the same.
    this.flushed().catch(() => {})
  }

  async flushed(): Promise<void> {
    const target = this.#written
    while (this.#synced < target) {
      if (this.#broken) throw this.#broken
      this.#cycle ??= this.#sync()
      await this.#cycle
    }
    this.#compactIfGrown()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.flushed().catch(() => {})
    await this.#compaction
    this.#broken ??= new FairleadError('FL_STORE', 'the catalog log is closed')
    fs.closeSync(this.#fd)
  }

  #write(line: Buffer): void {
    try {
      writeAll(this.#fd, line)
    } catch (error) {
      // Half a line may be there: take it back, or nothing more may follow it.
      try {
        fs.ftruncateSync(this.#fd, this.#bytes)
      } catch {
        this.#break(`a write failed midway: ${errorText(error)}`, error)
      }
      throw new FairleadError('FL_STORE', `the catalog log cannot be written: ${errorText(error)}`, { cause: error })
    }
  }

  /** A failure here only costs the rewriting: the commit itself is written. */
  #writeNext(line: Buffer): void {
    if (!this.#next) return
    try {
      writeAll(this.#next.fd, line)
      this.#next.bytes += line.length
    } catch {
      this.#next = undefined
    }
  }

  /** After the write, so that whoever took over before it is seen, and whoever takes over after it reads it. */
  #refuseIfTakenOver(): void {
    const { dir } = this.#options
    if (fs.existsSync(fileOf(dir, this.#generation + 1)))
      throw this.#break(`another process has taken over the state directory ${dir}`)
    if (fs.fstatSync(this.#fd).nlink === 0)
      throw this.#break(`the catalog's file in ${dir} is gone: removed, or taken over by another process`)
  }

  #break(why: string, cause?: unknown): FairleadError {
    this.#broken = new FairleadError('FL_STORE', why, { cause })
    this.#options.log.error({ dir: this.#options.dir }, `the catalog accepts no more changes: ${why}`)
    return this.#broken
  }

  async #sync(): Promise<void> {
    const target = this.#written
    try {
      await fdatasync(this.#fd)
      this.#synced = target
    } catch (error) {
      // What an fsync lost is lost for good on most systems, so nothing after it can be promised.
      this.#break(`the disk refused a sync: ${errorText(error)}`, error)
    } finally {
      this.#cycle = undefined
    }
  }

  #compactIfGrown(): void {
    const grown = this.#bytes - this.#snapshotBytes
    if (this.#closed || this.#broken || this.#compaction) return
    if (grown < Math.max(this.#options.growthBytesMin ?? GROWTH_BYTES_MIN, this.#snapshotBytes)) return
    this.#compaction = this.#compact()
      .catch((error: unknown) => {
        this.#options.log.error(
          { error: errorText(error) },
          'the catalog log could not be rewritten; it goes on growing',
        )
      })
      .finally(() => (this.#compaction = undefined))
  }

  /** Requests go on meanwhile: what they commit goes to both files, and the slow sync of the new one is not waited for. */
  async #compact(): Promise<void> {
    const { dir, random } = this.#options
    const next = (this.#next = createSnapshot(dir, this.#state, random))
    const snapshotBytes = next.bytes
    let unused: number = next.fd
    try {
      await fsync(next.fd)
      while (this.#cycle) await this.#cycle
      if (this.#broken) return
      if (this.#next !== next) throw new FairleadError('FL_STORE', 'the new file could not take the latest commits')
      fs.fdatasyncSync(next.fd)
      if (!publish(next.path, fileOf(dir, this.#generation + 1))) {
        this.#break(`another process has taken over the state directory ${dir}`)
        return
      }
      unused = this.#fd
      this.#fd = next.fd
      this.#generation++
      this.#snapshotBytes = snapshotBytes
      this.#bytes = next.bytes
    } finally {
      this.#next = undefined
      fs.closeSync(unused)
      fs.rmSync(next.path, { force: true })
    }
    syncDirectory(dir)
    clean(dir, this.#generation)
  }
}

function createSnapshot(dir: string, state: CatalogState, random: Random): { fd: number; path: string; bytes: number } {
  const path = join(dir, `catalog.tmp-${uuid(random)}`)
  const fd = fs.openSync(path, 'wx', 0o600)
  const changes = [...dump(state)]
  const header = encodeLine({ format: LOG_FORMAT, changes: changes.length, index: state.index })
  const bytes = Buffer.from([header, ...changes.map(encodeLine)].join(''))
  writeAll(fd, bytes)
  return { fd, path, bytes: bytes.length }
}

function writeSnapshot(dir: string, state: CatalogState, random: Random): { fd: number; path: string; bytes: number } {
  const written = createSnapshot(dir, state, random)
  fs.fsyncSync(written.fd)
  return written
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += fs.writeSync(fd, bytes, done)
}

/** Gives the file its name; false if the name is taken, or the file was cleaned away by whoever took it. */
function publish(path: string, name: string): boolean {
  try {
    fs.linkSync(path, name)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST') || isCode(error, 'ENOENT')) return false
    throw error
  } finally {
    fs.rmSync(path, { force: true })
  }
}

function fileOf(dir: string, generation: number): string {
  return join(dir, `catalog-${String(generation)}.log`)
}

function generationOf(file: string): number {
  return Number(/^catalog-(\d+)\.log$/.exec(file)?.[1] ?? 0)
}

function newest(dir: string): number {
  return Math.max(0, ...fs.readdirSync(dir).map(generationOf))
}

function openIfThere(path: string): number | undefined {
  try {
    return fs.openSync(path, 'r')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Removes older files, the oldest first (its owner tells by it), and what a crash left half-written. */
function clean(dir: string, generation: number): void {
  const files = fs.readdirSync(dir).filter((file) => file.startsWith('catalog.tmp-') || isOlder(file, generation))
  for (const file of files.sort((a, b) => generationOf(a) - generationOf(b)))
    fs.rmSync(join(dir, file), { force: true })
}

function isOlder(file: string, generation: number): boolean {
  const own = generationOf(file)
  return own > 0 && own < generation
}

function syncDirectory(dir: string): void {
  const fd = fs.openSync(dir, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
