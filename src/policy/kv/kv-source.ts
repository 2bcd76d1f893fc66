/**
 * The documents of policy in Consul's KV, as snapshots: one blocking query for each folder below the prefix, so that what
 * lies beside them (history) is not sent again with every change. Without rights Consul answers a listing as if nothing
 * were there, but a single key with 403: that is how the two are told apart.
 */
import { ConsulClient, type ReadQuery } from '../../catalog/consul/consul-client.ts'
import type { Objection } from '../../catalog/consul/belief.ts'
import type { ConsulConnection } from '../../catalog/consul/options.ts'
import { StatusError } from '../../catalog/consul/status-error.ts'
import { type DocumentList, DocumentWatch, type WatchDeps, type WatchSettings } from '../documents/document-watch.ts'
import type { DocumentSource } from '../documents/documents.ts'
import { relativeDocuments } from './entries.ts'
import { documentFolders, kvPath, kvPrefix, kvSourceName } from './keys.ts'

export interface KvSourceOptions extends ConsulConnection, WatchSettings {
  /** Where the documents are, without slashes at its ends; `fairlead`. Another prefix is another environment. */
  readonly prefix: string
}

/** The source of one prefix, called `kv:PREFIX`; throws `FL_CONFIG` when the address is none. */
export function createKvSource(options: KvSourceOptions, deps: WatchDeps): DocumentSource {
  const client = new ConsulClient(options, deps)
  const prefix = kvPrefix(options.prefix)
  const lists = documentFolders.map((folder) => listOf(client, prefix, folder))
  return new DocumentWatch(kvSourceName(options.prefix), lists, client, options, deps)
}

function listOf(client: ConsulClient, prefix: string, folder: string): DocumentList {
  return {
    name: folder,
    read: async (query) => {
      const answer = await client.find({ kind: 'kv' }, `${kvPath(`${prefix}${folder}/`)}?recurse`, query)
      return { ...answer, data: relativeDocuments(prefix, answer.data ?? []) }
    },
    look: async ({ key }, query) => await objectionTo(client, `${prefix}${key}`, query),
    // Nobody writes a folder's own key; without rights it is refused all the same.
    lookAtNothing: async (query) => await deniedAt(client, `${prefix}${folder}/`, query),
  }
}

async function objectionTo(client: ConsulClient, key: string, query: ReadQuery): Promise<Objection | undefined> {
  try {
    const { data } = await client.find({ kind: 'kv' }, kvPath(key), query)
    return data === undefined ? undefined : { reason: `yet ${key} is there when it is read alone`, passes: false }
  } catch (error) {
    return denial(error, key)
  }
}

async function deniedAt(client: ConsulClient, key: string, query: ReadQuery): Promise<Objection | undefined> {
  try {
    await client.find({ kind: 'kv' }, kvPath(key), query)
    return undefined
  } catch (error) {
    return denial(error, key)
  }
}

function denial(error: unknown, key: string): Objection {
  if (!(error instanceof StatusError) || error.code !== 'FL_CATALOG_DENIED') throw error
  return { reason: `the token may not read ${key} (it needs key_prefix read there): ${error.message}`, passes: false }
}
