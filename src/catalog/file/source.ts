/**
 * The catalog source that reads a file of Consul service definitions and watches it. A file that cannot be read or is
 * not YAML keeps the last good snapshot; a definition that is wrong costs only itself. Asks nobody whether anything lives.
 */
import { watchFile } from '../../config/watch-file.ts'
import type { FileWatch } from '../../config/watch-file.ts'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Problem } from '../../core/problem.ts'
import type { Instance, Snapshot } from '../snapshot.ts'
import type { CatalogSource, Interest, SourceListener, SourceState } from '../source.ts'
import { nextSnapshot } from './next-snapshot.ts'
import { parseDefinitions } from './parse-definitions.ts'

export interface FileSourceOptions {
  /** Unique among the sources. */
  readonly name: string
  readonly path: string
}

export interface FileSourceDeps {
  readonly clock: Clock
  readonly log: Logger
}

interface Readable {
  readonly instances: readonly Instance[]
  readonly problems: readonly Problem[]
}

/** Publishes every service of the file, whatever the interest; services of interest that it lacks have no instance. */
export function createFileSource(options: FileSourceOptions, deps: FileSourceDeps): CatalogSource {
  return new FileSource(options, deps)
}

class FileSource implements CatalogSource {
  readonly name: string
  readonly #path: string
  readonly #deps: FileSourceDeps
  #names: ReadonlySet<string> = new Set()
  #listener: SourceListener | undefined
  #watch: FileWatch | undefined
  /** What the last good text said; undefined before the first. */
  #read: Readable | undefined
  #snapshot: Snapshot | undefined
  /** Why the text at hand cannot be used; '' when it can. */
  #broken = ''
  #told = ''
  #lastSuccessMs: number | undefined

  constructor(options: FileSourceOptions, deps: FileSourceDeps) {
    this.name = options.name
    this.#path = options.path
    this.#deps = deps
  }

  start(listener: SourceListener): void {
    this.#listener = listener
    // The first look ends at once, in `current` or in `waiting` with its reason; until then there is nothing to say.
    this.#watch = watchFile(this.#path, this.#deps, (text) => this.#parse(text), {
      onUnreadable: (reason) => this.#fail(`${this.#path} cannot be read: ${reason}`),
      onRead: () => this.#looked(),
    })
  }

  setInterest(interest: Interest): void {
    this.#names = interest.names
    if (this.#read) this.#publish(this.#read)
  }

  lastSuccessMs(): number | undefined {
    return this.#lastSuccessMs
  }

  stop(): Promise<void> {
    this.#listener = undefined
    this.#watch?.close()
    return Promise.resolve()
  }

  #parse(text: string): void {
    const parsed = parseDefinitions(text, { source: this.name, fileName: this.#path })
    this.#broken = parsed.broken ?? ''
    if (parsed.broken !== undefined) return
    this.#read = parsed
    this.#publish(parsed)
  }

  /** After every read of the file, changed or not. */
  #looked(): void {
    if (this.#broken !== '') return this.#fail(this.#broken)
    this.#lastSuccessMs = this.#deps.clock.now()
    this.#tell('current')
  }

  #publish({ instances, problems }: Readable): void {
    const snapshot = nextSnapshot(this.#snapshot, instances, this.#names, problems)
    if (snapshot === this.#snapshot) return
    this.#snapshot = snapshot
    this.#listener?.onSnapshot(snapshot)
  }

  #fail(reason: string): void {
    this.#tell(this.#snapshot ? 'stale' : 'waiting', reason)
  }

  /** Told once, until something about it changes. */
  #tell(kind: SourceState['kind'], reason = ''): void {
    const told = `${kind} ${reason}`
    if (told === this.#told) return
    this.#told = told
    const state: SourceState =
      kind === 'current' ? { kind } : kind === 'waiting' ? { kind, reason } : { kind, reason, cause: 'unusable' }
    this.#listener?.onState(state)
  }
}
