/**
 * Who may use the API: named tokens from files that are read again when they change, or, where none are configured, whoever
 * reaches a loopback address or Unix socket. It keeps digests only, logs no token, and slows down who guesses.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { AdminToken } from '../config/config.ts'
import type { Clock, Milliseconds } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import { fileErrorText } from '../core/file-error.ts'
import type { Logger } from '../core/log.ts'

export interface Caller {
  readonly name: string
  readonly role: AdminToken['role']
}

export interface Denial {
  readonly status: 401 | 429
  readonly reason: string
}

/** Tokens that have been read and found good; opaque. */
export type LoadedTokens = readonly TokenFile[]

export interface Access {
  /** Reads the tokens' files. Rejects with FL_CONFIG, naming the token and its file, never what is in it. */
  load(tokens: readonly AdminToken[]): Promise<LoadedTokens>
  /** From now on these count, and no others. */
  use(tokens: LoadedTokens): void
  /** Who asks. `authorization`: the header; `peer`: the address; `local`: it came by loopback or a Unix socket. */
  check(authorization: string | undefined, peer: string, local: boolean): Promise<Caller | Denial>
}

const tokenBitsMin = 128
const fileBytesMax = 4_096
/** Files are looked at when somebody asks, but not more often than this, ms. */
const lookEveryMs = 250
/** So many wrong tokens of one peer within that time; then it is not listened to until the time is over. */
const failuresMax = 10
const failuresWithinMs = 10_000
const peersMax = 1_024

export function createAccess(deps: { readonly clock: Pick<Clock, 'now'>; readonly log: Logger }): Access {
  return new TokenAccess(deps.clock, deps.log)
}

class TokenAccess implements Access {
  readonly #clock: Pick<Clock, 'now'>
  readonly #log: Logger
  readonly #failures = new Map<string, { count: number; readonly sinceMs: Milliseconds }>()
  #tokens: LoadedTokens = []
  #lookedMs = -Infinity
  #looking: Promise<unknown> = Promise.resolve()

  constructor(clock: Pick<Clock, 'now'>, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  async load(tokens: readonly AdminToken[]): Promise<LoadedTokens> {
    const { loaded, faults } = await readTokens(tokens)
    const [fault] = faults
    if (fault) throw new FairleadError('FL_CONFIG', fault.message)
    return loaded
  }

  use(tokens: LoadedTokens): void {
    this.#tokens = tokens
    this.#lookedMs = -Infinity
  }

  async check(authorization: string | undefined, peer: string, local: boolean): Promise<Caller | Denial> {
    if (this.#tokens.length === 0) {
      if (local) return { name: 'local', role: 'operate' }
      return { status: 401, reason: 'There are no tokens yet, and without one nobody is let in here.' }
    }
    if (authorization === undefined) {
      return { status: 401, reason: 'A token is needed: Authorization: Bearer …' }
    }
    if (this.#isGuessing(peer)) return { status: 429, reason: 'Too many wrong tokens came from there; wait a little.' }
    await this.#look()
    const presented = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1]
    // No token is so short as to be nothing.
    const digest = digestOf(presented ?? '')
    let found: TokenFile | undefined
    // All of them, whichever it is: how long this takes tells nothing.
    for (const token of this.#tokens) if (token.matches(digest)) found ??= token
    if (found) return { name: found.name, role: found.role }
    this.#failed(peer)
    this.#log.warn({ peer }, 'a token was refused on the admin address')
    return { status: 401, reason: 'This token is not known here.' }
  }

  #look(): Promise<unknown> {
    const nowMs = this.#clock.now()
    if (nowMs - this.#lookedMs >= lookEveryMs) {
      this.#lookedMs = nowMs
      this.#looking = Promise.all(this.#tokens.map((token) => this.#lookAt(token)))
    }
    return this.#looking
  }

  async #lookAt(token: TokenFile): Promise<void> {
    const before = token.problem
    await token.look()
    const { name, file, problem } = token
    if (problem === before) return
    if (problem === undefined) this.#log.info({ name, file }, 'the token can be used again')
    else this.#log.error({ name, file, problem }, 'the token cannot be used and is refused from now on')
  }

