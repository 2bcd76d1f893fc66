/**
 * Finds an answer's head in what connections read, over as many reads as it takes, and reads it. It knows no connection: what is
 * there of an unfinished head is its caller's to keep. Source: RFC 9112 sections 2 to 5.
 */
import type { WireLimits } from './limits.ts'
import { parseResponseHead, type ResponseHead } from './response-head.ts'
import { Refusal } from './syntax.ts'

/** A read of at most this many bytes is decoded whole: head and body in one string. */
const wholeReadBytes = 8_192

/** What one read brought; reads are synchronous, so one is enough for all connections. */
export class HeadRead {
  /** An unfinished head, '' with a complete one. */
  partial = ''
  /** The head, and what was decoded of the body with it, from `textBody` on. */
  text = ''
  textBody = 0
  /** Where in the buffer the body begins. */
  bodyFrom = 0

  /** Undefined: the head is not complete, and `partial` is to be given with the next read. */
  take(
    buffer: Buffer,
    from: number,
    bytes: number,
    partial: string,
    isHead: boolean,
    limits: WireLimits,
  ): ResponseHead | Refusal | undefined {
    const before = partial.length
    let stop = bytes
    if (bytes - from > wholeReadBytes) {
      const found = buffer.subarray(from, bytes).indexOf('\r\n\r\n', 0, 'latin1')
      if (found >= 0) stop = from + found + 4
    }
    const text = partial + buffer.toString('latin1', from, stop)
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3))
    if (end < 0) return this.#keep(text, limits)
    if (end + 4 > limits.headBytes) return bad('head-bytes')
    this.partial = ''
    this.text = text
    this.textBody = end + 4
    this.bodyFrom = from + end + 4 - before
    return parseResponseHead(text, 0, end, isHead, limits)
  }

  #keep(text: string, limits: WireLimits): Refusal | undefined {
    if (text.length > limits.headBytes) return bad('head-bytes')
    if (!text.startsWith('HTTP/1.'.slice(0, text.length))) return bad('status-line')
    if (/[^\r]\n|\r[^\n]/.test(text)) return bad('line-end')
    this.partial = text
    return undefined
  }
}

const bad = (rule: string): Refusal => new Refusal(502, rule)
