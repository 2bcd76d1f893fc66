/** What was mirrored to a version, as JSON shows it. Pure. */
import type { MirrorStats } from '../live/runtime.ts'
import { classesOf } from '../proxy/mirror.ts'

/** Counts since the proxy started; the words are those of the metrics. */
export interface MirroredView {
  readonly inFlight: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly failures: Readonly<Record<string, number>>
  /** By the class of status that the client got and that of the version, such as `2xx` and `5xx`. */
  readonly compared: readonly { readonly client: string; readonly mirror: string; readonly requests: number }[]
  /** How much later than the client's its answers begin on average, ms; null: none was compared. */
  readonly meanDifferenceMs: number | null
}

export function mirroredView(stats: MirrorStats | undefined): MirroredView | null {
  if (!stats) return null
  const { inFlight, outcomes, failures, classes, differenceCounts, differenceSumMs } = stats
  const measured = differenceCounts.reduce((sum, count) => sum + count, 0)
  return {
    inFlight,
    outcomes: Object.fromEntries(outcomes),
    failures: Object.fromEntries(failures),
    compared: [...classes].map(([pair, requests]) => ({ ...classesOf(pair), requests })),
    meanDifferenceMs: measured === 0 ? null : Number((differenceSumMs / measured).toFixed(3)),
  }
}
