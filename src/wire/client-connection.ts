/**
 * One connection to an upstream: sends one request at a time, reads its answer strictly, says what went wrong as facts.
 * It must not retry, choose or judge; whoever holds it does. Reads land in one buffer shared by all connections, so every
 * slice handed out is lent for the call: only strings and copies may leave. Source: RFC 9112 sections 6 to 9.
 */
import type { Socket } from 'node:net'
import type { Burst } from './burst.ts'
import { ChunkedDecoder, type ChunkSink } from './chunked.ts'
import type { Carrier, ClientExchange, ConnectionOwner, UpstreamTimeouts } from './client-exchange.ts'
import { brokenKind, codeOf, type Connector } from './connector.ts'
import type { Watched } from './deadlines.ts'
import { type FailureKind, unprovenEnd } from './failure.ts'
import { HeadRead } from './head-read.ts'
import { sendLent } from './lent-bytes.ts'
import type { WireLimits } from './limits.ts'
import type { ResponseHead } from './response-head.ts'
import { framing, idleMs } from './response-head.ts'
import { SocketWriter } from './socket-writer.ts'
import { Refusal, withoutFields } from './syntax.ts'

const state = { connecting: 0, idle: 1, head: 2, length: 3, chunked: 4, close: 5, tunnel: 6, gone: 7 } as const
type State = (typeof state)[keyof typeof state]

/** Every read of every upstream connection lands here; reads are synchronous, so one is enough. */
const shared = Buffer.allocUnsafeSlow(65_536)

const headRead = new HeadRead()

const timeoutOf: Partial<Record<State, readonly [FailureKind, string]>> = {
  [state.connecting]: ['connect-timeout', 'connect'],
  [state.head]: ['first-byte-timeout', 'head'],
  [state.length]: ['idle-timeout', 'body'],
  [state.chunked]: ['idle-timeout', 'body'],
  [state.close]: ['idle-timeout', 'body'],
  [state.tunnel]: ['idle-timeout', 'tunnel'],
}

export class ClientConnection implements Watched, ChunkSink, Carrier {
  slot = -1
  readonly #owner: ConnectionOwner
  readonly #connector: Connector
  readonly #socket: Socket
  readonly #writer: SocketWriter
  #state: State = state.connecting
  #exchange: ClientExchange | undefined
  #timeouts: UpstreamTimeouts | undefined
  #deadline = Infinity
  #isHead = false
  #wantsUpgrade = false
  #served = 0
  #sendsBefore = 0
  #received = false
  #requestDone = false
  #partial = ''
  #informational = 0
  #remaining = 0
  #decoder: ChunkedDecoder | undefined
  #nominated: ReadonlySet<string> | undefined
  #bodyFollows = false
  #keepAlive = true
  #idleMs = 0
  #offeredMs = 0
  /** As they were when the request began. */
  #limits: WireLimits
  /** It serves no further request: the other side has ended, or the pool is done with it. */
  #last = false
  /** Not to be used again before the next sweep has shown that nothing more comes. */
  #resting = false
  #paused = false
  /** The exchange, where that is answered more than once. */
  #burst: Burst | undefined
  /** Where in the read its next answer begins. */
  #next = Infinity

  constructor(owner: ConnectionOwner, host: string, port: number) {
    this.#owner = owner
    this.#limits = owner.limits
    this.#connector = owner.connector
    this.#socket = this.#connector.open(host, port, { buffer: shared, callback: this.#onRead })
    this.#socket.on(this.#connector.ready, this.#onConnect)
    this.#socket.on('end', this.#onEnd)
    this.#socket.on('error', this.#onError)
    this.#socket.on('close', this.#onClose)
    this.#socket.on('drain', this.#onDrain)
    this.#writer = new SocketWriter(this.#socket)
    owner.deadlines.add(this)
  }

  get isReady(): boolean {
    return this.#state !== state.connecting
  }

  /** When it was last given back, monotonic ms. */
  get offeredMs(): number {
    return this.#offeredMs
  }

