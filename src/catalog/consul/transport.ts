/**
 * The connections to one Consul address and their number: Consul shuts out a whole machine above 200 per client, so the
 * pool itself keeps the promise. Over TLS a first connection learns whether HTTP/2 is spoken; if so, four carry all.
 */
import type { Dispatcher, Pool } from 'undici'
import { undici } from '../../core/undici.ts'
import { createConnector } from './connector.ts'
import type { ConsulTls } from './options.ts'
import type { Target } from './target.ts'

/** The most connections over HTTP/1.1, whatever is asked. */
export const connectionsMax = 120
const h2Connections = 4
/** Consul allows 250 streams on a connection. */
const h2StreamsMax = 240

export class Transport {
  readonly #target: Target
  readonly #tls: ConsulTls
  #multiplexed: boolean
  #pool: Pool
  #ended = false
  readonly #retired = new Set<Pool>()

  constructor(target: Target, tls: ConsulTls) {
    this.#target = target
    this.#tls = tls
    this.#multiplexed = target.secure
    this.#pool = this.#open()
  }

  /** True while many requests share few connections. Until the first TLS connection stands this is a hope. */
  get multiplexed(): boolean {
    return this.#multiplexed
  }

  async request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
    return await this.#pool.request(options)
  }

  /** Gives up all connections: what is under way fails, and what comes next connects anew. */
  reset(): void {
    const old = this.#pool
    this.#pool = this.#open()
    void old.destroy()
  }

  async destroy(): Promise<void> {
    this.#ended = true
    await Promise.all([this.#pool, ...this.#retired].map(async (pool) => pool.destroy()))
  }

  #open(): Pool {
    const connect = createConnector(this.#target, this.#tls, (protocol) => this.#agreed(protocol === 'h2'))
    return new (undici().Pool)(this.#target.origin, {
      connect,
      connections: this.#multiplexed ? h2Connections : connectionsMax,
      pipelining: 1,
      allowH2: this.#target.secure,
      h2Options: { maxConcurrentStreams: h2StreamsMax, pingInterval: 15_000 },
      // The client has one deadline of its own for head and body.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
    })
  }

  /** A pool made for the other protocol is replaced; what runs on it ends there. */
  #agreed(multiplexed: boolean): void {
    if (multiplexed === this.#multiplexed || this.#ended) return
    this.#multiplexed = multiplexed
    const old = this.#pool
    this.#pool = this.#open()
    this.#retired.add(old)
    void old.close().finally(() => this.#retired.delete(old))
  }
}
