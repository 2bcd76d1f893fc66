/**
 * From the catalog part of a configuration to the sources that watch it, and what has to be closed with them.
 */
import { createConsulSource } from '../catalog/consul/source.ts'
import type { ConsulConnection } from '../catalog/consul/options.ts'
import { createFileSource } from '../catalog/file/source.ts'
import type { CatalogSource } from '../catalog/source.ts'
import type { CatalogConfig } from '../config/config.ts'
import type { Deps, EmbeddedCatalogs } from './embedded-catalogs.ts'

export interface SourceSet {
  readonly sources: readonly CatalogSource[]
  /** How to reach the HTTP API behind a source, for registering there; undefined for what has none. */
  connection(name: string): ConsulConnection | undefined
  /** Frees what the sources stood on; after they were stopped. Idempotent. */
  release(): Promise<void>
}

/** Makes the sources without starting them. Rejects with FL_CONFIG, FL_LISTEN or FL_STORE, and then leaves nothing open. */
export async function createSources(
  configs: readonly CatalogConfig[],
  embedded: EmbeddedCatalogs,
  deps: Deps,
): Promise<SourceSet> {
  const sources: CatalogSource[] = []
  const connections = new Map<string, ConsulConnection>()
  const releases: (() => Promise<void>)[] = []
  const release = async (): Promise<void> => {
    await Promise.all(releases.splice(0).map((one) => one()))
  }
  try {
    for (const config of configs) {
      if (config.kind === 'file') {
        sources.push(createFileSource({ name: config.name, path: config.path }, deps))
        continue
      }
      let connection: ConsulConnection = config.kind === 'consul' ? config : {}
      if (config.kind === 'embedded') {
        const lease = await embedded.lease(config)
        releases.push(() => lease.release())
        connection = { address: lease.url }
      }
      connections.set(config.name, connection)
      sources.push(createConsulSource({ ...connection, name: config.name }, deps))
    }
  } catch (error) {
    await Promise.all(sources.map((source) => source.stop()))
    await release()
    throw error
  }
  return { sources, connection: (name) => connections.get(name), release }
}
