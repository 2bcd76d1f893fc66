/**
 * Reads the catalog to settle a doubt: does it still list a service, and does it show us anything at all? A real catalog
 * always lists `consul` itself, so an empty one means that the token sees nothing, unless access control is off.
 */
import type { Answer, ConsulClient } from './consul-client.ts'
import type { CatalogServices } from './parse-streams.ts'
import { StatusError } from './status-error.ts'
import { SharedRead } from './shared-read.ts'

export class CatalogReader {
  readonly #client: ConsulClient
  readonly #signal: AbortSignal
  readonly #read: SharedRead<Answer<CatalogServices>>
  #seenConsul = false

  constructor(client: ConsulClient, signal: AbortSignal) {
    this.#client = client
    this.#signal = signal
    this.#read = new SharedRead(async () =>
      client.get({ kind: 'catalog-services' }, '/catalog/services', { consistency: 'default', signal }),
    )
  }

  /** What a fresh read of the catalog says of a service. `known` is the catalog believed so far. Rejects as a read does. */
  async presence(name: string, known: CatalogServices | undefined): Promise<'gone' | 'listed' | 'blind'> {
    const answer = await this.#read.run()
    if (answer.data.has(name)) return 'listed'
    return answer.data.size === 0 && (await this.isBlind(answer, known)) ? 'blind' : 'gone'
  }

  /** Whether an empty catalog is one that we may not see. `known` is the catalog believed before. */
  async isBlind(answer: Answer<CatalogServices>, known: CatalogServices | undefined): Promise<boolean> {
    if (answer.filtered) return true
    if (known?.has('consul') === true) this.#seenConsul = true
    if (this.#seenConsul) return true
    try {
      const self = await this.#client.get({ kind: 'json' }, '/agent/self', { signal: this.#signal })
      const { DebugConfig: config } = self.data as { DebugConfig?: { ACLsEnabled?: unknown } }
      return config?.ACLsEnabled === true
    } catch (error) {
      // Refused: there are access rules, and we have no rights. Other catalogs may not know the question at all.
      if (error instanceof StatusError && error.code === 'FL_CATALOG_DENIED') return true
      if (error instanceof StatusError && error.status === 404) return false
      throw error
    }
  }
}
