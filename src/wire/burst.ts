/**
 * A burst: the requests of one turn of the loop that leave in one write on one connection and are answered in order there
 * (RFC 9112 section 9.3.2). To the connection it is one exchange that is answered several times; to each request it gives a
 * seat. It hands every answer to whose it is, and lets those go that would wait behind a slow one, or get none.
 */
import type { ClientConnection } from './client-connection.ts'
import type { Carrier, ClientExchange, PipelinedExchange, UpstreamTimeouts } from './client-exchange.ts'
import type { Failure } from './failure.ts'
import type { Pipelining } from './pipelining.ts'
import { framing, type ResponseHead } from './response-head.ts'

/** An answer longer than this has nobody wait behind it, bytes. */
export const largeAnswerBytes = 65_536

/** A server may end a connection in order after so many answers (Tomcat: 100, nginx: 1000): that alone is no trouble. */
export const lifetimeAnswersMin = 64

/** With these, and the connection's end, a server says that it could make nothing of what it read. */
const refusals: ReadonlySet<number> = new Set([400, 408, 501, 505])

/** Takes the answers to requests whose client has gone, or that were made again elsewhere. */
const nobody: PipelinedExchange = Object.freeze({
  onConnected() {},
  onInformational() {},
  onHead() {},
  onBody() {},
  onReadEnd() {},
  onComplete() {},
  onFailure() {},
  onWritable() {},
  onUpgrade() {},
  onTunnelData() {},
  onTunnelEnd() {},
  onDisplaced: () => false,
})

const noTimeouts: UpstreamTimeouts = { connectMs: 0, firstByteMs: 0, idleMs: 0 }

/** The place of one request in a burst, used like a connection that it has for itself. */
export class Seat implements Carrier {
  readonly isReady = true
  taker: PipelinedExchange = nobody
  isHead = false
  timeouts: UpstreamTimeouts = noTimeouts
  text = ''
  readonly #burst: Burst

  constructor(burst: Burst) {
    this.#burst = burst
  }

  begin(exchange: PipelinedExchange, isHead: boolean, _wantsUpgrade: boolean, timeouts: UpstreamTimeouts): void {
    this.taker = exchange
    this.isHead = isHead
    this.timeouts = timeouts
  }

  /** The whole request. */
  write(text: string): boolean {
    this.text = text
    this.#burst.seated(this)
    return true
  }

  requestDone(): void {}

