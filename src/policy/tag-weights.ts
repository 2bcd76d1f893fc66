/**
 * `weight=` in fabio's tags: a fixed part of the traffic for the instance that carries it, made into weights of instances. In
 * fabio it is a part of one route; an instance here has one weight on all its routes, and where its tags disagree a problem
 * says so. Pure.
 */
import type { Instance } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import { claimFault, type HostClaim } from './host-claims.ts'
import { parseTag } from './parse-tag.ts'

/** What the tags of one instance wish for it; undefined: nothing. `torn`: they do not agree, and the first in order counts. */
export interface TagWish {
  readonly part: number
  readonly torn: boolean
}

/**
 * Reads the tags of one instance. `prefix` undefined: tags make no routes, and wish nothing either; no more do those that `claims`
 * refuse to its service.
 */
export function tagWish(
  { service, tags }: Pick<Instance, 'service' | 'tags'>,
  prefix: string | undefined,
  claims?: readonly HostClaim[],
): TagWish | undefined {
  // Most wish nothing, and their tags are read elsewhere already.
  if (prefix === undefined || !tags.some((tag) => /\sweight=/i.test(tag))) return undefined
  const wishes = new Set<number | undefined>()
  for (const tag of [...tags].sort()) {
    const parsed = parseTag(tag, prefix)
    // A redirect sends nothing to the instance.
    if (parsed?.kind !== 'route' || parsed.options.redirect) continue
    if (claimFault(claims, service, parsed.host) === undefined) wishes.add(parsed.weight)
  }
  const part = [...wishes].find((wish) => wish !== undefined)
  return part === undefined ? undefined : { part, torn: wishes.size > 1 }
}

export interface Weighted {
  readonly key: string
  /** Consul's, at least 0. */
  readonly weight: number
}

/**
 * The weights of a service's instances: those with a wish get that part of the traffic, the others share what is left by
 * their own weights (fabio 1.7, route/route.go `weighTargets`, where the others share it evenly). More than 1 together, or less
 * with nobody to take the rest, is scaled to 1. One whose weight is 0 gets nothing and leaves its part to the rest. The same
 * object as `instances` where no wish applies.
 */
export function withWishes<T extends Weighted>(
  instances: readonly T[],
  wishes: ReadonlyMap<string, number>,
): readonly T[] {
  let fixed = 0
  let others = 0
  for (const { key, weight } of instances) {
    const part = weight > 0 ? wishes.get(key) : undefined
    if (part === undefined) others += weight
    else fixed += part
  }
  if (fixed === 0) return instances
  const scale = fixed > 1 || others === 0 ? 1 / fixed : 1
  const left = 1 - fixed * scale
  // What is left of sums such as ten times 0.1 is no part for anybody.
  const rest = left < 1e-9 ? 0 : left
  return instances.map((instance) => {
    if (instance.weight <= 0) return instance
    const part = wishes.get(instance.key)
    return { ...instance, weight: part === undefined ? (rest * instance.weight) / others : part * scale }
  })
}

/** For a service whose instances have tags that disagree. It names no instance, and so stays the same while they come and go. */
export function tornProblem(service: string): Problem {
  return Object.freeze({
    code: 'torn-weight',
    where: `tag:${service}`,
    message: `instances of service ${service} have tags with different weights, or some without: one weight of an instance counts, that of the first tag that has one, on all its routes`,
  })
}
