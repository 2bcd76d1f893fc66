/**
 * Works out which services matter to the catalog sources. That a service whose tagged instances have all gone stays known
 * for a while is the sources' doing, not this file's.
 */
import type { Interest } from '../catalog/source.ts'
import type { Policy } from '../policy/policy.ts'
import { servicesOf } from '../table/rule-targets.ts'

function sameInterest(a: Interest, b: Interest): boolean {
  if (a.tagPrefix !== b.tagPrefix || a.names.size !== b.names.size) return false
  for (const name of a.names) if (!b.names.has(name)) return false
  return true
}

/** What matters under `policy`; the object `last` itself where that says the same. */
export function interestOf(policy: Policy, last: Interest | undefined): Interest {
  const interest = {
    names: new Set(policy.routes.flatMap((route) => servicesOf(route, policy))),
    tagPrefix: policy.tagPrefix,
  }
  return last && sameInterest(last, interest) ? last : interest
}