  pause(): void {
    if (this.#burst.isReading(this)) this.#burst.connection.pause()
  }

  resume(): void {
    if (this.#burst.isReading(this)) this.#burst.connection.resume()
  }

  cancel(): void {
    this.#burst.leave(this)
  }

  // What has a body, or becomes a tunnel, gets no seat.
  bodyFollows(): void {}
  writeBytes(): boolean {
    return true
  }
  writeLent(): boolean {
    return true
  }
  endTunnel(): void {}
  finishTunnel(): void {}
}

export class Burst implements ClientExchange {
  readonly connection: ClientConnection
  readonly #pipelining: Pipelining
  readonly #sizeMax: number
  #seats: Seat[] = []
  /** Whose answer is read, or comes next. */
  #at = 0
  /** Its head has been given. */
  #begun = false
  isFull = false
  /** When it was written, monotonic ms; Infinity: it was not yet. */
  sinceMs: number = Infinity

  constructor(connection: ClientConnection, pipelining: Pipelining, sizeMax: number) {
    this.connection = connection
    this.#pipelining = pipelining
    this.#sizeMax = sizeMax
  }

  get size(): number {
    return this.#seats.length
  }

  /** Somebody waits behind the answer that is being read. */
  get isWaitedFor(): boolean {
    for (let index = this.#at + 1; index < this.#seats.length; index++)
      if (this.#seats[index]?.taker !== nobody) return true
    return false
  }

  // === For its seats ===

  /** A request is complete. */
  seated(seat: Seat): void {
    this.#seats.push(seat)
    // A server that sends a body with its answer to HEAD would have it taken for the next answer: nothing follows one.
    this.isFull = this.#seats.length >= this.#sizeMax || seat.isHead
  }

  isReading(seat: Seat): boolean {
    return this.sinceMs !== Infinity && this.#seats[this.#at] === seat
  }

  /** Its client has gone: its answer, if it comes, is dropped. */
  leave(seat: Seat): void {
    seat.taker = nobody
    if (this.sinceMs === Infinity) return
    if (this.#begun && this.isReading(seat)) {
      this.connection.resume()
      this.displace()
    } else this.#endUnwanted()
  }

  // === For whoever gathers it ===

  /** Writes what was gathered. To be called once. */
  write(): void {
    this.#seats = this.#seats.filter(({ taker }) => taker !== nobody)
    const [first] = this.#seats
    this.sinceMs = this.#pipelining.nowMs
    if (first === undefined) return this.#pipelining.putBack(this.connection)
    if (this.connection.isGone)
      return this.#fail({ kind: 'closed', detail: 'idle', reused: true, sent: false, received: false })
    this.connection.beginBurst(this, first.isHead, first.timeouts)
    this.connection.requestDone()
    let text = ''
    for (const seat of this.#seats) {
      text += seat.text
      seat.text = ''
    }
    this.connection.write(text)
    this.#pipelining.written(this)
  }

  /** Those that wait behind the answer that is being read may be made elsewhere. */
  displace(): void {
    let count = 0
    for (const seat of this.#seats.slice(this.#at + 1)) {
      if (!seat.taker.onDisplaced()) continue
      seat.taker = nobody
      count++
    }
    if (count > 0) this.#pipelining.displaced(count)
    this.#endUnwanted()
  }

  /** Those that have waited for as long behind others as for an answer that has not begun wait no more. */
  endLate(nowMs: number): void {
    const failure: Failure = { kind: 'first-byte-timeout', detail: 'burst', reused: true, sent: true, received: false }
    const waitedMs = nowMs - this.sinceMs
    this.#fail(failure, this.#at + 1, ({ timeouts }) => waitedMs >= timeouts.firstByteMs)
    this.#endUnwanted()
  }

  // === From the connection ===

  /** Whose answer comes after the one that is complete now; undefined: nobody waits for any. */
  following(): Seat | undefined {
    return this.isWaitedFor ? this.#seats[this.#at + 1] : undefined
  }

  /** Answers will come that nobody waits for. */
  get isCutShort(): boolean {
    return this.#at + 1 < this.#seats.length
  }

  /** More came than the answers to all of it. */
  surplus(): void {
    if (this.size > 1) this.#pipelining.trouble('surplus')
  }

  /** A read brought a part of an answer, and how much more will come is not known. */
  unfinished(): void {
    if (this.isWaitedFor) this.displace()
  }

  onInformational(head: ResponseHead): void {
    this.#current.onInformational(head)
    if (this.isWaitedFor) this.#dismiss('informational')
  }

  onHead(head: ResponseHead, body: string, complete: boolean): void {
    const ends = !head.keepAlive || head.framing === framing.close
    if (this.#at === 0) this.#pipelining.answered(this)
    if (ends && this.size > 1 && refusals.has(head.status)) return this.#refused()
    const taker = this.#current
    this.#begun = !complete
    // The connection has gone on to the next one already, or was given back.
    const waited = this.isWaitedFor
    if (complete) this.#at++
    taker.onHead(head, body, complete)
    if (!waited) return
    if (ends) this.#dismiss(this.connection.served < lifetimeAnswersMin ? 'close' : undefined)
    // The body might come after all, and be taken for the next answer.
    else if (head.announcesBody) this.#dismiss(undefined)
    else if (head.contentLength > largeAnswerBytes) this.displace()
  }

  onBody(bytes: Buffer): void {
    this.#current.onBody(bytes)
  }

  onReadEnd(): void {
    if (this.#begun) this.#current.onReadEnd()
  }

  onComplete(trailers: string): void {
    const taker = this.#current
    this.#at++
    this.#begun = false
    taker.onComplete(trailers)
  }

  onFailure(failure: Failure): void {
    const { kind, detail, received } = failure
    const begun = this.#begun
    if (this.size > 1 && kind === 'invalid') this.#pipelining.trouble('invalid')
    else if (this.size > 1 && (kind === 'closed' || kind === 'reset')) this.#pipelining.broken(this.#at > 0 || received)
    // What cannot be read behind another answer may be a part of that one.
    const misread = kind === 'invalid' && this.#at > 0 && !begun
    const taker = this.#current
    this.#at++
    taker.onFailure(misread ? { ...failure, kind: 'closed', received: false } : failure)
    this.#fail({ kind: kind === 'reset' ? kind : 'closed', detail, reused: true, sent: true, received: false })
  }

  onWritable(): void {}
  // It was not connecting, and asks for no upgrade.
  onConnected(): void {}
  onUpgrade(): void {}
  onTunnelData(): void {}
  onTunnelEnd(): void {}

  get #current(): PipelinedExchange {
    return this.#seats[this.#at]?.taker ?? nobody
  }

  #endUnwanted(): void {
    if (this.#current === nobody && !this.isWaitedFor) this.connection.cancel()
  }

  /** Whoever takes a burst for one bad request says so to all of it. */
  #refused(): void {
    this.#pipelining.trouble('refused')
    this.connection.cancel()
    this.#fail({ kind: 'closed', detail: 'burst-refused', reused: true, sent: true, received: false })
  }

  /** Nothing is read here any more but the answer that has begun, or is to follow a 1xx. */
  #dismiss(trouble: 'close' | 'informational' | undefined): void {
    if (trouble) this.#pipelining.trouble(trouble)
    const isBetween = !this.#begun && trouble !== 'informational'
    if (isBetween) this.connection.cancel()
    this.#fail(
      { kind: 'closed', detail: 'burst', reused: true, sent: true, received: false },
      isBetween ? this.#at : this.#at + 1,
    )
    // What is behind it will be answered, and not read.
    this.#endUnwanted()
  }

  /** Those that are not answered yet, or those `from` one of them on, or some of these. */
  #fail(failure: Failure, from: number = this.#at, test: (seat: Seat) => boolean = () => true): void {
    for (const seat of this.#seats.slice(from).filter(test)) {
      const { taker } = seat
      seat.taker = nobody
      taker.onFailure(failure)
    }
  }
}
