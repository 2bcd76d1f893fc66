/**
 * The choice of a version for a request that no rule and no stickiness decides: by weight, among the versions that can
 * answer now. One draw; changes nothing.
 */
import type { BoundGroup, BoundService, EndpointState } from '../live/runtime.ts'
import { isUsable } from './usable.ts'

const none: readonly EndpointState[] = []

function canAnswer(group: BoundGroup, tried: readonly EndpointState[]): boolean {
  for (let i = 0; i < group.endpoints.length; i++) {
    const candidate = group.endpoints[i]
    if (candidate && isUsable(candidate, tried)) return true
  }
  return false
}

/**
 * The version group for `random` in [0, 1); undefined when no group with a weight above 0 has a usable endpoint.
 * A group that cannot answer is left out first and its share goes to the others in proportion: 90:10 with the first
 * down is all of it to the second. `tried` leaves out endpoints as `pickEndpoint` does.
 */
export function pickGroup(
  service: BoundService,
  random: number,
  tried: readonly EndpointState[] = none,
): BoundGroup | undefined {
  const { groups } = service
  let total = 0
  let last: BoundGroup | undefined
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]
    if (!group || group.weight <= 0 || !canAnswer(group, tried)) continue
    total += group.weight
    last = group
  }
  if (!last || last.weight === total) return last
  let left = random * total
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]
    if (!group || group.weight <= 0 || !canAnswer(group, tried)) continue
    left -= group.weight
    if (left < 0) return group
  }
  return last
}
