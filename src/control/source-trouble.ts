/**
 * What the state of a catalog source means to people: a line for the log, and a problem for as long as it lasts. Pure.
 */
import type { SourceState } from '../catalog/source.ts'
import { isoTime } from '../core/clock.ts'
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

/** The same of a source for which a saved snapshot stands in. `savedAtMs` is wall-clock time. */
export function describeSaved(name: string, state: SourceState, savedAtMs: number): string {
  const why = state.kind === 'current' ? '' : `: ${state.reason}`
  return `catalog ${name} is away, what was saved of it stands in, as of ${isoTime(savedAtMs)}${why}`
}

/** One problem for each source that does not stand as it should: `catalog-saved`, `catalog-waiting` or `catalog-stale`. */
export function troubledSources(
  sources: Iterable<{
    readonly name: string
    readonly state: SourceState
    readonly savedAtMs?: number | undefined
  }>,
): readonly Problem[] {
  const problems: Problem[] = []
  for (const { name, state, savedAtMs } of sources)
    if (savedAtMs !== undefined)
      problems.push({
        code: 'catalog-saved',
        where: `catalog ${name}`,
        message: describeSaved(name, state, savedAtMs),
      })
    else if (state.kind !== 'current')
      problems.push({ code: `catalog-${state.kind}`, where: `catalog ${name}`, message: describeTrouble(name, state) })
  return problems
}
