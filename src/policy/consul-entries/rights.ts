/**
 * Whose entries the token may not read. A list leaves them out and (before Consul 1.11) says nothing of it; asked for one entry
 * by name, Consul answers 403 whether there is one or not, and 404 to who may read it. It asks and remembers; it follows nothing.
 */
import type { ConsulClient, ReadQuery } from '../../catalog/consul/consul-client.ts'
import { StatusError } from '../../catalog/consul/status-error.ts'

/** Names asked for behind one answer of the list; the rest is asked behind the next ones. */
const namesAtOnce = 20

export class EntryRights {
  readonly #client: ConsulClient
  readonly #names: () => readonly string[]
  /** Whether it may be read; absent: it was not asked yet. */
  #known = new Map<string, boolean>()
  #someHidden = false
  #asking = false

  /** `names`: the services whose entries matter, as of now. */
  constructor(client: ConsulClient, names: () => readonly string[]) {
    this.#client = client
    this.#names = names
  }

  /** The services of {@link names} whose entries are hidden; `some`: Consul says that it left out some, of whatever service. */
  hidden(): { readonly names: readonly string[]; readonly some: boolean } {
    return { names: this.#names().filter((name) => this.#known.get(name) === false), some: this.#someHidden }
  }

  /** A list was answered: asks for those names that nothing is known of, and again for those that were hidden. Never rejects. */
  async ask(filtered: boolean, { signal }: ReadQuery): Promise<void> {
    this.#someHidden = filtered
    if (this.#asking) return
    this.#asking = true
    const names = this.#names()
    this.#known = new Map([...this.#known].filter(([name]) => names.includes(name)))
    const open = names.filter((name) => this.#known.get(name) !== true)
    try {
      for (const name of open.slice(0, namesAtOnce)) this.#known.set(name, await this.#mayRead(name, signal))
    } catch {
      // Consul cannot be asked; the list says so itself.
    } finally {
      this.#asking = false
    }
  }

  async #mayRead(name: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#client.find({ kind: 'json' }, `/config/service-resolver/${encodeURIComponent(name)}`, { signal })
      return true
    } catch (error) {
      if (error instanceof StatusError && error.code === 'FL_CATALOG_DENIED') return false
      if (error instanceof StatusError && error.status === 404) return true
      throw error
    }
  }
}
