/**
 * The saved snapshot through changes of configuration: where it lies may change while what is known stays. Without a state
 * folder it does nothing.
 */
import type { SourceKnowledge } from '../control/snapshot-codec.ts'
import { createSnapshotStore, type SnapshotStore } from '../control/snapshot-store.ts'
import type { Problem } from '../core/problem.ts'
import type { Deps } from './embedded-catalogs.ts'

export interface SavedCatalog {
  /** What was saved; undefined where nothing usable was. Never rejects. */
  load(): Promise<ReadonlyMap<string, SourceKnowledge> | undefined>
  /** From now on it lies in this folder; undefined: nowhere. */
  use(stateDir: string | undefined): void
  offer(sources: readonly SourceKnowledge[]): void
  problems(): readonly Problem[]
  /** Idempotent. */
  stop(): Promise<void>
}

export function createSavedCatalog(stateDir: string | undefined, deps: Deps): SavedCatalog {
  let folder = stateDir
  let known: readonly SourceKnowledge[] | undefined
  const open = (): SnapshotStore | undefined =>
    folder === undefined ? undefined : createSnapshotStore({ dir: folder, ...deps })
  let store = open()
  return {
    load: async () => store?.load(),
    use: (next) => {
      if (next === folder) return
      void store?.stop()
      folder = next
      store = open()
      if (known) store?.offer(known)
    },
    offer: (sources) => {
      known = sources
      store?.offer(sources)
    },
    problems: () => store?.problems() ?? [],
    stop: async () => store?.stop(),
  }
}
