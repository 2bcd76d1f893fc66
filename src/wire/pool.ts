/**
 * The connections to one endpoint: the idle ones, latest first, and a bound on all of them. Owns their lives;
 * it must not know why somebody wants one. Drain (`close`) and `destroy` are different verbs.
 */
import type { Seat } from './burst.ts'
import { ClientConnection } from './client-connection.ts'
import type { ConnectionOwner } from './client-exchange.ts'
import { type Connector, plainConnector } from './connector.ts'
import type { Deadlines } from './deadlines.ts'
import type { WireLimits } from './limits.ts'
import { Pipelining, type PipeliningOptions, type PipeliningPause, type PipeliningTrouble } from './pipelining.ts'
import { sameTls, type TellDistrust, TlsConnector, type TlsOptions } from './tls.ts'

/** Idle connections that the other side ends within this long ended together, ms. */
const endedTogetherMs = 100

export class Pool implements ConnectionOwner {
  readonly host: string
  readonly port: number
  readonly deadlines: Deadlines
  readonly #limits: () => WireLimits
  readonly #idle: ClientConnection[] = []
  readonly #all = new Set<ClientConnection>()
  readonly #onEnded: (() => void) | undefined
  readonly #onPause: ((reason: PipeliningTrouble, forMs: number) => void) | undefined
  readonly #tellDistrust: TellDistrust | undefined
  #pipelining: Pipelining | undefined
  #closing = false
  #tls: TlsOptions | undefined
  connector: Connector = plainConnector
  /** The last answer was HTTP/1.0's: no chunks may be sent there (RFC 9112 section 6.1). */
  isMinor0 = false
  /** How many idle connections the other side has ended since `#endedMs`. */
  #ended = 0
  #endedMs = -Infinity

  /**
   * `limits` is asked anew each time, so that a changed setting holds at once. `onEnded`: the other side has ended all idle
   * connections, and at least two of them, at once. `onPause`: nothing is pipelined for so many ms, and why.
   * `tellDistrust`: see {@link TlsConnector}.
   */
  constructor(
    host: string,
    port: number,
    deadlines: Deadlines,
    limits: () => WireLimits,
    onEnded?: () => void,
    onPause?: (reason: PipeliningTrouble, forMs: number) => void,
    tellDistrust?: TellDistrust,
  ) {
    this.host = host
    this.port = port
    this.deadlines = deadlines
    this.#limits = limits
    this.#onEnded = onEnded
    this.#onPause = onPause
    this.#tellDistrust = tellDistrust
  }

  get limits(): WireLimits {
    return this.#limits()
  }

  /**
   * How connections are made from now on; undefined: plain, as at first. Of those made otherwise the idle ones end now, busy
   * ones after their answer. Nothing happens while `tls` says what it said.
   */
  useTls(tls: TlsOptions | undefined): void {
    if (sameTls(tls, this.#tls)) return
    this.#tls = tls
    this.connector = tls ? new TlsConnector(tls, this.#tellDistrust) : plainConnector
    for (const connection of this.#all) connection.retire()
  }

  /** Connections that stand or are being made. */
  get open(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.length
  }

  /** No connection is to be had now: as many as may be are in use. */
  get isFull(): boolean {
    return this.#idle.length === 0 && this.#all.size >= this.limits.connectionsPerEndpoint
  }

  /**
   * An idle connection, else a new one that is connecting; undefined when the endpoint has as many as it may.
   * `idleMsMax`: how long it may have been idle at most. Infinity for requests that may be repeated; less for those that
   * may not, since the other side closes what has been idle for long; 0: a new one, for a request that met a stale one.
   */
  acquire(idleMsMax: number): ClientConnection | undefined {
    const latest = this.#idle.length > 0 && idleMsMax > 0 ? this.#idle.at(-1) : undefined
    if (latest !== undefined && (idleMsMax === Infinity || this.deadlines.now() - latest.offeredMs <= idleMsMax)) {
      this.#idle.pop()
      return latest
    }
    if (this.#all.size >= this.limits.connectionsPerEndpoint) {
      // One that is idle, and not wanted, makes room.
      const oldest = this.#idle[0]
      if (oldest === undefined) return undefined
      oldest.destroy()
    }
    const made = new ClientConnection(this, this.host, this.port)
    this.#all.add(made)
    return made
  }

  /**
   * A seat for a request that may be repeated and has no body, to leave together with others of this turn of the loop; the
   * caller begins it at once. Undefined: it has to go alone.
   */
  join(options: PipeliningOptions): Seat | undefined {
    this.#pipelining ??= new Pipelining(
      this.deadlines,
      { take: () => this.#idle.pop(), putBack: (connection) => this.released(connection) },
      (reason, forMs) => this.#onPause?.(reason, forMs),
    )
    return this.#pipelining.join(options)
  }

  /** Why nothing is pipelined for a while; undefined: it is, where it is asked for. */
  get pipeliningPause(): PipeliningPause | undefined {
    return this.#pipelining?.pause
  }

  released(connection: ClientConnection): void {
    if (this.#closing || this.#idle.length >= this.limits.idleConnectionsPerEndpoint) return connection.destroy()
    this.#idle.push(connection)
  }

  gone(connection: ClientConnection, wasIdle: boolean): void {
    this.#all.delete(connection)
    if (!wasIdle) return
    const place = this.#idle.lastIndexOf(connection)
    if (place >= 0) this.#idle.splice(place, 1)
  }

  endedIdle(): void {
    const now = this.deadlines.now()
    if (now - this.#endedMs > endedTogetherMs) {
      this.#ended = 0
      this.#endedMs = now
    }
    if (++this.#ended >= 2 && this.#idle.length === 0 && !this.#closing) {
      this.#ended = 0
      this.#onEnded?.()
    }
  }

  /** Drain: idle connections end now, busy ones after their answer. */
  close(): void {
    this.#closing = true
    for (let last = this.#idle.at(-1); last !== undefined; last = this.#idle.at(-1)) last.destroy()
  }

  /** Ends every connection at once. */
  destroy(): void {
    this.#closing = true
    this.#pipelining?.close()
    for (const connection of this.#all) connection.destroy()
  }
}
