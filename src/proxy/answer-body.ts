/**
 * An answer's bytes to the client: its head, its body in the framing the head announced, its end. What one read of the
 * upstream brought leaves in one write where it can. It keeps text from `begin` or a small piece until `flush`, which
 * follows every read; what is kept is bounded by what a read brings.
 */
import { chunkHeader, lastChunk } from '../wire/chunked.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import { delivery, type Delivery } from './answer-head.ts'

/** Pieces at most this long are joined to text; longer ones are copied once. */
const smallBytes = 4_096

export class AnswerBody {
  readonly #client: ServerConnection
  #chunked = false
  #pending = ''

  constructor(client: ServerConnection) {
    this.#client = client
  }

  begin(head: string, how: Delivery): void {
    this.#pending = head
    this.#chunked = how === delivery.chunked
  }

  /** `bytes` are lent. False: wait until the client has taken what was written. */
  add(bytes: Buffer): boolean {
    const { length } = bytes
    if (length > smallBytes) {
      const before = this.#chunked ? this.#pending + chunkHeader(length) : this.#pending
      this.#pending = ''
      return this.#client.writeLent(before, bytes, this.#chunked ? '\r\n' : '')
    }
    const text = bytes.toString('latin1')
    this.#pending += this.#chunked ? chunkHeader(length) + text + '\r\n' : text
    return true
  }

  /** Writes what is kept. False: wait until the client has taken it. */
  flush(): boolean {
    if (this.#pending === '') return true
    const text = this.#pending
    this.#pending = ''
    return this.#client.write(text)
  }

  /** The body is complete; trailers are well-formed lines or ''. */
  end(trailers: string): void {
    if (this.#chunked) this.#pending += lastChunk(trailers)
    this.flush()
  }
}
