/**
 * What Consul sees of Fairlead: a TCP relay before the agent that counts connections and requests and changes nothing.
 * It must not know what the requests mean beyond the kind of path they ask for.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

export interface Counts {
  /** Connections open now. */
  readonly open: number
  /** The most that were open at once. */
  readonly openPeak: number
  /** Connections accepted so far. */
  readonly accepted: number
  /** Requests so far, by the first two segments below /v1, such as `health/service`. */
  readonly requests: ReadonlyMap<string, number>
}

/** The kinds of request begun in a piece of a client's bytes. Clients do not pipeline: a request begins its own piece. */
export function requestKinds(piece: string): readonly string[] {
  return [...piece.matchAll(/(?:^|\r\n)(?:GET|PUT|DELETE) \/v1\/([\w-]+(?:\/[\w-]+)?)[^ ]* HTTP\/1\.1\r\n/g)].map(
    (match) => match[1] ?? '',
  )
}

export class CountingRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #open = 0
  #openPeak = 0
  #accepted = 0
  readonly #requests = new Map<string, number>()

  /** Relays to `port` on 127.0.0.1. */
  constructor(port: number) {
    this.#server = createServer({ noDelay: true }, (client) => this.#relay(client, port))
  }

  /** Starts to listen; resolves with the port. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  counts(): Counts {
    const requests = new Map(this.#requests)
    return { open: this.#open, openPeak: this.#openPeak, accepted: this.#accepted, requests }
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #relay(client: Socket, port: number): void {
    this.#accepted++
    this.#openPeak = Math.max(this.#openPeak, ++this.#open)
    const agent = connect({ port, host: '127.0.0.1', noDelay: true })
    for (const socket of [client, agent]) {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => this.#sockets.delete(socket))
    }
    client.on('close', () => {
      this.#open--
      agent.destroy()
    })
    agent.on('close', () => client.destroy())
    client.on('data', (chunk: Buffer) => {
      for (const kind of requestKinds(chunk.toString('latin1')))
        this.#requests.set(kind, (this.#requests.get(kind) ?? 0) + 1)
    })
    client.pipe(agent)
    agent.pipe(client)
  }
}

/** What came between two counts. */
export function requestsBetween(before: Counts, after: Counts): ReadonlyMap<string, number> {
  const between = new Map<string, number>()
  for (const [kind, count] of after.requests) {
    const more = count - (before.requests.get(kind) ?? 0)
    if (more > 0) between.set(kind, more)
  }
  return between
}
