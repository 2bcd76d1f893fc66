/**
 * One try of a request at one endpoint: takes a connection, sends head and body, hands the answer to its exchange. Knows
 * the facts of its failure; deciding what follows is the exchange's. An attempt that was replaced is never heard again.
 */
import { stepMedian } from '../core/step-median.ts'
import type { ActiveAttempt, BoundEndpoint, EndpointState, VersionStats } from '../live/runtime.ts'
import { BodyWriter } from '../wire/body-writer.ts'
import type { Carrier, PipelinedExchange, UpstreamTimeouts } from '../wire/client-exchange.ts'
import type { Deadlines } from '../wire/deadlines.ts'
import type { Failure } from '../wire/failure.ts'
import type { ResponseHead } from '../wire/response-head.ts'

/** Takes what an attempt brings. */
export interface AttemptOwner {
  /** A connection stands: send the request now. */
  attemptReady(attempt: Attempt): void
  attemptInformational(head: ResponseHead): void
  attemptHead(attempt: Attempt, head: ResponseHead, body: string, complete: boolean): void
  attemptBody(bytes: Buffer): void
  attemptReadEnd(): void
  attemptComplete(attempt: Attempt, trailers: string): void
  attemptFailed(attempt: Attempt, failure: Failure): void
  attemptWritable(): void
  attemptUpgraded(attempt: Attempt, head: ResponseHead): void
  attemptTunnelData(bytes: Buffer): void
  attemptTunnelEnd(): void
  /** It waits behind another's answer that takes long. True: it was left, to be made again; false: it stays. */
  attemptDisplaced(attempt: Attempt): boolean
  /** The endpoint was ejected (see `ActiveAttempt.ejected`). */
  attemptEjected(attempt: Attempt, proven: boolean): void
  /** The endpoint has been leaving for as long as it may. */
  attemptExpired(attempt: Attempt): void
  /** The endpoint is no longer held; `outcome` is a word for the counts. */
  attemptEnded(attempt: Attempt, outcome: string): void
}

export class Attempt implements PipelinedExchange, ActiveAttempt {
  slot: number
  waitingSinceMs: number = Infinity
  isTunnel = false
  readonly endpoint: BoundEndpoint
  readonly stats: VersionStats
  readonly #owner: AttemptOwner
  readonly #connection: Carrier
  readonly #deadlines: Deadlines
  /** The body goes out in chunks. */
  #chunked = false
  /** The request's head has been sent. */
  started = false
  #body: BodyWriter | undefined
  /** What comes now leaves together with the head. */
  #joins = false
  #ended = false

  constructor(
    owner: AttemptOwner,
    endpoint: BoundEndpoint,
    stats: VersionStats,
    connection: Carrier,
    deadlines: Deadlines,
  ) {
    this.#owner = owner
    this.endpoint = endpoint
    this.stats = stats
    this.#connection = connection
    this.#deadlines = deadlines
    endpoint.state.inFlight++
    this.slot = endpoint.state.attempts.push(this) - 1
  }

  /** Begins; attemptReady follows, at once where the connection stands already. */
  begin(isHead: boolean, upgrade: boolean, timeouts: UpstreamTimeouts): void {
    const ready = this.#connection.isReady
    this.#connection.begin(this, isHead, upgrade, timeouts)
    this.waitingSinceMs = this.#deadlines.recentMs
    if (ready) this.#owner.attemptReady(this)
  }

  /** Sends the head of a request without a body. */
  sendWhole(head: string): void {
    this.started = true
    this.waitingSinceMs = this.#deadlines.recentMs
    this.#connection.requestDone()
    this.#connection.write(head)
  }

  /** Nothing is sent before the body is whole: the client's own timeouts govern meanwhile. */
  awaitBody(): void {
    this.waitingSinceMs = Infinity
    this.#connection.bodyFollows()
  }

  /** Sends the head, with what follows it before `flush`; a body follows. */
  sendHead(head: string, chunked: boolean): void {
    this.started = true
    this.waitingSinceMs = Infinity
    this.#connection.bodyFollows()
    this.#joins = true
    this.#chunked = chunked
    this.#body ??= new BodyWriter(this.#connection)
    this.#body.begin(head, chunked)
  }

