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

  /** More of the body. False: it is too large to be kept until its length is known. */
  take(bytes: Buffer, attempt: Attempt | undefined): boolean {
    this.#body.add(bytes)
    if (this.#waitingHead !== '') return this.#mayWait()
    if (attempt?.started !== true) this.#client.pauseBody()
    else {
      if (!attempt.sendBody(bytes)) this.#client.pauseBody()
      this.#sent()
    }
    return true
  }

  /** The body is complete. */
  end(attempt: Attempt | undefined): void {
    this.#complete = true
    if (attempt && this.#waitingHead !== '') this.send(this.#waitingHead, attempt)
    else if (attempt?.started === true) attempt.endBody()
  }

  /** All that one read brought has been taken. */
  readEnded(attempt: Attempt | undefined): void {
    this.#now = false
    attempt?.uncork()
  }

  /** Sends the head, whose framing and end are still open where the body is chunked, and what is there. False: as `take`. */
  send(head: string, attempt: Attempt): boolean {
    let text = head
    let chunked = this.#chunked
    if (chunked) {
      // A body that is all here needs no chunks; an endpoint of HTTP/1.0 does not know them (RFC 9112 section 6.1).
      const whole = this.#complete && this.#body.isWhole
      if (!whole && attempt.endpoint.state.pool.isMinor0) {
        this.#waitingHead = head
        this.#client.resumeBody()
        return this.#mayWait()
      }
      chunked = !whole
      text += chunked ? 'Transfer-Encoding: chunked\r\n\r\n' : `Content-Length: ${this.#body.bytes}\r\n\r\n`
    }
    this.#waitingHead = ''
    // Head and first body bytes leave in one write.
    attempt.cork()
    attempt.sendHead(text, chunked)
    let more = true
    for (const bytes of this.#body.kept) more = attempt.sendBody(bytes) && more
    this.#sent()
    if (this.#complete) attempt.endBody()
    if (!this.#now) attempt.uncork()
    if (more) this.#client.resumeBody()
    return true
  }

  #mayWait(): boolean {
    return this.#body.isWhole && this.#body.bytes <= this.#bytesMax
  }

  #sent(): void {
    this.#body.sent(this.#bytesMax, this.#core.limits.replayBytes)
  }
}
