/**
 * The embedded catalogs of this process, each opened once however many users it has, so that a changed configuration that
 * still names one does not close it in between. It knows nothing of what is registered.
 */
import type { EmbeddedCatalogConfig } from '../config/config.ts'
import type { EmbeddedCatalog } from '../catalog/embedded/embedded.ts'
import type { Clock } from '../core/clock.ts'
import { showHostPort } from '../core/host.ts'
import type { Logger } from '../core/log.ts'
import type { Random } from '../core/random.ts'

export interface Deps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface Lease {
  /** Where it answers: `http://host:port`, reachable from this machine. */
  readonly url: string
  /** Closes the catalog when nobody else has a lease on it. Idempotent. */
  release(): Promise<void>
}

export interface EmbeddedCatalogs {
  /** Opens the catalog or shares one that is open. Rejects with FL_LISTEN or FL_STORE. */
  lease(config: EmbeddedCatalogConfig): Promise<Lease>
}

interface Open {
  readonly catalog: EmbeddedCatalog
  readonly url: string
  users: number
}

export function createEmbeddedCatalogs(deps: Deps): EmbeddedCatalogs {
  const open = new Map<string, Promise<Open>>()
  return {
    lease: async (config) => {
      const key = JSON.stringify([config.address, config.stateDir])
      let opening = open.get(key)
      if (!opening) {
        opening = start(config, deps)
        open.set(key, opening)
        opening.catch(() => open.delete(key))
      }
      const shared = await opening
      shared.users++
      let held = true
      return {
        url: shared.url,
        release: async () => {
          if (!held) return
          held = false
          if (--shared.users > 0) return
          open.delete(key)
          await shared.catalog.close()
        },
      }
    },
  }
}

async function start(config: EmbeddedCatalogConfig, deps: Deps): Promise<Open> {
  const { address, stateDir } = config
  // Few have one, and it takes half a megabyte.
  const { createEmbeddedCatalog } = await import('../catalog/embedded/embedded.ts')
  const catalog = createEmbeddedCatalog(
    {
      host: address.host,
      port: address.port,
      setting: 'the setting catalog.embedded.address',
      ...(stateDir === undefined ? {} : { stateDir }),
    },
    deps,
  )
  const { host, port } = await catalog.listen()
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  const url = `http://${showHostPort(near, port)}`
  deps.log.info({ address: `${host}:${port}`, stateDir }, `the embedded catalog listens on ${url}`)
  return { catalog, url, users: 0 }
}
