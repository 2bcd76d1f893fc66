/**
 * How long to wait after failures in a row: doubling, capped, and spread so that many proxies do not knock together.
 */
import type { Milliseconds } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'

const firstMs = 100
export const backoffMaxMs: Milliseconds = 30_000

/** Between half and all of 100 ms times 2^(failures - 1), at most `maxMs` (30 s). `failures` counts from 1. */
export function backoffMs(failures: number, random: Random, maxMs: Milliseconds = backoffMaxMs): Milliseconds {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 20))
  return ceiling / 2 + (random() * ceiling) / 2
}
