/**
 * One client connection: bytes into strictly read requests, one at a time and in order, and an answer's bytes out.
 * Owns framing, pipelining, lingering close and the client's timeouts; it must not know where a request goes or what an
 * answer means. Source: RFC 9112 sections 2, 6, 7 and 9.
 */
import type { Socket } from 'node:net'
import { ChunkedDecoder, type ChunkSink } from './chunked.ts'
import type { Watched } from './deadlines.ts'
import { readDirectly } from './direct-read.ts'
import { refuseEarly } from './early-refusal.ts'
import { HeldBytes } from './held-bytes.ts'
import { sendLent } from './lent-bytes.ts'
import { type RequestHead, parseRequestHead } from './request-head.ts'
import type { GoneReason, ServerExchange, ServerOwner } from './server-exchange.ts'
import { SocketWriter } from './socket-writer.ts'
import { Refusal } from './syntax.ts'

const state = { waiting: 0, head: 1, body: 2, answer: 3, linger: 4, tunnel: 5, gone: 6 } as const
type State = (typeof state)[keyof typeof state]

/** Pipelined requests of one read that may be answered at once, before other connections have their turn. */
const headsPerTurn = 16

/** A read of at most this many bytes is decoded whole to find its head; of a longer one nothing but the head, since a body as text is waste. */
const wholeReadBytes = 2_048

/** The first request of a connection may take this long to come while we drain, ms. */
const freshMs = 1_000

export class ServerConnection implements Watched, ChunkSink {
  slot = -1
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** The peer's words on forwarding are believed. */
  readonly trusted: boolean
  /** When the request under way began, ms of the clock. */
  startedMs: number
  /** Bytes of the request under way that were read: head, body as it came, tunnel. */
  requestBytes = 0
  readonly #owner: ServerOwner
  readonly #socket: Socket
  readonly #writer: SocketWriter
  readonly #exchange: ServerExchange
  #state: State = state.waiting
  #readDeadline: number
  #writeDeadline = Infinity
  #unsent = 0
  #partial = ''
  readonly #held = new HeldBytes()
  #consuming = false
  #peerEnded = false
  /** Pipelined requests wait for the next turn of the loop. */
  #yielding = false
  #answering = false
  /** The answer is complete and not yet taken; the next request waits for that. */
  #flushing = false
  #keepAlive = true
  #remaining = 0
  #decoder: ChunkedDecoder | undefined
  #bodyBytes = 0
  #bodyStartMs = 0
  #pausedMs = -1
  #lingered = 0

