/** What came of sending a request with a body. */
export type Sent =
  | 'sent'
  /** The head waits until the body's length is known. */
  | 'waits'
  /** The body is too large to be kept until its length is known. */
  | 'too-large'

/**
 * The body of one request on its way to whoever has the request now: kept until it has been sent, and for another attempt as
 * far as it may; with back-pressure; in the framing that the endpoint understands. It picks no endpoint and answers nothing.
 */
import type { RequestHead } from '../wire/request-head.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import type { Attempt } from './attempt.ts'
import type { PlaneCore } from './plane-core.ts'
import { ReplayBody } from './replay-body.ts'

export class Upload {
  readonly #core: PlaneCore
  readonly #client: ServerConnection
  readonly #body: ReplayBody
  #chunked = false
  #complete = true
  /** Bytes of the read that brought the head are about to come. */
  #now = false
  /** The endpoint speaks HTTP/1.0 and takes no chunks: the head waits here until the body's length is known. */
  #waitingHead = ''
  #bytesMax = 0

  constructor(core: PlaneCore, client: ServerConnection) {
    this.#core = core
    this.#client = client
    this.#body = new ReplayBody(core.replay)
  }

  /** All of the body that was read is still here. */
  get isWhole(): boolean {
    return this.#body.isWhole
  }

  reset(head: RequestHead | undefined): void {
    this.#body.reset()
    this.#chunked = head?.chunked === true
    this.#complete = head?.hasBody !== true
    this.#waitingHead = ''
  }

  /** The request has ended: nothing of its body is kept. */
  release(): void {
    this.#body.reset()
  }

  /** `now`: the body's first bytes came with the head. `bytesMax`: how much is kept for another attempt. */
  begin(now: boolean, bytesMax: number): void {
    this.#now = now
    this.#bytesMax = bytesMax
  }

  /** Whoever had the request has it no more: what waited for the body's length waits for nobody. */
  attemptEnded(): void {
    this.#waitingHead = ''
  }

  /** More of the body. */
  take(bytes: Buffer, attempt: Attempt | undefined): Sent {
    if (attempt?.started === true) {
      this.#body.addSent(bytes, this.#bytesMax, this.#core.limits.replayBytes)
      if (!attempt.sendBody(bytes)) this.#client.pauseBody()
      return 'sent'
    }
    this.#body.add(bytes)
    if (this.#waitingHead !== '') return this.#mayWait()
    this.#client.pauseBody()
    return 'sent'
  }

  /** The body is complete. True: now the request was sent whose head had waited for that. */
  end(attempt: Attempt | undefined): boolean {
    this.#complete = true
    // Between two attempts: the next one sends all of it.
    if (attempt === undefined) return false
    if (this.#waitingHead !== '') return this.send(this.#waitingHead, attempt) === 'sent'
    if (attempt.started) attempt.endBody()
    return false
  }

  /** All that one read brought has been taken. */
  readEnded(attempt: Attempt | undefined): void {
    this.#now = false
    if (attempt?.flush() === false) this.#client.pauseBody()
  }

  /**
   * Sends the head, whose framing and end are still open where the body is chunked, and what is there: all of it that was read,
   * since a request that has lost some goes to nobody else.
   */
  send(head: string, attempt: Attempt): Sent {
    let text = head
    let chunked = this.#chunked
    if (chunked) {
      // A body that is all here needs no chunks; an endpoint of HTTP/1.0 does not know them (RFC 9112 section 6.1).
      if (!this.#complete && attempt.endpoint.state.pool.isMinor0) {
        this.#waitingHead = head
        attempt.awaitBody()
        this.#client.resumeBody()
        return this.#mayWait()
      }
      chunked = !this.#complete
      text += chunked ? 'Transfer-Encoding: chunked\r\n\r\n' : `Content-Length: ${this.#body.bytes}\r\n\r\n`
    }
    this.#waitingHead = ''
    // Head and first body bytes leave in one write.
    attempt.sendHead(text, chunked)
    for (const bytes of this.#body.kept) attempt.sendBody(bytes)
    this.#body.sent(this.#bytesMax, this.#core.limits.replayBytes)
    if (this.#complete) attempt.endBody()
    if (!this.#now) attempt.flush()
    // Where the endpoint takes no more, the next bytes say so, and the client pauses again.
    this.#client.resumeBody()
    return 'sent'
  }

  #mayWait(): Sent {
    return this.#body.bytes <= this.#bytesMax ? 'waits' : 'too-large'
  }
}
