/** From KV entries to documents: keys made relative to the prefix, folders' own keys left out. Pure. */
import type { KvEntry } from '../../catalog/consul/parse-kv.ts'
import type { PolicyDocument } from '../documents/documents.ts'

/** `prefix` ends in a slash; what lies elsewhere is left out, as are the empty keys that Consul's UI makes for folders. */
export function relativeDocuments(prefix: string, entries: readonly KvEntry[]): readonly PolicyDocument[] {
  return entries
    .filter(({ key }) => key.startsWith(prefix) && !key.endsWith('/'))
    .map(({ key, ...rest }) => ({ key: key.slice(prefix.length), ...rest }))
}
