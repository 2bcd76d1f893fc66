/** The two sides of a client's connection: whoever answers its requests, and the listener that accepted it. Types only. */
import type { Deadlines } from './deadlines.ts'
import type { WireLimits } from './limits.ts'
import type { RequestHead } from './request-head.ts'
import type { ServerConnection } from './server-connection.ts'
import type { Refusal } from './syntax.ts'

export type GoneReason =
  | 'client-gone' // it closed or broke
  | 'write-stall' // it took nothing of its answer for too long
  | 'tunnel-idle'
  | 'shutdown' // we ended it

/** Serves the requests of one connection, one after the other. Each ends with `finish` or `abort` on the connection. */
export interface ServerExchange {
  /**
   * A valid head; if it has a body, that follows through onBody and onBodyEnd. `bodyNow`: its first bytes came in the same
   * read, and onBodyRead follows before anything else happens.
   */
  onRequest(head: RequestHead, bodyNow: boolean): void
  /**
   * Bytes that were no valid head, or not in time. To be answered with the refusal's status and closed. `isHead`: as far
   * as one can tell it was a HEAD request, whose answer has no body.
   */
  onRefused(refusal: Refusal, isHead: boolean): void
  /** Decoded body bytes. Whoever keeps them beyond the call says so by `keepRead`. */
  onBody(bytes: Buffer): void
  onBodyEnd(): void
  /** All that one read brought of the body has been told. */
  onBodyRead(): void
  /** The rest of the body will not come: malformed, too large or too slow. To be answered if nothing was, and closed. */
  onBodyRefused(refusal: Refusal): void
  /** The answer's bytes have left: more may be written. */
  onWritable(): void
  /** The connection ended before the answer was complete. */
  onGone(why: GoneReason): void
  /** The time to finish in is over: answer now if nothing was sent, else let it be seen that the answer is cut. */
  onExpired(): void
  /** Bytes of the tunnel; as with onBody. */
  onTunnelData(bytes: Buffer): void
  onTunnelEnd(): void
}

/** What a connection needs of the listener that accepted it. */
export interface ServerOwner {
  readonly deadlines: Deadlines
  readonly limits: WireLimits
  /** True once clients are to go elsewhere: answers close their connections. */
  readonly leaving: boolean
  /** True once this process takes no new requests. */
  readonly draining: boolean
  exchangeFor(connection: ServerConnection): ServerExchange
  /** Whether that address is a peer whose words on forwarding are believed. */
  trusts(address: string): boolean
  closed(connection: ServerConnection): void
}
