/** How long a heavy-tailed backend takes: lognormal with a median of 20 ms, and one in a thousand takes 8 s. Pure. */

export const tailMs = 8_000
const medianMs = 20
const sigma = 0.5
const tailShare = 0.001

/** Milliseconds, from a source of numbers in [0, 1). */
export function heavyTailMs(random: () => number): number {
  if (random() < tailShare) return tailMs
  // Box and Muller: two uniform numbers make a normal one.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.min(tailMs, medianMs * Math.exp(sigma * normal))
}
