/**
 * One listening socket, had several times, and the client connections it accepted. Owns accepting, the caps on connections, and
 * whose forwarding headers are believed; what a request means is the exchange's.
 */
import { BlockList, type Server, type Socket, createServer, isIP, isIPv6 } from 'node:net'
import { type CopySocket, type Inherit, listenBacklog as backlog } from '../core/inherit.ts'
import { isInUse, listenError } from '../core/listen-error.ts'
import type { Deadlines } from '../wire/deadlines.ts'
import type { WireLimits } from '../wire/limits.ts'
import { ServerConnection } from '../wire/server-connection.ts'
import type { ServerExchange, ServerOwner } from '../wire/server-exchange.ts'
import type { ListenerAddress, ListenerOptions } from './options.ts'
import { plainAddress } from './upstream-head.ts'

/**
 * How many connections a listener accepts in a turn of the loop: it has its socket so many times, of which Node takes one each. A
 * turn of a process that is full of work lasts some 9 ms, so that one at a time would be 110 a second, and 16 are 1,700. Each
 * costs 3 µs of CPU in a turn in which somebody came and it found nobody: bench/README.md has the figures.
 */
export const acceptsPerTurn = 16

/** What all listeners of a process share. */
export interface ListenerHost {
  readonly deadlines: Deadlines
  readonly limits: WireLimits
  /** Other processes of this proxy listen on the same ports; the system shares connections among them. */
  readonly sharesPorts: boolean
  /** Asked first for a socket; undefined: a new one is opened. */
  readonly inherit?: Inherit | undefined
  /** Absent: a listener has its socket once. */
  readonly copySocket?: CopySocket | undefined
  createExchange(connection: ServerConnection): ServerExchange
  /** Takes a place among all client connections, or says that there is none for this address. */
  admit(address: string): boolean
  release(address: string): void
  warn(fields: object, message: string): void
}

export class Listener implements ServerOwner {
  /** As last adopted. */
  options: ListenerOptions
  readonly connections: Set<ServerConnection> = new Set()
  draining = false
  leaving = false
  readonly #host: ListenerHost
  /** The first one has the socket itself, the others copies. */
  readonly #servers: Server[] = []
  #trusted: BlockList
  #address: ListenerAddress | undefined

  constructor(host: ListenerHost, options: ListenerOptions) {
    this.#host = host
    this.options = options
    this.#trusted = blockList(options.trust)
  }

  get deadlines(): Deadlines {
    return this.#host.deadlines
  }

  get limits(): WireLimits {
    return this.#host.limits
  }

  /** Where it listens; undefined before `open`. */
  get address(): ListenerAddress | undefined {
    return this.#address
  }

  /** Binds; rejects with FL_LISTEN that names the address and the cause. */
  async open(): Promise<ListenerAddress> {
    const { name, host, port } = this.options
    const { copySocket } = this.#host
    const inherited = await this.#host.inherit?.(host, port)
    const server = await this.#bind(inherited).catch(async (error: unknown) => {
      if (!copySocket?.settled || !isInUse(error)) throw error
      // It may have been ours a moment ago.
      await copySocket.settled()
      return this.#bind(undefined)
    })
    const bound = server.address()
    this.#address = { name, host, port: typeof bound === 'object' && bound !== null ? bound.port : port }
    copySocket?.(server, acceptsPerTurn - 1, (copy) => this.#join(copy))
    return this.#address
  }

  async #bind(inherited: Server | undefined): Promise<Server> {
    const { name, host, port } = this.options
    const server = this.#createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const where = `${host}:${port}`
        const shown = name === where ? where : `${where} (${name})`
        reject(listenError(`the listener ${shown}`, 'the setting listen[].address', error))
      })
      if (inherited) server.listen(inherited, backlog, resolve)
      else server.listen({ host, port, backlog, reusePort: this.#host.sharesPorts }, resolve)
    })
    server.removeAllListeners('error')
    this.#watch(server)
    this.#servers.push(server)
    return server
  }

  exchangeFor(connection: ServerConnection): ServerExchange {
    return this.#host.createExchange(connection)
  }

  closed(connection: ServerConnection): void {
    if (this.connections.delete(connection)) this.#host.release(connection.remoteAddress)
  }

  /** From now on the answer to each connection's next request is its last. */
  leave(): void {
    this.leaving = true
  }

  /** Stops accepting and ends idle connections; the others end with their answer. Idempotent. */
  drain(): void {
    if (this.draining) return
    this.draining = true
    for (const server of this.#servers) server.close()
    for (const connection of this.connections) connection.drain()
  }

  /** Requests under way are answered or cut now. */
  expire(): void {
    for (const connection of this.connections) connection.expire()
  }

  /** Ends every connection at once, too. */
  destroy(): void {
    this.drain()
    for (const connection of this.connections) connection.destroy()
  }

  #createServer(): Server {
    return createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => this.#accept(socket))
  }

  #watch(server: Server): void {
    server.on('error', (error) =>
      this.#host.warn({ listener: this.options.name, error: error.message }, 'accepting failed'),
    )
  }

  /** Accepts by way of a copy of the socket as well. */
  #join(copy: Server): void {
    const server = this.#createServer()
    this.#watch(server)
    this.#servers.push(server)
    server.listen(copy, backlog)
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress
    if (address === undefined || this.draining) return void socket.destroy()
    if (!this.#host.admit(address)) {
      socket.on('error', () => socket.destroy())
      return void socket.destroy()
    }
    this.connections.add(new ServerConnection(this, socket, this.trusts(address)))
  }

  /** Takes over what is new in settings that keep the socket; for connections accepted from now on. */
  adopt(options: ListenerOptions): void {
    this.options = options
    this.#trusted = blockList(options.trust)
    if (this.#address) this.#address = { ...this.#address, name: options.name }
  }

  trusts(address: string): boolean {
    const plain = plainAddress(address)
    return (
      isIP(plain) !== 0 && this.options.trust.length > 0 && this.#trusted.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
    )
  }
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}
