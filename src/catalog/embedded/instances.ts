/**
 * The instances of one service, sorted by node and id, narrowed to those with every tag asked for (case does not count,
 * as with Consul).
 */
import type { ServiceRecord } from './records.ts'
import type { CatalogState, NodeEntry } from './state.ts'

export interface FoundInstance {
  readonly service: ServiceRecord
  readonly entry: NodeEntry
}

export function instancesOf(state: CatalogState, name: string, tags: readonly string[]): FoundInstance[] {
  const named = state.byName.get(name)
  if (!named) return []
  const wanted = tags.map((tag) => tag.toLowerCase())
  const found: FoundInstance[] = []
  for (const key of [...named.keys()].sort()) {
    const service = named.get(key)
    const entry = service && state.nodes.get(service.node)
    if (!service || !entry) continue
    const has = new Set(service.tags.map((tag) => tag.toLowerCase()))
    if (wanted.every((tag) => has.has(tag))) found.push({ service, entry })
  }
  return found
}
