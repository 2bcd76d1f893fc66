/**
 * Keeps the last good knowledge of the catalog and of policy in a file of the state folder, for a start while the catalog is away. It
 * writes a new file beside the old one and renames it, so that a kill or a power cut leaves one or the other whole. What it
 * cannot read or write costs a line and a problem, never a start and never a request. It decides nothing of its content.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Problem } from '../core/problem.ts'
import type { Random } from '../core/random.ts'
import { inTurns, nextTurn } from '../core/turn.ts'
import type { DocumentKnowledge } from '../policy/documents/documents.ts'
import {
  decodeFile,
  encodeBody,
  encodeFile,
  type Knowledge,
  type Saved,
  type SourceKnowledge,
} from './snapshot-codec.ts'

export const snapshotFile = 'snapshot.json'
/** Between the ends of one writing and the beginning of the next. */
export const writeSpacingMs: Milliseconds = 1_000
/** After a write of policy alone. */
const alonePauseMs = 20
/** After a failure: the disk may be full for long. */
const retryMs: Milliseconds = 10_000
/** Nothing that we wrote comes near it. */
const fileBytesMax = 256 * 1024 * 1024
/** What a kill left half-written; younger ones may be another process's that is at work. */
const leftoverAgeMs: Milliseconds = 60_000

export interface SnapshotStoreOptions {
  /** Made when it is missing. */
  readonly dir: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Lets others have their turn; {@link nextTurn} by default. */
  readonly pause?: () => Promise<void>
}

export interface SnapshotStore {
  readonly path: string
  /**
   * What was saved, by source; undefined where nothing was, or nothing usable. It is read once. Never rejects. What nobody
   * has offered anew is kept in the file.
   */
  load(): Promise<Saved | undefined>
  /** Takes over what is known of the catalog; it is written at once after quiet, else within a second, and only when it differs. */
  offer(sources: readonly SourceKnowledge[]): void
  /** The same for what is known of policy: all of it, each time. */
  offerPolicies(policies: readonly DocumentKnowledge[]): void
  /** Empty, or why what is known is not saved. */
  problems(): readonly Problem[]
  /** Waits for the writing under way. Nothing is written afterwards. Idempotent. */
  stop(): Promise<void>
}

export function createSnapshotStore(options: SnapshotStoreOptions): SnapshotStore {
  return new FileStore(options)
}

class FileStore implements SnapshotStore {
  readonly path: string
  readonly #options: SnapshotStoreOptions
  /** The lines that the file has, as far as we know. */
  #written: readonly string[] | undefined
  #sources: readonly SourceKnowledge[] | undefined
  #policies: readonly DocumentKnowledge[] | undefined
  #loading: Promise<Saved | undefined> | undefined
  /** What the file has is not known yet: writing now would lose what nobody has offered anew. */
  #reading = false
  #offered = false
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #notBefore = -Infinity
  #failure: string | undefined
  #tidied = false
  #stopped = false

  constructor(options: SnapshotStoreOptions) {
    this.#options = options
    this.path = join(options.dir, snapshotFile)
  }

