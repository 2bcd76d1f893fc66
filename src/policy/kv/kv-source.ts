/**
 * The documents of policy in Consul's KV, as snapshots: one blocking query for each folder below the prefix, so that what
 * lies beside them (history) is not sent again with every change, and one for the names of what lies there and is none of
 * ours, each a document without text: whoever wrote to `service/web` must not wonder. Without rights Consul answers a listing
 * as if nothing were there, but a single key with 403: that is how the two are told apart.
 */
import { type Answer, ConsulClient, type ReadQuery } from '../../catalog/consul/consul-client.ts'
import type { Objection } from '../../catalog/consul/belief.ts'
import type { ConsulConnection } from '../../catalog/consul/options.ts'
import { StatusError } from '../../catalog/consul/status-error.ts'
import { type DocumentList, DocumentWatch, type WatchDeps, type WatchSettings } from '../documents/document-watch.ts'
import type { DocumentSource } from '../documents/documents.ts'
import { relativeDocuments } from './entries.ts'
import { documentFolders, isStray, kvPath, kvPrefix, kvSourceName, meantFolder } from './keys.ts'

export interface KvSourceOptions extends ConsulConnection, WatchSettings {
  /** Where the documents are, without slashes at its ends; `fairlead`. Another prefix is another environment. */
  readonly prefix: string
}

/** The source of one prefix, called `kv:PREFIX`; throws `FL_CONFIG` when the address is none. */
export function createKvSource(options: KvSourceOptions, deps: WatchDeps): DocumentSource {
  const client = new ConsulClient(options, deps)
  const prefix = kvPrefix(options.prefix)
  const lists = [...documentFolders.map((folder) => listOf(client, prefix, folder)), straysOf(client, prefix)]
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

/** Strays that are named, and keys of one misspelt folder; of a folder with more, its own name stands for all. */
const straysMax = 16
const strayKeysMax = 8

function straysOf(client: ConsulClient, prefix: string): DocumentList {
  const namesAt = async (path: string, query: ReadQuery): Promise<Answer<readonly string[]>> => {
    const answer = await client.find({ kind: 'json' }, `${kvPath(path)}?keys&separator=%2F`, query)
    const keys = Array.isArray(answer.data) ? (answer.data as readonly unknown[]) : []
    const below = keys.flatMap((key) => (typeof key === 'string' && key.startsWith(path) ? [key] : []))
    return { ...answer, data: below.map((key) => key.slice(prefix.length)) }
  }
  return {
    name: 'others',
    isAside: true,
    read: async (query) => {
      const answer = await namesAt(prefix, query)
      const found = await Promise.all(
        answer.data
          .filter(isStray)
          .slice(0, straysMax)
          .map(async (name) => {
            // Another environment may lie there, or another program's keys: those are not looked into.
            if (!name.endsWith('/') || meantFolder(name.slice(0, -1)) === undefined) return [name]
            const { data: inside } = await namesAt(`${prefix}${name}`, { ...query, index: undefined })
            const keys = inside.filter((key) => key !== name)
            return keys.length > strayKeysMax ? [name] : keys
          }),
      )
      return { ...answer, data: found.flat().map((key) => ({ key, text: '', modifyIndex: 0 })) }
    },
    look: async () => undefined,
    lookAtNothing: async () => undefined,
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
