/**
 * One set of catalog sources with the reconciler that follows them. When a reload names other sources, a new generation
 * starts beside the old one and takes over only once it is ready: no request meets a half-known catalog meanwhile.
 */
import type { Config } from '../config/config.ts'
import type { Cause } from '../control/cause.ts'
import { createReconciler, type Reconciler, type ReconcilerStatus } from '../control/reconcile.ts'
import type { SourceKnowledge } from '../control/snapshot-codec.ts'
import type { LifeSigns } from '../control/source-brake.ts'
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
  readonly publish: (table: RouteTable, causes: readonly Cause[]) => void
  /** Every source has answered or begun with what was saved, and the table that knows it stands. Called once. */
  readonly onReady: () => void
  /** What stands in for sources that are away at the start; undefined: nothing does. */
  readonly saved?: (() => Promise<ReadonlyMap<string, SourceKnowledge> | undefined>) | undefined
  /** What is to be saved; told only while this generation leads. */
  readonly onKnowledge: (sources: readonly SourceKnowledge[]) => void
  /** What is known of instances that a sudden removal would take away. */
  readonly life?: LifeSigns | undefined
}

export interface Generation {
  readonly sources: SourceSet
  start(): void
  /** From now on tables go out; the newest at once. Before, they are kept. */
  takeOver(): void
  setPolicy(policy: Policy, causes: readonly Cause[]): void
  /** See {@link Reconciler.flush}. */
  flush(): void
  /** See {@link Reconciler.lifeChanged}. */
  lifeChanged(): void
  status(): ReconcilerStatus
  /** Names of sources that do not answer now, or have not yet. */
  unseen(): readonly string[]
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
  let knowledge: readonly SourceKnowledge[] | undefined
  const send = (table: RouteTable, causes: readonly Cause[]): void =>
    options.publish(base === 0 ? table : Object.freeze({ ...table, version: base + table.version }), causes)
  const reconciler: Reconciler = createReconciler({
    sources: sources.sources,
    policy: options.policy,
    ...options.deps,
    publish: (table, causes) => {
      newest = table
      if (leading) send(table, causes)
    },
    saved: options.saved,
    onKnowledge: (told) => {
      knowledge = told
      if (leading) options.onKnowledge(told)
    },
    life: options.life,
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
      if (newest) send(newest, [{ kind: 'config', what: 'catalog' }])
      if (knowledge) options.onKnowledge(knowledge)
    },
    setPolicy: (policy, causes) => reconciler.setPolicy(policy, causes),
    flush: () => reconciler.flush(),
    lifeChanged: () => reconciler.lifeChanged(),
    status: () => reconciler.status(),
    unseen: () =>
      reconciler
        .status()
        .sources.filter(({ state, savedAtMs }) => state.kind !== 'current' || savedAtMs !== undefined)
        .map(({ name }) => name),
    stop: async () => {
      await reconciler.stop()
      await sources.release()
    },
  }
}
