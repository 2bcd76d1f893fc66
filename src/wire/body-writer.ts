/**
 * A message's bytes to a connection: its head, its body in the framing the head announced, its end. What one read of the
 * other side brought leaves in one write where it can. It keeps text from `begin` or a small piece until `flush`, which
 * follows every read; what is kept is bounded by what a read brings.
 */
import { chunkHeader, lastChunk } from './chunked.ts'

/** A connection to write to; false: wait until it has taken what was written. */
export interface BodySink {
  /** Text of latin1. */
  write(text: string): boolean
  /** Bytes that are lent for the call, between two texts. */
  writeLent(before: string, bytes: Buffer, after: string): boolean
}

/** Pieces at most this long are joined to text; longer ones are copied once. */
const smallBytes = 1_024

export class BodyWriter {
  readonly #sink: BodySink
  #chunked = false
  #pending = ''

  constructor(sink: BodySink) {
    this.#sink = sink
  }

  begin(head: string, chunked: boolean): void {
    this.#pending = head
    this.#chunked = chunked
  }

  /** `bytes` are lent. False: wait until the other side has taken what was written. */
  add(bytes: Buffer): boolean {
    const { length } = bytes
    if (length > smallBytes) {
      const before = this.#chunked ? this.#pending + chunkHeader(length) : this.#pending
      this.#pending = ''
      return this.#sink.writeLent(before, bytes, this.#chunked ? '\r\n' : '')
    }
    const text = bytes.toString('latin1')
    this.#pending += this.#chunked ? chunkHeader(length) + text + '\r\n' : text
    return true
  }

  /** Writes what is kept. False: wait until the other side has taken it. */
  flush(): boolean {
    if (this.#pending === '') return true
    const text = this.#pending
    this.#pending = ''
    return this.#sink.write(text)
  }

  /** The body is complete; trailers are well-formed lines or ''. */
  end(trailers: string): void {
    if (this.#chunked) this.#pending += lastChunk(trailers)
    this.flush()
  }
}
