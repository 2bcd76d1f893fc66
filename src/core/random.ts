/**
 * Chance as an argument. Anything that draws takes a {@link Random}; only this file touches the real one.
 */

/** Returns a number in [0, 1). */
export type Random = () => number

export const systemRandom: Random = () => Math.random()

/** A repeatable stream for tests and simulations (mulberry32); `seed` is any 32-bit integer. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296
  }
}
