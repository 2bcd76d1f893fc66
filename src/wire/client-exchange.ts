/** The two sides of a connection to an upstream: whoever uses it for a request, and the pool that owns it. Types only. */
import type { BodySink } from './body-writer.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Connector } from './connector.ts'
import type { Deadlines } from './deadlines.ts'
import type { Failure } from './failure.ts'
import type { WireLimits } from './limits.ts'
import type { ResponseHead } from './response-head.ts'

export interface UpstreamTimeouts {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly idleMs: number
}

/** Who sent the request and takes the answer. Exactly one of complete answer, onComplete and onFailure ends it. */
export interface ClientExchange {
  /** A new connection stands; only for connections that were not ready at once. */
  onConnected(): void
  /** A 1xx other than 101. */
  onInformational(head: ResponseHead): void
  /**
   * The final head, and the first bytes of the decoded body as latin1. `complete`: that is all of the answer, and the
   * connection is already free for others.
   */
  onHead(head: ResponseHead, body: string, complete: boolean): void
  /** More of the decoded body, lent for the call. */
  onBody(bytes: Buffer): void
  /** All that one read brought has been told. */
  onReadEnd(): void
  /** The rest of the answer is in; trailers are well-formed lines or ''. */
  onComplete(trailers: string): void
  onFailure(failure: Failure): void
  /** What was written has left: more may be written. */
  onWritable(): void
  /** A 101 came to a request that asked for it; from here on the connection is a tunnel. */
  onUpgrade(head: ResponseHead): void
  /** Bytes of the tunnel, lent for the call. */
  onTunnelData(bytes: Buffer): void
  /** The tunnel's other end sends no more. */
  onTunnelEnd(): void
}

/** An exchange that may share a connection with others. */
export interface PipelinedExchange extends ClientExchange {
  /**
   * It waits behind another's answer that takes long. True: it has left to be made again, and hears nothing more; false: it
   * stays.
   */
  onDisplaced(): boolean
}

/** What carries one request to its upstream: a connection, or a seat among others on one. See `ClientConnection`. */
export interface Carrier extends BodySink {
  readonly isReady: boolean
  writeBytes(bytes: Buffer): boolean
  begin(exchange: PipelinedExchange, isHead: boolean, wantsUpgrade: boolean, timeouts: UpstreamTimeouts): void
  bodyFollows(): void
  requestDone(): void
  pause(): void
  resume(): void
  endTunnel(): void
  finishTunnel(): void
  cancel(): void
}

/** What a connection needs of the pool that owns it. */
export interface ConnectionOwner {
  readonly deadlines: Deadlines
  readonly limits: WireLimits
  /** For new connections. */
  readonly connector: Connector
  /** The last answer was HTTP/1.0's. */
  isMinor0: boolean
  /** The connection is free and clean. */
  released(connection: ClientConnection): void
  /** The connection is gone; `wasIdle`: while nobody used it. */
  gone(connection: ClientConnection, wasIdle: boolean): void
  /** The other side ended the connection while it was idle; `gone` has been called. */
  endedIdle(): void
}
