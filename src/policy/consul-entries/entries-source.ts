/**
 * Consul's own config entries of the kinds that route (`service-router`, `service-splitter`, `service-resolver`), as
 * snapshots of documents `KIND/NAME` whose text is the entry as JSON. Without rights Consul lists nothing, but refuses a
 * single entry with 403 (`rights.ts`). A catalog that has no config entries at all (the embedded one) is asked again now and then.
 */
import type { Objection } from '../../catalog/consul/belief.ts'
import { ConsulClient } from '../../catalog/consul/consul-client.ts'
import type { ConsulConnection } from '../../catalog/consul/options.ts'
import { StatusError } from '../../catalog/consul/status-error.ts'
import { type DocumentList, DocumentWatch, type WatchDeps, type WatchSettings } from '../documents/document-watch.ts'
import type { DocumentSource } from '../documents/documents.ts'
import { EntryRights } from './rights.ts'
import { type EntryKind, entryDocuments, entryKinds } from './entries.ts'

export interface EntriesSourceOptions extends ConsulConnection, WatchSettings {
  /** The services whose entries matter, as of now: whether the token may read theirs is asked. Default: none. */
  readonly names?: (() => readonly string[]) | undefined
}

export interface EntriesSource extends DocumentSource {
  /** What the token hides, as far as it is known; see {@link EntryRights.hidden}. */
  hidden(): ReturnType<EntryRights['hidden']>
}

/** Throws `FL_CONFIG` when the address is none. Its name is `config-entries`. */
export function createEntriesSource(options: EntriesSourceOptions, deps: WatchDeps): EntriesSource {
  const client = new ConsulClient(options, deps)
  const rights = new EntryRights(client, options.names ?? (() => []))
  const lists = entryKinds.map((kind) => listOf(client, kind, rights))
  const watch = new DocumentWatch('config-entries', lists, client, options, deps)
  return Object.assign(watch, { hidden: () => rights.hidden() })
}

function listOf(client: ConsulClient, kind: EntryKind, rights: EntryRights): DocumentList {
  return {
    name: kind,
    read: async (query) => {
      const answer = await client.find({ kind: 'json' }, `/config/${kind}`, query)
      // All kinds ask for the same right.
      if (kind === 'service-resolver') void rights.ask(answer.filtered, query)
      return { ...answer, data: answer.data === undefined ? undefined : entryDocuments(kind, answer.data) }
    },
    isAbsent: (error) => error instanceof StatusError && (error.status === 404 || error.status === 501),
    look: async ({ key }, query): Promise<Objection | undefined> => {
      try {
        const path = `/config/${kind}/${encodeURIComponent(key.slice(kind.length + 1))}`
        const { data } = await client.find({ kind: 'json' }, path, query)
        return data === undefined ? undefined : { reason: `yet ${key} is there when it is read alone`, passes: false }
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
        if (error.status === 404 || error.status === 501) return undefined
        if (error.code !== 'FL_CATALOG_DENIED') throw error
        return { reason: `the token may not read ${key} (it needs service:read): ${error.message}`, passes: false }
      }
    },
    // A token that sees only some services sees only their entries, which looks like there being none: rights.ts asks.
    lookAtNothing: async () => undefined,
  }
}
