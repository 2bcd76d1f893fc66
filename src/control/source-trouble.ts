/**
 * What the state of a catalog source means to people: a line for the log, and a problem for as long as it lasts. Pure.
 */
import type { SourceState } from '../catalog/source.ts'
import type { Problem } from '../core/problem.ts'

type Troubled = Exclude<SourceState, { readonly kind: 'current' }>

/** One sentence, without a full stop. */
export function describeTrouble(name: string, state: Troubled): string {
  if (state.kind === 'waiting') return `waiting for catalog ${name}: ${state.reason}`
  if (state.cause === 'not-believed')
    return `catalog ${name} is not believed yet, what its answer takes away stays: ${state.reason}`
  const what = state.cause === 'unusable' ? 'cannot be used' : 'is out of reach'
  return `catalog ${name} ${what}, the last known table stays: ${state.reason}`
}

/** One problem for each source that does not stand as it should: `catalog-waiting` or `catalog-stale`. */
export function troubledSources(
  sources: Iterable<{ readonly name: string; readonly state: SourceState }>,
): readonly Problem[] {
  const problems: Problem[] = []
  for (const { name, state } of sources)
    if (state.kind !== 'current')
      problems.push({ code: `catalog-${state.kind}`, where: `catalog ${name}`, message: describeTrouble(name, state) })
  return problems
}
