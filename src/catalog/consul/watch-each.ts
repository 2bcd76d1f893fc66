/**
 * The fast scheme, for as many services as connections allow: one blocking query for each, so that a change is known
 * the moment Consul knows it. It must only be told of services that exist: Consul wakes a watch of an absent name on
 * every change of any service.
 */
import { type Scheme, type ServiceReader, serviceKey } from './service-reader.ts'
import { watch } from './watch.ts'

const rate = { refillMs: 20, refillMaxMs: 2_000 }
/** First requests of many watches are spread over this much for each of them. */
const spreadPerWatchMs = 4
const spreadMaxMs = 1_000
const fewWatches = 16

export class WatchEach implements Scheme {
  readonly #reader: ServiceReader
  readonly #watches = new Map<string, AbortController>()

  constructor(reader: ServiceReader) {
    this.#reader = reader
  }

  follow(names: ReadonlySet<string>): void {
    for (const [name, controller] of this.#watches)
      if (!names.has(name)) {
        this.#watches.delete(name)
        controller.abort()
        this.#reader.forget(serviceKey(name))
      }
    const added = [...names].filter((name) => !this.#watches.has(name))
    const spreadMs = added.length > fewWatches ? Math.min(spreadMaxMs, added.length * spreadPerWatchMs) : 0
    for (const name of added) this.#watch(name, spreadMs)
  }

  catalogMoved(): void {
    // Each service tells of itself.
  }

  stop(): void {
    for (const controller of this.#watches.values()) controller.abort()
    this.#watches.clear()
  }

  #watch(name: string, spreadMs: number): void {
    const controller = new AbortController()
    this.#watches.set(name, controller)
    const reader = this.#reader
    void watch({
      clock: reader.clock,
      random: reader.random,
      rate,
      spreadMs,
      signal: controller.signal,
      read: async (index, signal) => reader.readService(name, index, signal),
      onAnswer: async (answer) => {
        const doubt = await reader.takeService(name, answer)
        if (doubt === undefined && !controller.signal.aborted) reader.succeeded(serviceKey(name))
        return doubt
      },
      rest: async (delayMs, signal) => reader.rest(delayMs, signal),
      onFailure: (failure) => reader.failed(serviceKey(name), failure),
    })
  }
}
