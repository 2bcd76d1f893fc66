/**
 * The connections to one endpoint: the idle ones, latest first, and a bound on all of them. Owns their lives;
 * it must not know why somebody wants one. Drain (`close`) and `destroy` are different verbs.
 */
import { ClientConnection } from './client-connection.ts'
import type { ConnectionOwner } from './client-exchange.ts'
import type { Deadlines } from './deadlines.ts'
import type { WireLimits } from './limits.ts'

export class Pool implements ConnectionOwner {
  readonly host: string
  readonly port: number
  readonly deadlines: Deadlines
  readonly #limits: () => WireLimits
  readonly #idle: ClientConnection[] = []
  readonly #all = new Set<ClientConnection>()
  #closing = false

  /** `limits` is asked anew each time, so that a changed setting holds at once. */
  constructor(host: string, port: number, deadlines: Deadlines, limits: () => WireLimits) {
    this.host = host
    this.port = port
    this.deadlines = deadlines
    this.#limits = limits
  }

  get limits(): WireLimits {
    return this.#limits()
  }

  /** Connections that stand or are being made. */
  get open(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.length
  }

  /**
   * An idle connection, else a new one that is connecting; undefined when the endpoint has as many as it may.
   * `fresh`: a new one even where idle ones stand, for a request that met a stale one.
   */
  acquire(fresh: boolean): ClientConnection | undefined {
    const idle = fresh ? undefined : this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#all.size >= this.limits.connectionsPerEndpoint) return undefined
    const made = new ClientConnection(this, this.host, this.port)
    this.#all.add(made)
    return made
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

  /** Drain: idle connections end now, busy ones after their answer. */
  close(): void {
    this.#closing = true
    for (let last = this.#idle.at(-1); last !== undefined; last = this.#idle.at(-1)) last.destroy()
  }

  /** Ends every connection at once. */
  destroy(): void {
    this.#closing = true
    for (const connection of this.#all) connection.cancel()
  }
}