  load(): Promise<Saved | undefined> {
    if (this.#loading) return this.#loading
    this.#reading = true
    this.#loading = this.#load().finally(() => {
      this.#reading = false
      this.#plan()
    })
    return this.#loading
  }

  async #load(): Promise<Saved | undefined> {
    try {
      const text = await this.#read()
      if (text === undefined) return undefined
      const decoded = decodeFile(text)
      if (decoded.kind === 'good') {
        this.#sources ??= [...decoded.sources.values()]
        this.#policies ??= [...decoded.policies.values()]
        return decoded
      }
      this.#warnUnused(decoded.reason)
    } catch (error) {
      this.#warnUnused(errorText(error))
    }
    return undefined
  }

  offer(sources: readonly SourceKnowledge[]): void {
    if (this.#stopped) return
    this.#sources = sources
    this.#offered = true
    this.#plan()
  }

  offerPolicies(policies: readonly DocumentKnowledge[]): void {
    if (this.#stopped) return
    this.#policies = policies
    this.#offered = true
    this.#plan()
  }

  problems(): readonly Problem[] {
    if (this.#failure === undefined) return []
    const message =
      `what is known of catalog and policy cannot be saved: ${this.#failure}. A start while Consul is away will have an ` +
      `old snapshot or none; nothing else suffers`
    return [{ code: 'snapshot-unsaved', where: this.path, message }]
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.clear()
    await this.#running
  }

  #warnUnused(reason: string): void {
    this.#options.log.warn({ file: this.path }, `the saved snapshot ${this.path} is not used: ${reason}`)
  }

  async #read(): Promise<string | undefined> {
    let file
    try {
      // Without waiting: what stands there by that name may be no file at all.
      file = await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK)
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      const about = await file.stat()
      if (!about.isFile()) throw new Error('it is no file')
      if (about.size > fileBytesMax) throw new Error(`it has ${about.size} bytes, more than ${fileBytesMax}`)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  }

  #plan(): void {
    if (this.#stopped || this.#reading || this.#running || this.#timer || !this.#offered) return
    const { clock } = this.#options
    const waitMs = this.#notBefore - clock.now()
    if (waitMs <= 0) return this.#begin()
    this.#timer = clock.setTimer(waitMs, () => {
      this.#timer = undefined
      this.#begin()
    })
  }

  #begin(): void {
    this.#offered = false
    const knowledge: Knowledge = { sources: this.#sources ?? [], policies: this.#policies ?? [] }
    const { clock } = this.#options
    // Policy mostly answers first: the catalog, which a start needs most, must not wait for its sake.
    const spacingMs = this.#sources === undefined ? alonePauseMs : writeSpacingMs
    void (this.#running = this.#renew(knowledge).then((outcome) => {
      this.#running = undefined
      if (outcome !== 'same') this.#notBefore = clock.now() + (outcome === 'failed' ? retryMs : spacingMs)
      this.#plan()
    }))
  }

  /** Writes what differs from what is written. Never rejects. */
  async #renew(knowledge: Knowledge): Promise<'same' | 'written' | 'failed'> {
    const pause = this.#options.pause ?? nextTurn
    const body = await inTurns(encodeBody(knowledge), pause)
    if (this.#written && sameLines(body, this.#written)) return 'same'
    try {
      await this.#save(await inTurns(encodeFile(knowledge, body), pause))
      this.#ended(body, undefined)
      return 'written'
    } catch (error) {
      this.#ended(body, errorText(error))
      return 'failed'
    }
  }

  #ended(body: readonly string[], failure: string | undefined): void {
    const { log } = this.#options
    const before = this.#failure
    this.#failure = failure
    if (failure === undefined) {
      this.#written = body
      if (before !== undefined) log.info({ file: this.path }, `what is known of the catalog is saved again`)
      return
    }
    // Whatever is the newest by then is tried again.
    this.#offered = true
    if (before === undefined)
      log.warn({ file: this.path }, `what is known of the catalog cannot be saved in ${this.path}: ${failure}`)
  }

  async #save(pieces: readonly Buffer[]): Promise<void> {
    const { dir, random } = this.#options
    await mkdir(dir, { recursive: true, mode: 0o700 })
    if (!this.#tidied) await this.#removeLeftovers()
    this.#tidied = true
    const mark = Math.floor(random() * 0x1_0000_0000).toString(16)
    const aside = `${this.path}.${mark}.tmp`
    try {
      // Registrations may carry secrets in their meta.
      const file = await open(aside, 'wx', 0o600)
      try {
        await file.writeFile(pieces)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(aside, this.path)
    } catch (error) {
      await rm(aside, { force: true }).catch(() => {})
      throw error
    }
    const folder = await open(dir, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  async #removeLeftovers(): Promise<void> {
    const { dir, clock } = this.#options
    for (const name of await readdir(dir)) {
      if (!name.startsWith(`${snapshotFile}.`) || !name.endsWith('.tmp')) continue
      const path = join(dir, name)
      try {
        if (clock.wall() - (await stat(path)).mtimeMs > leftoverAgeMs) await rm(path, { force: true })
      } catch {
        // Somebody else removed or renamed it.
      }
    }
  }
}

/** Lines that did not change are the same strings, which costs no look at what they hold. */
function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i])
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
