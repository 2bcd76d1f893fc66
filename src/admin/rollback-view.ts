/** What going back to an earlier revision means: which one is applied again, what that undoes, and where further back leads. Pure. */
import { sameData } from '../core/same.ts'

/** One revision of a service's policy. */
export interface RevisionView extends RevisionRef {
  /** Null: it was removed. */
  readonly settings: unknown
}

export interface RevisionRef {
  readonly revision: number
  readonly by: string
  readonly at: string
  /** '' when none was said. */
  readonly reason: string
}

export interface RollbackView {
  /** Null: what is there without a document. */
  readonly reapplies: RevisionRef | null
  /** The newest one, and the earlier one that it had gone back to, 0: to no document, null: to none. Null: what another tool wrote. */
  readonly undoes: (RevisionRef & { readonly wentBackTo: number | null }) | null
  /** Before the one that is applied again, newest first: those that say anything else than it and than what is now. */
  readonly earlier: readonly RevisionRef[]
}

/** Of those further back, so many are named. */
const earlierMax = 3

/**
 * `known` is newest first, `usable` those of them that can be used; `target` the revision to go back to, 0: before any; `now`: the settings in
 * force, null: there is no document. `isNewest`: they are those of the newest.
 */
export function rollbackView(
  known: readonly RevisionView[],
  usable: readonly RevisionView[],
  target: number,
  now: unknown,
  isNewest: boolean,
): RollbackView {
  const reapplied = known.find(({ revision }) => revision === target)
  const [newest] = known
  const said = [now, reapplied ? reapplied.settings : null]
  const earlier: RevisionRef[] = []
  for (const one of usable) {
    if (one.revision >= target || said.some((settings) => sameData(settings, one.settings))) continue
    said.push(one.settings)
    earlier.push(refOf(one))
  }
  return {
    reapplies: reapplied ? refOf(reapplied) : null,
    undoes: isNewest && newest ? { ...refOf(newest), wentBackTo: wentBackTo(known) } : null,
    earlier: earlier.slice(0, earlierMax),
  }
}

function wentBackTo([newest, before, ...others]: readonly RevisionView[]): number | null {
  if (!newest || sameData(newest.settings, before?.settings)) return null
  const same = others.find(({ settings }) => sameData(settings, newest.settings))
  return same?.revision ?? (newest.settings === null ? 0 : null)
}

const refOf = ({ revision, by, at, reason }: RevisionRef): RevisionRef => ({ revision, by, at, reason })
