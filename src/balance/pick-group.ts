/**
 * The choice of a version for a request that no rule and no stickiness decides: by weight, among the versions that can
 * answer now. One draw; changes nothing.
 */
import type { BoundGroup, EndpointState } from '../live/runtime.ts'
import { pairHash, rank } from './rendezvous.ts'
import { isUsable } from './usable.ts'

const none: readonly EndpointState[] = []

function canAnswer(group: BoundGroup, tried: readonly EndpointState[]): boolean {
  for (let i = 0; i < group.endpoints.length; i++) {
    const candidate = group.endpoints[i]
    if (candidate && isUsable(candidate, tried)) return true
  }
  return false
}

/** Whether a choice may fall on `group`: with `strict` also where it cannot answer. */
function takesPart(group: BoundGroup, tried: readonly EndpointState[], strict: boolean): boolean {
  return group.weight > 0 && (strict || canAnswer(group, tried))
}

/** With `strict` a choice may have fallen on a group that cannot answer, and then there is none. */
function ifAble(
  group: BoundGroup | undefined,
  tried: readonly EndpointState[],
  strict: boolean,
): BoundGroup | undefined {
  return strict && group && !canAnswer(group, tried) ? undefined : group
}

/**
 * The version group for `random` in [0, 1); undefined when no group with a weight above 0 has a usable endpoint.
 * A group that cannot answer is left out first and its share goes to the others in proportion: 90:10 with the first
 * down is all of it to the second. `tried` leaves out endpoints as `pickEndpoint` does. With `strict` a group is chosen
 * whether it can answer or not, and the choice is undefined where it cannot.
 */
export function pickGroup(
  groups: readonly BoundGroup[],
  random: number,
  tried: readonly EndpointState[] = none,
  strict = false,
): BoundGroup | undefined {
  let total = 0
  let picked: BoundGroup | undefined
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]
    if (!group || !takesPart(group, tried, strict)) continue
    total += group.weight
    picked = group
  }
  // Where there is one alone, and where rounding leaves nobody, it is the last.
  if (!picked || picked.weight === total) return ifAble(picked, tried, strict)
  let left = random * total
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]
    if (!group || !takesPart(group, tried, strict)) continue
    left -= group.weight
    if (left >= 0) continue
    picked = group
    break
  }
  return ifAble(picked, tried, strict)
}

/** The group for a sticky `key`: among those that can answer, or with `strict` among all; see {@link pickGroup}. */
export function pickStickyGroup(groups: readonly BoundGroup[], key: string, strict: boolean): BoundGroup | undefined {
  let best: BoundGroup | undefined
  let highest = -1
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]
    if (!group || !takesPart(group, none, strict)) continue
    const score = rank(pairHash(key, group.seed), group.weight)
    if (score <= highest) continue
    highest = score
    best = group
  }
  return ifAble(best, none, strict)
}

/** The group of this version, if it can answer: what a rule asks for, whatever its weight. */
export function pickNamedGroup(groups: readonly BoundGroup[], version: string): BoundGroup | undefined {
  const group = groups.find((candidate) => candidate.version === version)
  return group && canAnswer(group, none) ? group : undefined
}
