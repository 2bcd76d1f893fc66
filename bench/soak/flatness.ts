/**
 * Whether a figure that was looked at again and again is flat: the slope of a line through it (Theil and Sen: the median of the slopes
 * between all pairs, which spikes do not bend), and its level at the end beside that near the start. Pure.
 */
import { median } from '../lib/statistics.ts'

export interface Point {
  readonly atMs: number
  readonly value: number
}

export interface Flatness {
  /** By how much the line rises from the first point to the last, as a share of the median. */
  readonly rise: number
  /** The median of the last fifth over that of the first fifth. */
  readonly growth: number
  readonly flat: boolean
}

/** More of a rise over the whole is not flat. */
export const riseMax = 0.05
/** More growth from the first fifth to the last is not flat. */
export const growthMax = 1.1
/** Each is compared with each: beyond so many, every n-th is taken. */
const pointsMax = 600

/** Change per ms. NaN for fewer than two moments. */
export function theilSenSlope(points: readonly Point[]): number {
  const slopes: number[] = []
  for (const [at, { atMs, value }] of points.entries())
    for (const later of points.slice(at + 1))
      if (later.atMs > atMs) slopes.push((later.value - value) / (later.atMs - atMs))
  return median(slopes)
}

/** Judges points in order of time. With fewer than ten of them nothing is flat. */
export function flatnessOf(points: readonly Point[]): Flatness {
  const step = Math.ceil(points.length / pointsMax)
  const some = points.filter((_, at) => at % step === 0)
  const values = points.map(({ value }) => value)
  const fifth = Math.floor(values.length / 5)
  const growth = median(values.slice(values.length - fifth)) / median(values.slice(0, fifth))
  const lengthMs = (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0)
  const rise = (theilSenSlope(some) * lengthMs) / median(values)
  return { rise, growth, flat: points.length >= 10 && rise <= riseMax && growth <= growthMax }
}
