/**
 * One set of catalog sources with the reconciler that follows them. When a reload names other sources, a new generation
 * starts beside the old one and takes over only once it is ready: no request meets a half-known catalog meanwhile.
 */
import type { Config } from '../config/config.ts'
import { createReconciler, type Reconciler, type ReconcilerStatus } from '../control/reconcile.ts'
import type { Policy } from '../policy/policy.ts'
import type { RouteTable } from '../table/table.ts'
import type { Deps, EmbeddedCatalogs } from './embedded-catalogs.ts'
import { createSources, type SourceSet } from './sources.ts'

export interface GenerationOptions {
  readonly catalog: Config['catalog']
  readonly policy: Policy
  readonly embedded: EmbeddedCatalogs
  readonly deps: Deps
  /** Versions of this generation's tables begin above this one, so that the version never falls. */
  readonly versionBase: () => number
  readonly publish: (table: RouteTable) => void
  /** Every source has answered, and the table that knows it stands. Called once. */
  readonly onReady: () => void
}

export interface Generation {
  readonly sources: SourceSet
  start(): void
  /** From now on tables go out; the newest at once. Before, they are kept. */
  takeOver(): void
  setPolicy(policy: Policy): void
  status(): ReconcilerStatus
  /** Ends the sources and frees what they stood on. Idempotent. */
  stop(): Promise<void>
}

/** Rejects as `createSources` does. Nothing is watched before `start`. */
export async function createGeneration(options: GenerationOptions): Promise<Generation> {
  const sources = await createSources(options.catalog, options.embedded, options.deps)
  let leading = false
  let base = 0
  let ready = false
  let newest: RouteTable | undefined
  const send = (table: RouteTable): void =>
    options.publish(base === 0 ? table : Object.freeze({ ...table, version: base + table.version }))
  const reconciler: Reconciler = createReconciler({
    sources: sources.sources,
    policy: options.policy,
    ...options.deps,
    publish: (table) => {
      newest = table
      if (leading) send(table)
    },
    onBuild: () => {
      if (ready || !reconciler.status().ready) return
      ready = true
      options.onReady()
    },
  })
  return {
    sources,
    start: () => reconciler.start(),
    takeOver: () => {
      if (leading) return
      leading = true
      base = options.versionBase()
      if (newest) send(newest)
    },
    setPolicy: (policy) => reconciler.setPolicy(policy),
    status: () => reconciler.status(),
    stop: async () => {
      await reconciler.stop()
      await sources.release()
    },
  }
}