  /** Something of the request under way has left. */
  get #isSent(): boolean {
    return this.#writer.sends > this.#sendsBefore
  }

  get isGone(): boolean {
    return this.#state === state.gone
  }

  /** Answers that it has brought. */
  get served(): number {
    return this.#served
  }

  /** Gives it to requests that are written together; it is idle. As `begin` for the first of them. */
  beginBurst(burst: Burst, isHead: boolean, timeouts: UpstreamTimeouts): void {
    this.begin(burst, isHead, false, timeouts)
    this.#burst = burst
  }

  /** Gives the connection to an exchange. It is connecting or idle. */
  begin(exchange: ClientExchange, isHead: boolean, wantsUpgrade: boolean, timeouts: UpstreamTimeouts): void {
    this.#limits = this.#owner.limits
    this.#exchange = exchange
    this.#timeouts = timeouts
    this.#isHead = isHead
    this.#wantsUpgrade = wantsUpgrade
    this.#sendsBefore = this.#writer.sends
    this.#received = false
    this.#requestDone = false
    this.#bodyFollows = false
    this.#informational = 0
    const now = this.#owner.deadlines.now()
    if (this.#state === state.idle) {
      this.#state = state.head
      this.#deadline = now + timeouts.firstByteMs
    } else this.#deadline = now + timeouts.connectMs
  }

  /** Writes text of the request; false: wait for onWritable before more. */
  write(text: string): boolean {
    return this.#writer.write(text) || (this.#bodyFollows && this.#stalled())
  }

  /** Writes bytes of the request's body, which are kept where the kernel does not take them at once. */
  writeBytes(bytes: Buffer): boolean {
    return this.#writer.writeRead(bytes) || this.#stalled()
  }

  /** Writes bytes of the request that are lent for the call, between two texts. */
  writeLent(before: string, bytes: Buffer, after: string): boolean {
    return sendLent(this.#writer, before, bytes, after) || this.#stalled()
  }

  /** A body follows: until it is complete the client's own timeouts govern, unless the upstream takes no bytes. */
  bodyFollows(): void {
    this.#bodyFollows = true
    if (this.#state === state.head) this.#deadline = Infinity
  }

  /** The whole request has been handed over; from here the time to the answer's head counts. */
  requestDone(): void {
    this.#requestDone = true
    if (this.#bodyFollows && this.#state === state.head) this.#awaitHead()
  }

  /** Stops reading the answer until `resume`; its timeout rests meanwhile. That of a tunnel is for what is written there. */
  pause(): void {
    if (this.#paused) return
    this.#paused = true
    if (this.#state !== state.tunnel) this.#deadline = Infinity
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#touch()
    this.#socket.resume()
  }

  /** Sends no more into a tunnel. */
  endTunnel(): void {
    this.#writer.end()
  }

  /** Both sides of the tunnel have ended: what is still to be written leaves, then the connection closes by itself. */
  finishTunnel(): void {
    this.#exchange = undefined
    this.#deadline = this.#owner.deadlines.now() + this.#owner.limits.writeStallTimeoutMs
    this.#writer.end()
  }

  /** Takes the connection from its exchange and ends it; nothing is told any more. */
  cancel(): void {
    this.destroy()
  }

  /** Ends the connection at once. An exchange that still holds it is not told. */
  destroy(): void {
    if (this.#state === state.gone) return
    const wasIdle = this.#state === state.idle
    this.#state = state.gone
    this.#exchange = undefined
    this.#burst = undefined
    this.#owner.deadlines.remove(this)
    this.#writer.drop()
    this.#socket.destroy()
    this.#owner.gone(this, wasIdle)
  }

  /** Ends with the request that it serves now; at once where there is none. */
  retire(): void {
    if (this.#exchange !== undefined) this.#last = true
    else if (this.#state !== state.tunnel) this.destroy()
  }

  onSweep(now: number): void {
    if (now < this.#deadline) return
    const timeout = timeoutOf[this.#state]
    if (timeout) return this.#fail(...timeout)
    // It is idle.
    if (!this.#resting) return this.destroy()
    this.#resting = false
    this.#offer()
  }

  /** From ChunkSink. */
  onChunk(bytes: Buffer): void {
    this.#exchange?.onBody(bytes)
  }

  /** The other side takes no more for now: it has as long as an answer may rest. */
  #stalled(): boolean {
    if (this.#state === state.head) this.#deadline = this.#owner.deadlines.now() + (this.#timeouts?.idleMs ?? Infinity)
    else if (this.#state === state.tunnel)
      this.#deadline = this.#owner.deadlines.now() + this.#owner.limits.writeStallTimeoutMs
    return false
  }

  #awaitHead(): void {
    this.#deadline = this.#owner.deadlines.now() + (this.#timeouts?.firstByteMs ?? Infinity)
  }

  /** Something moved: the idle timeout of an answer starts anew. */
  #touch(): void {
    if (this.#paused || this.#state < state.length || this.#state === state.tunnel) return
    this.#deadline = this.#owner.deadlines.now() + (this.#timeouts?.idleMs ?? Infinity)
  }

  readonly #onConnect = (): void => {
    if (this.#state !== state.connecting) return
    const exchange = this.#exchange
    if (exchange === undefined) return this.#becomeIdle()
    this.#state = state.head
    this.#awaitHead()
    exchange.onConnected()
  }

  readonly #onDrain = (): void => {
    const stalled = this.#state === state.head ? !this.#requestDone : this.#state === state.tunnel
    if (stalled) this.#deadline = Infinity
    this.#exchange?.onWritable()
  }

  readonly #onRead = (bytes: number): boolean => {
    // The request is still with us: this answers nothing that anybody sent (RFC 9112 section 9.2).
    if (!this.#isSent) this.#fail('closed', 'unasked')
    switch (this.#state) {
      case state.head: {
        const exchange = this.#exchange
        this.#received = true
        this.#readHead(0, bytes)
        exchange?.onReadEnd()
        break
      }
      case state.length:
      case state.chunked:
      case state.close: {
        const exchange = this.#exchange
        this.#touch()
        this.#readBody(0, bytes)
        exchange?.onReadEnd()
        break
      }
      case state.tunnel:
        this.#exchange?.onTunnelData(shared.subarray(0, bytes))
        break
      default:
        // Bytes nobody asked for would be taken for the next request's answer (RFC 9112 section 9.2).
        this.destroy()
    }
    if (this.#burst !== undefined) this.#readOn(bytes)
    return true
  }

  /** One read may bring several answers of a burst. */
  #readOn(bytes: number): void {
    for (let at = this.#next; at < bytes && this.#state === state.head; at = this.#next) {
      this.#next = Infinity
      this.#received = true
      this.#readHead(at, bytes)
      this.#exchange?.onReadEnd()
    }
    this.#next = Infinity
    if (this.#state === state.chunked) this.#burst?.unfinished()
  }

  #readHead(from: number, bytes: number): void {
    const head = headRead.take(shared, from, bytes, this.#partial, this.#isHead, this.#limits)
    if (head instanceof Refusal) return this.#fail('invalid', head.rule)
    this.#partial = headRead.partial
    if (head === undefined) return
    if (head.status < 200) return this.#informationalHead(head, headRead.bodyFrom, bytes)
    this.#startBody(head, headRead.bodyFrom, bytes, headRead.text, headRead.textBody)
  }

  #informationalHead(head: ResponseHead, next: number, bytes: number): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    if (head.status === 101) {
      if (!this.#wantsUpgrade || !head.upgrade) return this.#fail('invalid', 'unasked-101')
      this.#state = state.tunnel
      this.#deadline = Infinity
      exchange.onUpgrade(head)
      if (this.#state === state.tunnel && next < bytes) this.#exchange?.onTunnelData(shared.subarray(next, bytes))
      return
    }
    if (++this.#informational > this.#limits.informational) return this.#fail('invalid', 'too-many-1xx')
    // Of the final answer nothing has come yet.
    this.#received = next < bytes
    exchange.onInformational(head)
    if (this.#state === state.head && next < bytes) this.#readHead(next, bytes)
  }

  /** `text` from `textBody` on holds the body's first bytes too when the read was small. */
  #startBody(head: ResponseHead, from: number, bytes: number, text: string, textBody: number): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#keepAlive = head.keepAlive && head.framing !== framing.close
    this.#idleMs = idleMs(head, this.#limits)
    this.#resting = head.announcesBody
    this.#owner.isMinor0 = head.minor === 0
    if (head.framing === framing.none) {
      this.#finish(from < bytes, from)
      return exchange.onHead(head, '', true)
    }
    if (head.framing === framing.length) {
      const available = bytes - from
      const inText = text.length - textBody === available
      if (inText && available >= head.contentLength) {
        this.#finish(available > head.contentLength, from + head.contentLength)
        return exchange.onHead(head, text.slice(textBody, textBody + head.contentLength), true)
      }
      this.#state = state.length
      this.#remaining = head.contentLength
    } else if (head.framing === framing.chunked) {
      this.#state = state.chunked
      this.#decoder = new ChunkedDecoder(this.#limits)
      this.#nominated = head.nominated
    } else this.#state = state.close
    this.#touch()
    exchange.onHead(head, '', false)
    if (from < bytes && this.#exchange === exchange) this.#readBody(from, bytes)
  }

  #readBody(from: number, bytes: number): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    if (this.#state === state.close) return exchange.onBody(shared.subarray(from, bytes))
    if (this.#state === state.length) {
      const end = Math.min(bytes, from + this.#remaining)
      this.#remaining -= end - from
      exchange.onBody(shared.subarray(from, end))
      if (this.#remaining > 0 || this.#exchange !== exchange) return
      this.#finish(end < bytes, end)
      return exchange.onComplete('')
    }
    const decoder = this.#decoder
    if (decoder === undefined) return
    const used = decoder.decode(shared.subarray(0, bytes), from, this)
    if (this.#exchange !== exchange) return
    if (used instanceof Refusal) return this.#fail('invalid', used.rule)
    if (!decoder.done) return
    this.#finish(used < bytes, used)
    exchange.onComplete(this.#nominated ? withoutFields(decoder.trailers, this.#nominated) : decoder.trailers)
  }

  /** The answer is complete, the read up to `at`: free the connection if it is clean, end it otherwise. */
  #finish(surplus: boolean, at: number): void {
    if (this.#burst !== undefined && this.#goOn(this.#burst, surplus, at)) return
    const sent = this.#requestDone && this.#writer.length === 0
    const clean = !surplus && this.#keepAlive && sent && !this.#last && this.#idleMs > 0
    this.#exchange = undefined
    this.#decoder = undefined
    if (clean) this.#becomeIdle()
    else {
      // Whoever takes the answer reads the clock as it stands now, as it does after an answer on a connection that stays.
      this.#owner.deadlines.now()
      this.destroy()
    }
  }

  /** On to the burst's next answer; false: there is none to read. */
  #goOn(burst: Burst, surplus: boolean, at: number): boolean {
    const next = this.#keepAlive ? burst.following() : undefined
    if (next === undefined) {
      this.#burst = undefined
      if (burst.isCutShort) this.#last = true
      else if (surplus) burst.surplus()
      return false
    }
    this.#served++
    this.#isHead = next.isHead
    this.#timeouts = next.timeouts
    this.#received = false
    this.#informational = 0
    if (this.#paused) this.resume()
    this.#state = state.head
    this.#awaitHead()
    this.#next = at
    return true
  }

  #becomeIdle(): void {
    this.#served++
    this.#state = state.idle
    if (this.#paused) this.resume()
    if (this.#resting) this.#deadline = this.#owner.deadlines.now()
    else this.#offer()
  }

  /** Back to the pool. */
  #offer(): void {
    this.#offeredMs = this.#owner.deadlines.now()
    this.#deadline = this.#offeredMs + this.#idleMs
    this.#owner.released(this)
  }

  readonly #onEnd = (): void => {
    this.#last = true
    switch (this.#state) {
      case state.connecting: // In the middle of a handshake.
      case state.head:
        return this.#fail('closed', 'end')
      case state.length:
      case state.chunked:
        return this.#fail('closed', 'cut')
      case state.close: {
        const exchange = this.#exchange
        if (!this.#connector.endDelimits) return this.#fail('closed', unprovenEnd)
        this.#finish(true, 0)
        exchange?.onComplete('')
        exchange?.onReadEnd()
        return
      }
      case state.tunnel:
        return this.#exchange?.onTunnelEnd()
      case state.idle:
        return this.#endIdle()
      default:
        this.destroy()
    }
  }

  #endIdle(): void {
    this.destroy()
    this.#owner.endedIdle()
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (this.#state === state.idle) return this.#endIdle()
    const code = codeOf(error)
    if (this.#state !== state.connecting) return this.#fail(brokenKind(code), code)
    const { kind, detail } = this.#connector.connectFailure(this.#socket, error)
    this.#fail(kind, detail)
  }

  readonly #onClose = (): void => {
    this.#fail('closed', 'close')
  }

  /** Ends the connection and tells its exchange, if it has one. */
  #fail(kind: FailureKind, detail: string): void {
    const exchange = this.#exchange
    const failure = { kind, detail, reused: this.#served > 0, sent: this.#isSent, received: this.#received }
    this.destroy()
    exchange?.onFailure(failure)
  }
}
