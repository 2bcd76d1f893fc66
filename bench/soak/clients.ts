/**
 * The soak's clients: many keep-alive connections with a modest rate, quick and slow requests among them, and WebSockets that last
 * as well as some that come and go. They count, and keep what failed. Each answer is checked whole, as in `test/faults`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Asked, type Load, type Sent, startLoad } from '../../test/faults/lib/client.ts'
import { hasFailed } from '../../test/faults/lib/figures.ts'
import { becomeWebSocketAt, echo, Held } from '../lib/held-connections.ts'

export interface ClientSettings {
  readonly port: number
  /** Paths are `/NAME/…`. */
  readonly services: readonly string[]
  /** Whose instances stay: that of the WebSockets that last. */
  readonly lasting: string
  readonly connections: number
  /** Over all connections. */
  readonly requestsPerS: number
  /** Half of them last for the whole run, the others for `slowMs`. */
  readonly webSockets: number
  /** How long a slow request, and a WebSocket that comes and goes, takes, ms. */
  readonly slowMs: number
  /** Length of each path's query: the longer, the longer are lines of the access log. */
  readonly queryChars: number
}

/** With one request, and one step of a WebSocket: long, since a machine that is too busy is not what is asked about. */
const patienceMs = 60_000
/** Failures that are told one by one. */
const toldMax = 20
/** Of 20 requests: one slow download, one slow upload, three POSTs of 1 kB, the others small and quick. */
export function askOf(service: string, slowMs: number, queryChars: number): (n: number) => Asked {
  const query = `session=${'x'.repeat(queryChars)}`
  return (n) => {
    switch (n % 20) {
      case 3:
        return { method: 'GET', path: `/${service}/stream?ms=${slowMs}&bytes=20000&${query}`, bodyBytes: 0 }
      case 7:
        return { method: 'POST', path: `/${service}/work?${query}`, bodyBytes: 20_000, bodyOverMs: slowMs }
      case 5:
      case 11:
      case 17:
        return { method: 'POST', path: `/${service}/work?${query}`, bodyBytes: 1_000 }
      default:
        return { method: 'GET', path: `/${service}/work?${query}`, bodyBytes: 0 }
    }
  }
}

const tell = ({ id, method, path, outcome, status, startMs, endMs, instance, detail }: Sent): string =>
  `${id} ${method} ${path.split(/[?&]session/, 1)[0]} ${outcome} ${status} after ${Math.round(endMs - startMs)} ms ${instance} ${detail}`.trimEnd()

export class SoakClients {
  /** In words, the first of them. */
  readonly failures: string[] = []
  readonly #settings: ClientSettings
  readonly #loads: readonly Load[]
  readonly #sockets: Promise<void>[]
  #failed = 0
  #socketsOpened = 0
  #echoes = 0
  #slowestMs = 0
  #stopped = false
  readonly #stop = new AbortController()

  constructor(settings: ClientSettings) {
    this.#settings = settings
    const { services, port, slowMs, queryChars, webSockets } = settings
    const share = (whole: number, at: number): number =>
      Math.floor(((at + 1) * whole) / services.length) - Math.floor((at * whole) / services.length)
    this.#loads = services.map((service, at) =>
      startLoad({
        port,
        service,
        name: `${service}-`,
        connections: share(settings.connections, at),
        rate: settings.requestsPerS / services.length,
        ask: askOf(service, slowMs, queryChars),
        timeoutMs: patienceMs,
        keep: (sent) => this.#ended(sent),
      }),
    )
    this.#sockets = Array.from({ length: webSockets }, async (_, at) => {
      // They do not all come at once, nor go.
      await this.#pause((at * slowMs) / webSockets)
      const service = services[at % services.length] ?? ''
      while (!this.#stopped)
        if (at < webSockets / 2) await this.#useSocket(settings.lasting, at, Infinity)
        else await this.#useSocket(service, at, slowMs)
    })
  }

  /** Requests that ended, upgrades not among them. */
  get requests(): number {
    return this.#loads.reduce((sum, load) => sum + load.ended(), 0)
  }

  get failed(): number {
    return this.#failed
  }

  get socketsOpened(): number {
    return this.#socketsOpened
  }

  get echoes(): number {
    return this.#echoes
  }

  get slowestMs(): number {
    return this.#slowestMs
  }

  /** Resolves when all that was under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stop.abort()
    await Promise.all([...this.#loads.map((load) => load.stop()), ...this.#sockets])
  }

  #ended(sent: Sent): boolean {
    this.#slowestMs = Math.max(this.#slowestMs, sent.endMs - sent.startMs)
    if (hasFailed(sent)) this.#fail(tell(sent))
    return false
  }

  #fail(what: string): void {
    this.#failed++
    if (this.failures.length < toldMax) this.failures.push(what)
  }

  /** Opens one, lets it echo every now and then, and ends it after so long, or with the run. */
  async #useSocket(service: string, at: number, forMs: number): Promise<void> {
    const endMs = performance.now() + forMs
    const held = new Held(this.#settings.port, patienceMs)
    this.#socketsOpened++
    let step = 'opening'
    try {
      await becomeWebSocketAt(held, `/${service}/echo`)
      for (let n = 0; !this.#stopped && performance.now() < endMs; n++) {
        step = `echo ${n}`
        await echo(held, `${service} ${at} ${n}`)
        this.#echoes++
        await this.#pause(this.#settings.slowMs / 3)
      }
    } catch (error) {
      this.#fail(`WebSocket ${at} of ${service}, ${step}: ${String(error)}`)
      await this.#pause(1_000)
    } finally {
      held.reset()
    }
  }

  async #pause(ms: number): Promise<void> {
    try {
      await delay(ms, undefined, { signal: this.#stop.signal })
    } catch {
      // The run is over.
    }
  }
}
