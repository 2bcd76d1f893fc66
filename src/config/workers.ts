/** How many processes the setting `workers` means, and where several cannot share a port. Pure. */
import { childOf } from './locate.ts'
import type { Finding } from './cross-check.ts'
import type { Raw } from './read-yaml.ts'

/** More would only take turns. */
export const workersMax = 256

/** `auto`: one for each core, where processes can share a port. */
export type Workers = number | 'auto'

/**
 * Systems on which several sockets of one port share its connections evenly (SO_REUSEPORT with balancing; Node's `reusePort`).
 * Elsewhere Node refuses, or the last socket gets them all.
 */
const sharing: ReadonlySet<string> = new Set(['linux', 'freebsd', 'dragonfly', 'sunos', 'aix'])

/** Processes that carry requests: 1, and that is this one; or so many beside a control process. */
export function workerCount(workers: Workers, platform: string, cores: number): number {
  if (workers !== 'auto') return workers
  return sharing.has(platform) ? Math.min(workersMax, Math.max(1, cores)) : 1
}

/** What is wrong with `workers` in the whole text as written; nothing in it needs to be valid. */
export function checkWorkers(file: Raw, platform: string): readonly Finding[] {
  const written = childOf(file, 'workers')
  if (sharing.has(platform) || typeof written !== 'string' || !/^\d+$/.test(written) || Number(written) <= 1) return []
  return [
    {
      path: ['workers'],
      message: `several processes cannot share a port on this system (${platform}): leave it out, or write 1`,
    },
  ]
}