  constructor(owner: ServerOwner, socket: Socket, trusted: boolean) {
    this.#owner = owner
    this.#socket = socket
    this.trusted = trusted
    this.remoteAddress = socket.remoteAddress ?? ''
    this.remotePort = socket.remotePort ?? 0
    this.localAddress = socket.localAddress ?? ''
    this.localPort = socket.localPort ?? 0
    this.startedMs = owner.deadlines.now()
    this.#readDeadline = this.startedMs + owner.limits.firstRequestTimeoutMs
    this.#exchange = owner.exchangeFor(this)
    this.#writer = new SocketWriter(socket)
    readDirectly(socket, this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    socket.on('finish', this.#onFinish)
    socket.on('error', this.#onGone)
    socket.on('close', this.#onGone)
    owner.deadlines.add(this)
  }

  /** No request is under way. */
  get isIdle(): boolean {
    return this.#state === state.waiting
  }

  /** The request's last byte has been read. */
  get requestComplete(): boolean {
    return this.#state !== state.body
  }

  /** Whether the connection can serve another request after this answer, as far as is known now. */
  get mayPersist(): boolean {
    return this.#keepAlive && this.#state === state.answer && !this.#owner.leaving && !this.#owner.draining
  }

  /** Bytes handed to the socket since it was accepted. */
  get bytesWritten(): number {
    return this.#writer.bytesWritten
  }

  /** Whether that address is a peer whose words on forwarding are believed. */
  trusts(address: string): boolean {
    return this.#owner.trusts(address)
  }

  /** Writes text of the answer; false: wait for onWritable before more. */
  write(text: string): boolean {
    return this.#writer.write(text) || this.#stalled()
  }

  /** Writes bytes that are lent for the call, between two texts; false: wait for onWritable before more. */
  writeLent(before: string, bytes: Buffer, after: string): boolean {
    return sendLent(this.#writer, before, bytes, after) || this.#stalled()
  }

  /** The answer is complete. The next request follows, or the connection closes after lingering. */
  finish(persist: boolean): void {
    if (this.#state === state.gone) return
    this.#answering = false
    this.resumeBody()
    if (this.#state === state.tunnel || !persist || !this.mayPersist) return this.#linger()
    // A client that sends requests and reads no answers must not make us keep them all (back-pressure).
    if (this.#socket.writableNeedDrain) this.#flushing = true
    else this.#next()
  }

  /** Turns to the next request. */
  #next(): void {
    if (this.#owner.draining) return this.#linger()
    this.#state = state.waiting
    this.#readDeadline = this.#owner.deadlines.recentMs + this.#owner.limits.keepAliveTimeoutMs
    if (!this.#consuming) this.#consumeHeld()
  }

  /** Ends the connection so that an answer under way is seen to be cut. `reset`: even where only the end frames it. */
  abort(reset: boolean): void {
    if (this.#state === state.gone) return
    this.#answering = false
    this.#leave()
    this.#writer.flush()
    if (reset) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  /** Stops reading the request's body until `resumeBody`; its timeouts rest meanwhile. */
  pauseBody(): void {
    if (this.#pausedMs >= 0) return
    this.#pausedMs = this.#owner.deadlines.now()
    if (this.#state === state.body) this.#readDeadline = Infinity
    this.#socket.pause()
  }

  resumeBody(): void {
    if (this.#pausedMs < 0) return
    const now = this.#owner.deadlines.now()
    this.#bodyStartMs += now - this.#pausedMs
    this.#pausedMs = -1
    if (this.#state === state.body) this.#readDeadline = now + this.#owner.limits.bodyIdleTimeoutMs
    this.#socket.resume()
  }

  /** From here on bytes go to onTunnelData as they come, those already here first. */
  startTunnel(): void {
    this.#state = state.tunnel
    this.touchTunnel()
    const held = this.#takeHeld()
    if (held !== undefined) this.#exchange.onTunnelData(held)
    if (this.#peerEnded) this.#exchange.onTunnelEnd()
  }

  /** The tunnel moved: its idle timeout starts anew. */
  touchTunnel(): void {
    this.#readDeadline = this.#owner.deadlines.now() + this.#owner.limits.tunnelIdleTimeoutMs
  }

  /** Sends no more into the tunnel. */
  endTunnel(): void {
    this.#writer.end()
  }

  pauseTunnel(): void {
    this.#socket.pause()
  }

  resumeTunnel(): void {
    this.#socket.resume()
  }

  /**
   * Drain: closes now when idle; else the answer under way is the last. A connection that has only just come is waited for, since
   * its first request may be on its way: nobody tries again what failed on a connection that was new.
   */
  drain(): void {
    if (this.#state !== state.waiting) return
    const freshUntilMs = this.requestBytes === 0 ? this.startedMs + freshMs : -Infinity
    if (this.#owner.deadlines.now() >= freshUntilMs) this.#linger()
    else this.#readDeadline = Math.min(this.#readDeadline, freshUntilMs)
  }

  /** The time to finish in is over: the request under way is answered or cut now. */
  expire(): void {
    this.#keepAlive = false
    if (this.#answering) this.#exchange.onExpired()
    else this.#linger()
  }

  /** Ends at once; the exchange is told. */
  destroy(): void {
    this.#end('shutdown')
  }

  onSweep(now: number): void {
    if (now >= this.#readDeadline) this.#readTimedOut()
    else if (this.#state === state.body && this.#pausedMs < 0) this.#checkRate(now)
    if (now >= this.#writeDeadline) this.#writeTimedOut(now)
  }

  /** From ChunkSink. */
  onChunk(bytes: Buffer): void {
    this.#exchange.onBody(bytes)
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#yielding) this.#hold(bytes)
    else this.#consume(bytes)
  }

  #consume(bytes: Buffer): void {
    let rest: Buffer | undefined = bytes
    let heads = 0
    this.#consuming = true
    while (rest !== undefined && rest.length > 0) {
      switch (this.#state) {
        case state.waiting:
        case state.head:
          if (++heads > headsPerTurn) {
            this.#yield(rest)
            rest = undefined
          } else rest = this.#takeHead(rest)
          break
        case state.body:
          rest = this.#takeBody(rest)
          this.#exchange.onBodyRead()
          break
        case state.answer:
          this.#hold(rest)
          rest = undefined
          break
        case state.tunnel:
          this.requestBytes += rest.length
          this.#exchange.onTunnelData(rest)
          rest = undefined
          break
        case state.linger:
          this.#lingered += rest.length
          rest = undefined
          if (this.#lingered > this.#owner.limits.lingerBytes) this.#end('client-gone')
          break
        case state.gone:
          rest = undefined
      }
    }
    this.#consuming = false
    if (this.#peerEnded && !this.#yielding) this.#endIfUnused()
  }

  /** Lets others have their turn before the next pipelined request. */
  #yield(rest: Buffer): void {
    this.#hold(rest)
    this.#yielding = true
    setImmediate(() => {
      this.#yielding = false
      if (this.#state !== state.gone) this.#consumeHeld()
    })
  }

  /** Reads as much of a head as is there; returns what follows it. */
  #takeHead(bytes: Buffer): Buffer | undefined {
    const before = this.#partial.length
    let stop = bytes.length
    if (stop > wholeReadBytes) {
      const found = bytes.indexOf('\r\n\r\n', 0, 'latin1')
      if (found >= 0) stop = found + 4
    }
    const text = this.#partial + bytes.toString('latin1', 0, stop)
    // One empty line before a request is forgiven (RFC 9112 section 2.2).
    const from = text.startsWith('\r\n') ? 2 : 0
    const end = text.indexOf('\r\n\r\n', Math.max(from, before - 3))
    const isHead = text.startsWith('HEAD ', from)
    if (end < 0) {
      const early = refuseEarly(text, from, before, this.#owner.limits)
      if (early) return this.#refuse(early, isHead)
      if (this.#state === state.waiting) {
        this.#state = state.head
        this.startedMs = this.#owner.deadlines.now()
        this.#readDeadline = this.startedMs + this.#owner.limits.headTimeoutMs
      }
      this.#partial = text
      return undefined
    }
    this.#partial = ''
    if (this.#state === state.waiting) this.startedMs = this.#owner.deadlines.now()
    if (end + 4 - from > this.#owner.limits.headBytes) return this.#refuse(new Refusal(431, 'head-bytes'), isHead)
    const head = parseRequestHead(text, from, end, this.#owner.limits, this.trusted)
    if (head instanceof Refusal) return this.#refuse(head, isHead)
    if (head.contentLength > this.#owner.limits.bodyBytes) return this.#refuse(new Refusal(413, 'body-bytes'), isHead)
    this.requestBytes = end + 4 - from
    const used = end + 4 - before
    const more = used < bytes.length
    this.#begin(head, more)
    return more ? bytes.subarray(used) : undefined
  }

  #begin(head: RequestHead, more: boolean): void {
    this.#answering = true
    this.#keepAlive = head.keepAlive
    if (head.hasBody) {
      this.#state = state.body
      this.#remaining = head.contentLength
      this.#decoder = head.chunked ? new ChunkedDecoder(this.#owner.limits) : undefined
      this.#bodyBytes = 0
      this.#bodyStartMs = this.startedMs
      this.#readDeadline = this.startedMs + this.#owner.limits.bodyIdleTimeoutMs
      this.#exchange.onRequest(head, more)
    } else {
      this.#state = state.answer
      this.#readDeadline = Infinity
      this.#exchange.onRequest(head, false)
    }
  }

  #refuse(refusal: Refusal, isHead = false): undefined {
    this.#partial = ''
    this.#answering = true
    this.#keepAlive = false
    this.#state = state.answer
    this.#readDeadline = Infinity
    this.#exchange.onRefused(refusal, isHead)
    return undefined
  }

  #takeBody(bytes: Buffer): Buffer | undefined {
    this.#readDeadline = this.#owner.deadlines.now() + this.#owner.limits.bodyIdleTimeoutMs
    const decoder = this.#decoder
    if (decoder === undefined) {
      const end = Math.min(bytes.length, this.#remaining)
      this.requestBytes += end
      this.#remaining -= end
      this.#bodyBytes += end
      this.#exchange.onBody(end === bytes.length ? bytes : bytes.subarray(0, end))
      if (this.#remaining === 0) this.#bodyDone()
      return end < bytes.length ? bytes.subarray(end) : undefined
    }
    const used = decoder.decode(bytes, 0, this)
    this.requestBytes += used instanceof Refusal ? bytes.length : used
    this.#bodyBytes += bytes.length
    if (this.#state !== state.body) return undefined
    if (used instanceof Refusal) return this.#refuseBody(used)
    if (decoder.total > this.#owner.limits.bodyBytes) return this.#refuseBody(new Refusal(413, 'body-bytes'))
    if (decoder.done) this.#bodyDone()
    return used < bytes.length ? bytes.subarray(used) : undefined
  }

  #bodyDone(): void {
    if (this.#state !== state.body) return
    this.#state = state.answer
    this.#readDeadline = Infinity
    this.#decoder = undefined
    this.#exchange.onBodyEnd()
  }

  #refuseBody(refusal: Refusal): undefined {
    this.#keepAlive = false
    this.#readDeadline = Infinity
    this.#exchange.onBodyRefused(refusal)
    return undefined
  }

  /** Keeps bytes of later requests until their turn; past the limit the socket is no longer read. */
  #hold(bytes: Buffer): void {
    this.#held.add(bytes)
    if (this.#held.size > this.#owner.limits.pipelinedBytes) this.#socket.pause()
  }

  #takeHeld(): Buffer | undefined {
    if (this.#held.size > this.#owner.limits.pipelinedBytes) this.#socket.resume()
    return this.#held.take()
  }

  #consumeHeld(): void {
    const held = this.#takeHeld()
    if (held !== undefined) this.#consume(held)
    else if (this.#peerEnded) this.#endIfUnused()
  }

  /** The client sends no more and has no complete request waiting. */
  #endIfUnused(): void {
    if (this.#state === state.waiting) this.#linger()
    else if (this.#state === state.head || this.#state === state.body) this.#end('client-gone')
  }

  /** Half-closes and discards for a while, so that the client can read its answer (RFC 9112 section 9.6). */
  #linger(): void {
    this.#held.clear()
    this.#decoder = undefined
    this.#state = state.linger
    this.#readDeadline = this.#owner.deadlines.now() + this.#owner.limits.writeStallTimeoutMs
    this.#writer.end()
    this.#socket.resume()
  }

  readonly #onFinish = (): void => {
    if (this.#state === state.linger)
      this.#readDeadline = this.#owner.deadlines.now() + this.#owner.limits.lingerTimeoutMs
  }

  #stalled(): boolean {
    if (this.#writeDeadline === Infinity) {
      this.#writeDeadline = this.#owner.deadlines.now() + this.#owner.limits.writeStallTimeoutMs
      this.#unsent = this.#writer.length
    }
    return false
  }

  readonly #onDrain = (): void => {
    this.#writeDeadline = Infinity
    if (this.#answering) this.#exchange.onWritable()
    else if (this.#flushing) {
      this.#flushing = false
      this.#next()
    }
  }

  #readTimedOut(): void {
    switch (this.#state) {
      case state.head:
        this.#refuse(new Refusal(408, 'head-timeout'))
        break
      case state.body:
        this.#refuseBody(new Refusal(408, 'body-timeout'))
        break
      default:
        this.#end(this.#state === state.tunnel ? 'tunnel-idle' : 'client-gone')
    }
  }

  #checkRate(now: number): void {
    const limits = this.#owner.limits
    const elapsed = now - this.#bodyStartMs
    if (elapsed > limits.bodyRateGraceMs && this.#bodyBytes < (limits.bodyRateMin * elapsed) / 1_000)
      this.#refuseBody(new Refusal(408, 'body-rate'))
  }

  #writeTimedOut(now: number): void {
    const unsent = this.#writer.length
    if (unsent >= this.#unsent) return this.#end('write-stall')
    this.#unsent = unsent
    this.#writeDeadline = now + this.#owner.limits.writeStallTimeoutMs
  }

  readonly #onEnd = (): void => {
    this.#peerEnded = true
    if (this.#state === state.tunnel) this.#exchange.onTunnelEnd()
    else if (!this.#yielding) this.#endIfUnused()
  }

  readonly #onGone = (): void => {
    this.#end('client-gone')
  }

  #end(why: GoneReason): void {
    if (this.#state === state.gone) return
    const answering = this.#answering
    this.#answering = false
    this.#socket.destroy()
    this.#leave()
    if (answering) this.#exchange.onGone(why)
  }

  #leave(): void {
    this.#state = state.gone
    this.#held.clear()
    this.#owner.deadlines.remove(this)
    this.#owner.closed(this)
  }
}
