/**
 * Chunked transfer coding, decoded strictly and re-encoded by ourselves: sizes, extensions and trailers are never passed
 * through raw. Works on any segmentation. Source: RFC 9112 section 7.1; limits after CVE-2024-22019 and its relatives.
 */
import type { WireLimits } from './limits.ts'
import { isUnderscoreTwin, mayTrail } from './names.ts'
import { Refusal, isFieldSection } from './syntax.ts'

/** Takes the decoded bytes. The slice is lent: copy what must outlive the call. */
export interface ChunkSink {
  onChunk(bytes: Buffer): void
}

const state = { size: 0, extension: 1, sizeLf: 2, data: 3, dataCr: 4, dataLf: 5, trailer: 6, done: 7 } as const
type State = (typeof state)[keyof typeof state]

/** `;name`, `;name=token` or `;name="quoted"`, any number of them, with bad white space where the grammar has it. */
const EXTENSIONS =
  /^(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/

export class ChunkedDecoder {
  readonly #limits: WireLimits
  #state: State = state.size
  #size = 0
  #digits = 0
  #significant = 0
  #extension = ''
  #extensionBytes = 0
  #trailer = ''
  /** Decoded bytes so far. */
  total = 0
  /** Trailer lines that may be passed on, once done. */
  trailers = ''

  constructor(limits: WireLimits) {
    this.#limits = limits
  }

  /** True once the last chunk and the trailer section are complete. */
  get done(): boolean {
    return this.#state === state.done
  }

  /**
   * Decodes from `from`; returns the index after the last byte used (short of the end only when done), or a refusal with
   * status 400, after which the decoder must not be used. Small chunks of one call are told as one: a message in chunks
   * of a byte must not cost a write each.
   */
  decode(bytes: Buffer, from: number, sink: ChunkSink): number | Refusal {
    const gathered = new Gathered(bytes, sink)
    const used = this.#run(bytes, from, gathered)
    gathered.flush()
    return used
  }

  #run(bytes: Buffer, from: number, gathered: Gathered): number | Refusal {
    let at = from
    while (at < bytes.length) {
      switch (this.#state) {
        case state.data: {
          const end = Math.min(bytes.length, at + this.#size)
          this.#size -= end - at
          this.total += end - at
          if (this.#size === 0) this.#state = state.dataCr
          gathered.add(at, end)
          at = end
          continue
        }
        case state.trailer: {
          const used = this.#takeTrailer(bytes, at)
          if (used instanceof Refusal) return used
          at = used
          continue
        }
        case state.done:
          return at
        default: {
          const refusal = this.#takeByte(bytes[at] ?? 0)
          if (refusal) return refusal
          at++
        }
      }
    }
    return at
  }

  #takeByte(byte: number): Refusal | undefined {
    switch (this.#state) {
      case state.size:
        return this.#takeSize(byte)
      case state.extension:
        return this.#takeExtension(byte)
      case state.sizeLf:
        if (byte !== 0x0a) return new Refusal(400, 'chunk-size-end')
        return this.#sizeRead()
      case state.dataCr:
        if (byte !== 0x0d) return new Refusal(400, 'chunk-end')
        this.#state = state.dataLf
        return undefined
      case state.dataLf:
        if (byte !== 0x0a) return new Refusal(400, 'chunk-end')
        this.#state = state.size
        return undefined
      default:
        throw new Error('unreachable')
    }
  }

  #takeSize(byte: number): Refusal | undefined {
    const digit = hexDigit(byte)
    if (digit >= 0) {
      if (++this.#digits > 16) return new Refusal(400, 'chunk-size-digits')
      if (this.#size > 0 || digit > 0) this.#significant++
      if (this.#significant > 8) return new Refusal(400, 'chunk-size-overflow')
      this.#size = this.#size * 16 + digit
      return undefined
    }
    if (this.#digits === 0) return new Refusal(400, 'chunk-size')
    if (byte === 0x0d) {
      this.#state = state.sizeLf
      return undefined
    }
    if (byte !== 0x3b && byte !== 0x20 && byte !== 0x09) return new Refusal(400, 'chunk-size')
    this.#state = state.extension
    return this.#takeExtension(byte)
  }

  #takeExtension(byte: number): Refusal | undefined {
    if (byte === 0x0d) {
      if (this.#extension.trimEnd() === '' || !EXTENSIONS.test(this.#extension))
        return new Refusal(400, 'chunk-extension')
      this.#extension = ''
      this.#state = state.sizeLf
      return undefined
    }
    if (++this.#extensionBytes > this.#limits.chunkExtensionBytes) return new Refusal(400, 'chunk-extension-bytes')
    this.#extension += String.fromCharCode(byte)
    return undefined
  }

  #sizeRead(): undefined {
    this.#state = this.#size === 0 ? state.trailer : state.data
    this.#digits = 0
    this.#significant = 0
    return undefined
  }

  #takeTrailer(bytes: Buffer, at: number): number | Refusal {
    const before = this.#trailer.length
    const text =
      this.#trailer + bytes.toString('latin1', at, Math.min(bytes.length, at + this.#limits.trailerBytes + 4))
    const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n')
    if (end < 0) {
      if (text.length > this.#limits.trailerBytes) return new Refusal(400, 'trailer-bytes')
      if (/(?:^|[^\r])\n|\r[^\n]/.test(text)) return new Refusal(400, 'trailer')
      this.#trailer = text
      return bytes.length
    }
    if (end + 4 > this.#limits.trailerBytes) return new Refusal(400, 'trailer-bytes')
    const refusal = end === 0 ? undefined : this.#readTrailers(text.slice(0, end + 2))
    if (refusal) return refusal
    this.#state = state.done
    return at + (end === 0 ? 2 : end + 4) - before
  }

  #readTrailers(lines: string): Refusal | undefined {
    if (!isFieldSection(lines)) return new Refusal(400, 'trailer')
    let at = 0
    let count = 0
    while (at < lines.length) {
      const colon = lines.indexOf(':', at)
      const eol = lines.indexOf('\r\n', colon)
      if (++count > this.#limits.headerLines) return new Refusal(400, 'trailer-lines')
      const name = lines.slice(at, colon).toLowerCase()
      if (mayTrail(name) && !isUnderscoreTwin(name)) this.trailers += lines.slice(at, eol + 2)
      at = eol + 2
    }
    return undefined
  }
}

/** Slices shorter than this are put together. */
const smallSliceBytes = 4_096

/** The data of one read: a large slice goes on as it is, small ones that follow each other as one copy. */
class Gathered {
  readonly #bytes: Buffer
  readonly #sink: ChunkSink
  #from = 0
  #end = 0
  #copy: Buffer | undefined
  #copied = 0

  constructor(bytes: Buffer, sink: ChunkSink) {
    this.#bytes = bytes
    this.#sink = sink
  }

  add(from: number, end: number): void {
    if (end - from >= smallSliceBytes) {
      this.flush()
      this.#sink.onChunk(this.#bytes.subarray(from, end))
    } else if (this.#copy === undefined && this.#end === this.#from) {
      this.#from = from
      this.#end = end
    } else {
      this.#copy ??= this.#startCopy()
      this.#copied += this.#bytes.copy(this.#copy, this.#copied, from, end)
    }
  }

  flush(): void {
    const { length } = this.#bytes
    if (this.#copy !== undefined) this.#sink.onChunk(this.#copy.subarray(0, this.#copied))
    else if (this.#end > this.#from) this.#sink.onChunk(this.#bytes.subarray(this.#from, this.#end))
    this.#copy = undefined
    this.#from = length
    this.#end = length
  }

  #startCopy(): Buffer {
    const copy = Buffer.allocUnsafe(this.#bytes.length - this.#from)
    this.#copied = this.#bytes.copy(copy, 0, this.#from, this.#end)
    return copy
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** What goes before a chunk of `bytes` bytes; a CRLF goes after it. */
export function chunkHeader(bytes: number): string {
  return bytes.toString(16) + '\r\n'
}

/** Ends a chunked body; `trailers` are well-formed lines or ''. */
export function lastChunk(trailers: string): string {
  return '0\r\n' + trailers + '\r\n'
}
