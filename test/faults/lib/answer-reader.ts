/**
 * Reads one HTTP/1.1 answer from bytes, and tells a whole one from one that was cut: what the suite's client believes.
 * Strict: a client that guesses would hide what it is to find. It knows no sockets.
 */

export interface Answer {
  readonly status: number
  /** By lower-case name; of several lines the last. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** The connection may carry another request. */
  readonly reusable: boolean
}

type Framing = { readonly kind: 'length'; left: number } | { readonly kind: 'chunked' } | { readonly kind: 'close' }

export class AnswerReader {
  /** A byte of it has come. */
  started = false
  readonly #isHead: boolean
  #pending = ''
  #head: { status: number; headers: Map<string, string>; reusable: boolean } | undefined
  #framing: Framing = { kind: 'length', left: 0 }
  #body: string[] = []

  constructor(method: string) {
    this.#isHead = method === 'HEAD'
  }

  /** Takes bytes; the answer once it is whole. Throws for what is no HTTP, and for bytes beyond the answer. */
  push(chunk: Buffer): Answer | undefined {
    this.started = true
    this.#pending += chunk.toString('latin1')
    for (;;) {
      if (this.#head === undefined) {
        if (!this.#readHead()) return undefined
        continue
      }
      const done = this.#readBody()
      if (!done) return undefined
      if (this.#pending !== '') throw new Error(`${this.#pending.length} bytes beyond the answer`)
      return { ...this.#head, body: this.#body.join('') }
    }
  }

  /** The connection ended: the answer, if its framing lets the end of the connection end it. */
  end(): Answer | undefined {
    if (this.#head === undefined || this.#framing.kind !== 'close') return undefined
    return { ...this.#head, reusable: false, body: this.#body.join('') }
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [first = '', ...lines] = this.#pending.slice(0, end).split('\r\n')
    this.#pending = this.#pending.slice(end + 4)
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1] ?? NaN)
    if (Number.isNaN(status)) throw new Error(`no status line: ${first.slice(0, 80)}`)
    if (status < 200) return this.#readHead()
    const headers = new Map<string, string>()
    for (const line of lines) {
      const colon = line.indexOf(':')
      if (colon < 1) throw new Error(`no header line: ${line.slice(0, 80)}`)
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
    }
    this.#framing = this.#framingOf(status, headers)
    const reusable = headers.get('connection')?.toLowerCase() !== 'close' && this.#framing.kind !== 'close'
    this.#head = { status, headers, reusable }
    return true
  }

  #framingOf(status: number, headers: ReadonlyMap<string, string>): Framing {
    if (this.#isHead || status === 204 || status === 304) return { kind: 'length', left: 0 }
    if (headers.get('transfer-encoding') === 'chunked') return { kind: 'chunked' }
    const length = headers.get('content-length')
    if (length === undefined) return { kind: 'close' }
    if (!/^\d+$/.test(length)) throw new Error(`Content-Length ${length}`)
    return { kind: 'length', left: Number(length) }
  }

  /** True once the body is whole. */
  #readBody(): boolean {
    switch (this.#framing.kind) {
      case 'close':
        this.#take(this.#pending.length)
        return false
      case 'length':
        this.#framing.left -= this.#take(Math.min(this.#framing.left, this.#pending.length))
        return this.#framing.left === 0
      case 'chunked':
        return this.#readChunks()
    }
  }

  #readChunks(): boolean {
    for (;;) {
      const lineEnd = this.#pending.indexOf('\r\n')
      if (lineEnd < 0) return false
      const sizeText = this.#pending.slice(0, lineEnd)
      if (!/^[0-9a-f]+$/i.test(sizeText)) throw new Error(`chunk size ${sizeText.slice(0, 40)}`)
      const size = Number.parseInt(sizeText, 16)
      const whole = lineEnd + 2 + size + 2
      if (this.#pending.length < whole) return false
      if (this.#pending.slice(whole - 2, whole) !== '\r\n') throw new Error('a chunk without its end')
      this.#pending = this.#pending.slice(lineEnd + 2)
      this.#take(size)
      this.#pending = this.#pending.slice(2)
      if (size === 0) return true
    }
  }

  #take(count: number): number {
    if (count > 0) this.#body.push(this.#pending.slice(0, count))
    this.#pending = this.#pending.slice(count)
    return count
  }
}