  #isGuessing(peer: string): boolean {
    const known = this.#failures.get(peer)
    if (!known) return false
    if (this.#clock.now() - known.sinceMs < failuresWithinMs) return known.count >= failuresMax
    this.#failures.delete(peer)
    return false
  }

  #failed(peer: string): void {
    const known = this.#failures.get(peer)
    if (known) {
      known.count++
      return
    }
    this.#failures.set(peer, { count: 1, sinceMs: this.#clock.now() })
    if (this.#failures.size <= peersMax) return
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest)
      return
    }
  }
}

/** The tokens, and what is wrong with those that cannot be used, in order; never what is in a file. */
export async function readTokens(tokens: readonly AdminToken[]): Promise<{
  readonly loaded: LoadedTokens
  readonly faults: readonly { readonly file: string; readonly message: string }[]
}> {
  const loaded = tokens.map((token) => new TokenFile(token))
  await Promise.all(loaded.map((token) => token.look()))
  const faults = loaded.flatMap((token, index) => {
    const { name, file } = token
    const twin = loaded.slice(0, index).find((other) => other.isSame(token))
    const problem = token.problem ?? (twin && `it is the token of ${twin.name}, too`)
    return problem === undefined ? [] : [{ file, message: `The token of ${name} (${file}) cannot be used: ${problem}` }]
  })
  return { loaded, faults }
}

/** One token, as its file has it. */
class TokenFile {
  readonly name: string
  readonly file: string
  readonly role: AdminToken['role']
  /** Why it cannot be used; undefined: it can. */
  problem: string | undefined = 'it was not read yet'
  #mark = ''
  #digest: Buffer = nobody

  constructor({ name, file, role }: AdminToken) {
    this.name = name
    this.file = file
    this.role = role
  }

  matches(digest: Buffer): boolean {
    return timingSafeEqual(this.#digest, digest)
  }

  isSame(other: TokenFile): boolean {
    return this.problem === undefined && other.problem === undefined && this.#digest.equals(other.#digest)
  }

  /** Reads the file if it changed. What cannot be read or used is no token any more: taking the file away revokes it. */
  async look(): Promise<void> {
    try {
      const info = await stat(this.file)
      const mark = `${String(info.ino)} ${String(info.mtimeMs)} ${String(info.ctimeMs)} ${String(info.size)}`
      if (mark === this.#mark) return
      if (!info.isFile() || info.size > fileBytesMax)
        this.#set(undefined, `it is no file of ${fileBytesMax} bytes at most`)
      else {
        const token = (await readFile(this.file, 'utf8')).trim()
        this.#set(token, weaknessOf(token))
      }
      this.#mark = mark
    } catch (error) {
      this.#mark = ''
      this.#set(undefined, fileErrorText(error, this.file))
    }
  }

  #set(token: string | undefined, problem: string | undefined): void {
    this.problem = problem
    this.#digest = problem === undefined && token !== undefined ? digestOf(token) : nobody
  }
}

/** No digest is this one. */
const nobody = Buffer.alloc(32)

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Why a token could be guessed or sent by nobody; undefined: it is good. What it says must not tell the token. */
function weaknessOf(token: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(token)) return 'it has characters that no header can carry; it stands alone on one line'
  // At most this much chance is in a character of such a kind.
  const bits = /^[0-9]*$/.test(token) ? 3.32 : /^(?:[0-9a-f]*|[0-9A-F]*)$/.test(token) ? 4 : 6
  const enough = token.length * bits >= tokenBitsMin && new Set(token).size >= 6
  return enough
    ? undefined
    : `it needs at least ${tokenBitsMin} bits of chance: 32 hexadecimal digits, or 22 letters and digits`
}
