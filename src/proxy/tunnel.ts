/**
 * Two connections joined after a 101: bytes both ways unread, with back-pressure, half-close passed on, and one idle
 * timeout for both. Ends when both sides have ended or either breaks. Source: RFC 9110 section 7.8, RFC 6455 section 7.
 */
import type { ServerConnection } from '../wire/server-connection.ts'
import type { Attempt } from './attempt.ts'

export class Tunnel {
  readonly #client: ServerConnection
  readonly #upstream: Attempt
  readonly #done: () => void
  #clientEnded = false
  #upstreamEnded = false

  /** `done` is called once both sides have ended in order. */
  constructor(client: ServerConnection, upstream: Attempt, done: () => void) {
    this.#client = client
    this.#upstream = upstream
    this.#done = done
  }

  fromClient(bytes: Buffer): void {
    this.#client.touchTunnel()
    if (!this.#upstream.sendTunnel(bytes)) this.#client.pauseTunnel()
  }

  /** `bytes` are lent. */
  fromUpstream(bytes: Buffer): void {
    this.#client.touchTunnel()
    if (!this.#client.writeLent('', bytes, '')) this.#upstream.pauseAnswer()
  }

  clientWritable(): void {
    this.#upstream.resumeAnswer()
  }

  upstreamWritable(): void {
    this.#client.resumeTunnel()
  }

  clientEnded(): void {
    if (this.#clientEnded) return
    this.#clientEnded = true
    if (this.#upstreamEnded) this.#done()
    else this.#upstream.endTunnel()
  }

  upstreamEnded(): void {
    if (this.#upstreamEnded) return
    this.#upstreamEnded = true
    if (this.#clientEnded) this.#done()
    else this.#client.endTunnel()
  }
}
