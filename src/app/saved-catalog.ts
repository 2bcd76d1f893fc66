/**
 * The saved snapshot (of catalog and policy) through changes of configuration: where it lies may change while what is known stays. Without a state
 * folder it does nothing.
 */
import type { Saved, SourceKnowledge } from '../control/snapshot-codec.ts'
import { createSnapshotStore, type SnapshotStore } from '../control/snapshot-store.ts'
import type { Problem } from '../core/problem.ts'
import type { DocumentKnowledge } from '../policy/documents/documents.ts'
import type { Deps } from './embedded-catalogs.ts'

export interface SavedCatalog {
  /** What was saved at the start; undefined where nothing usable was. Never rejects. */
  load(): Promise<Saved | undefined>
  /** From now on it lies in this folder; undefined: nowhere. */
  use(stateDir: string | undefined): void
  offer(sources: readonly SourceKnowledge[]): void
  offerPolicies(policies: readonly DocumentKnowledge[]): void
  problems(): readonly Problem[]
  /** Idempotent. */
  stop(): Promise<void>
}

export function createSavedCatalog(stateDir: string | undefined, deps: Deps): SavedCatalog {
  let folder = stateDir
  let known: readonly SourceKnowledge[] | undefined
  let policies: readonly DocumentKnowledge[] | undefined
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
      if (policies) store?.offerPolicies(policies)
    },
    offer: (sources) => {
      known = sources
      store?.offer(sources)
    },
    offerPolicies: (told) => {
      policies = told
      store?.offerPolicies(told)
    },
    problems: () => store?.problems() ?? [],
    stop: async () => store?.stop(),
  }
}
