/**
 * Tells when the content of a file has changed, however it came to: written in place, renamed over by an editor, swapped
 * behind a symlink as mounted configs do, gone for a while. It watches the folders of every link on the way and, since
 * such watches are known to miss things (network and overlay mounts), looks by itself now and then. It judges no content.
 */
import { constants, watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { lstat, open, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'

export interface WatchFileDeps {
  readonly clock: Clock
  readonly log: Logger
}

export interface WatchFileOptions {
  /** Text that is known already; only another is told. Undefined: the first that can be read is told too. */
  readonly known?: string | undefined
  /** Quiet time after an event before the file is read, so that a writer can finish; default 50 ms. */
  readonly settleMs?: Milliseconds
  /** How often it is looked at without an event; default 5 s. */
  readonly pollMs?: Milliseconds
  /** Largest file that is read, bytes; a larger one counts as unreadable. Default 16 MiB. */
  readonly bytesMax?: number
  /** Told when the file cannot be read, once per reason; again after it could be read in between. */
  readonly onUnreadable?: (reason: string) => void
  /** Told after every read that succeeded, after `onChange` where the text had changed. */
  readonly onRead?: () => void
}

export interface FileWatch {
  /** Looks now; resolves when what was found has been told. */
  check(): Promise<void>
  /** Ends every watch and timer; nothing is told afterwards. Idempotent. */
  close(): void
}

/** Calls `onChange` with the whole text whenever it differs from what was told (or known) before. */
export function watchFile(
  path: string,
  deps: WatchFileDeps,
  onChange: (text: string) => void,
  options: WatchFileOptions = {},
): FileWatch {
  return new Watch(resolve(path), deps, onChange, options)
}

class Watch implements FileWatch {
  readonly #path: string
  readonly #deps: WatchFileDeps
  readonly #onChange: (text: string) => void
  readonly #options: WatchFileOptions
  readonly #folders = new Map<string, { readonly mark: string; readonly watcher: FSWatcher }>()
  #text: string | undefined
  #unreadable = ''
  #settle: Timer | undefined
  #firstEventMs: Milliseconds | undefined
  #poll: Timer | undefined
  #busy: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(path: string, deps: WatchFileDeps, onChange: (text: string) => void, options: WatchFileOptions) {
    this.#path = path
    this.#deps = deps
    this.#onChange = onChange
    this.#options = options
    this.#text = options.known
    void this.check()
  }

  check(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    // One look at a time; an event during a look means that its result may be old already.
    if (this.#busy) this.#again = true
    else this.#busy = this.#lookUntilQuiet()
    return this.#busy
  }

  close(): void {
    this.#closed = true
    this.#settle?.clear()
    this.#poll?.clear()
    for (const { watcher } of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  async #lookUntilQuiet(): Promise<void> {
    this.#poll?.clear()
    do {
      this.#again = false
      // The watches stand before the file is read, so that no change falls between the two.
      this.#watchFolders(await foldersOf(this.#path))
      await this.#read()
    } while (this.#again && !this.#closed)
    this.#busy = undefined
    if (!this.#closed) this.#poll = this.#deps.clock.setTimer(this.#options.pollMs ?? 5_000, () => void this.check())
  }

  async #read(): Promise<void> {
    let text: string
    try {
      text = await readText(this.#path, this.#options.bytesMax ?? 16 * 2 ** 20)
    } catch (error) {
      const reason = errorText(error)
      if (this.#closed || reason === this.#unreadable) return
      this.#unreadable = reason
      this.#tell(() => this.#options.onUnreadable?.(reason))
      return
    }
    this.#unreadable = ''
    if (this.#closed) return
    if (text !== this.#text) {
      this.#text = text
      this.#tell(() => this.#onChange(text))
    }
    this.#tell(() => this.#options.onRead?.())
  }

  /** A listener that throws must not end the watch. */
  #tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#deps.log.error({ path: this.#path, error: errorText(error) }, 'what watches this file failed')
    }
  }

  #watchFolders(folders: ReadonlyMap<string, string>): void {
    for (const [folder, { mark, watcher }] of this.#folders)
      if (folders.get(folder) !== mark) {
        watcher.close()
        this.#folders.delete(folder)
      }
    if (this.#closed) return
    for (const [folder, mark] of folders) if (!this.#folders.has(folder)) this.#watchFolder(folder, mark)
  }

  #watchFolder(folder: string, mark: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#soon())
      watcher.on('error', () => {
        watcher.close()
        if (this.#folders.get(folder)?.watcher === watcher) this.#folders.delete(folder)
      })
      this.#folders.set(folder, { mark, watcher })
    } catch (error) {
      // Not there yet, or the system has no watches left: the poll sees the change, only later.
      this.#deps.log.debug({ folder, error: errorText(error) }, 'this folder cannot be watched; the file is polled')
    }
  }

  /** Every event starts the quiet time anew, but a file that is written without end is read all the same. */
  #soon(): void {
    if (this.#closed) return
    const { clock } = this.#deps
    const settleMs = this.#options.settleMs ?? 50
    this.#firstEventMs ??= clock.now()
    if (this.#settle && clock.now() - this.#firstEventMs > settleMs * 10) return
    this.#settle?.clear()
    this.#settle = clock.setTimer(settleMs, () => {
      this.#settle = undefined
      this.#firstEventMs = undefined
      void this.check()
    })
  }
}

/**
 * The folders in which a change can give `path` another content: its own and those of every link it leads through. A
 * folder that is itself reached by a link counts by where that link stands (`..data` of a mounted config).
 */
async function foldersOf(path: string): Promise<ReadonlyMap<string, string>> {
  const folders = new Set<string>()
  const queue = [path]
  const seen = new Set<string>()
  for (let next = queue.pop(); next !== undefined && seen.size < 64; next = queue.pop()) {
    if (seen.has(next) || next === dirname(next)) continue
    seen.add(next)
    const link = await linkTarget(next)
    if (link !== undefined) queue.push(resolve(dirname(next), link))
    if (link !== undefined || next === path) folders.add(dirname(next))
    queue.push(dirname(next))
  }
  // The real file's own folder, where an in-place write shows.
  const real = await realpath(path).catch(() => undefined)
  if (real !== undefined) folders.add(dirname(real))
  const marked = new Map<string, string>()
  for (const folder of folders) marked.set(folder, await markOf(folder))
  return marked
}

/** Another mark under the same name is another folder, of which an old watch would never hear. */
async function markOf(folder: string): Promise<string> {
  const info = await stat(folder).catch(() => undefined)
  return info ? `${String(info.dev)}:${String(info.ino)}` : ''
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined
  } catch {
    return undefined
  }
}

/** Reads at most `bytesMax`, and nothing but a regular file: a pipe would never end. */
async function readText(path: string, bytesMax: number): Promise<string> {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const info = await file.stat()
    if (!info.isFile()) throw new Error(`${path} is not a regular file`)
    if (info.size > bytesMax) throw new Error(`${path} is larger than ${String(bytesMax)} bytes`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