  /** Sends body bytes in the request's own framing; false: wait for attemptWritable. They may be kept. */
  sendBody(bytes: Buffer): boolean {
    if (this.#joins || this.#chunked) return this.#body?.add(bytes) ?? false
    return this.#connection.writeBytes(bytes)
  }

  /** All that one read brought has been given: what is kept of it leaves; false: wait for attemptWritable. */
  flush(): boolean {
    this.#joins = false
    return this.#body?.flush() ?? true
  }

  /** The body is complete. */
  endBody(): void {
    this.waitingSinceMs = this.#deadlines.recentMs
    this.#connection.requestDone()
    this.#body?.end('')
  }

  pauseAnswer(): void {
    this.#connection.pause()
  }

  resumeAnswer(): void {
    this.#connection.resume()
  }

  /** Into the tunnel; false: wait for attemptWritable. They may be kept. */
  sendTunnel(bytes: Buffer): boolean {
    return this.#connection.writeBytes(bytes)
  }

  endTunnel(): void {
    this.#connection.endTunnel()
  }

  /** Both sides of the tunnel have ended in order. */
  finishTunnel(): void {
    this.#connection.finishTunnel()
    this.#end('success')
  }

  /** Gives up: the connection ends, nothing more is told. */
  cancel(outcome: string): void {
    if (this.#ended) return
    this.#connection.cancel()
    this.#end(outcome)
  }

  onConnected(): void {
    this.#owner.attemptReady(this)
  }

  ejected(proven: boolean): void {
    this.#owner.attemptEjected(this, proven)
  }

  expire(): void {
    this.#owner.attemptExpired(this)
  }

  onInformational(head: ResponseHead): void {
    this.endpoint.state.lastLifeMs = this.#deadlines.recentMs
    this.#owner.attemptInformational(head)
  }

  onHead(head: ResponseHead, body: string, complete: boolean): void {
    const nowMs = this.#deadlines.recentMs
    noteFirstByte(this.endpoint.state, nowMs, nowMs - this.waitingSinceMs)
    this.waitingSinceMs = Infinity
    if (complete) this.#end('success')
    this.#owner.attemptHead(this, head, body, complete)
  }

  onBody(bytes: Buffer): void {
    this.endpoint.state.lastLifeMs = this.#deadlines.recentMs
    this.#owner.attemptBody(bytes)
  }

  onReadEnd(): void {
    if (!this.#ended) this.#owner.attemptReadEnd()
  }

  onComplete(trailers: string): void {
    this.#end('success')
    this.#owner.attemptComplete(this, trailers)
  }

  onFailure(failure: Failure): void {
    this.#end(failure.kind)
    this.#owner.attemptFailed(this, failure)
  }

  onWritable(): void {
    this.#owner.attemptWritable()
  }

  onUpgrade(head: ResponseHead): void {
    this.endpoint.state.lastLifeMs = this.#deadlines.recentMs
    this.waitingSinceMs = Infinity
    this.isTunnel = true
    this.#owner.attemptUpgraded(this, head)
  }

  onTunnelData(bytes: Buffer): void {
    this.#owner.attemptTunnelData(bytes)
  }

  onTunnelEnd(): void {
    this.#owner.attemptTunnelEnd()
  }

  onDisplaced(): boolean {
    // It has a place, and would lose by leaving it where it can get no connection, or the endpoint gets nothing new.
    const { open, draining, pool } = this.endpoint.state
    return open && !draining && !pool.isFull && this.#owner.attemptDisplaced(this)
  }

  /** It is displaced, and gives way to another. */
  leave(): void {
    this.#end('displaced')
  }

  #end(outcome: string): void {
    if (this.#ended) return
    this.#ended = true
    const { state } = this.endpoint
    state.inFlight--
    const last = state.attempts.pop() ?? this
    if (last !== this) {
      last.slot = this.slot
      state.attempts[this.slot] = last
    }
    this.#owner.attemptEnded(this, outcome)
  }
}

/** Keeps the running median of the time to a first byte. */
function noteFirstByte(state: EndpointState, nowMs: number, tookMs: number): void {
  state.lastLifeMs = nowMs
  state.answers++
  if (tookMs >= 0) state.usualMs = stepMedian(state.usualMs, tookMs)
}
