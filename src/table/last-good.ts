/**
 * Routes that a policy no longer has but that stay: those whose tag turned bad, and those whose tag went with the last
 * instance. The only thing a build takes from the table before it but sameness.
 */
import type { Snapshot } from '../catalog/snapshot.ts'
import { claimFault } from '../policy/host-claims.ts'
import type { Policy, RoutePolicy } from '../policy/policy.ts'
import { routePrefix } from './prefix.ts'
import type { Route, RouteTable } from './table.ts'

const TAG = 'tag:'

/**
 * The routes of `previous` to keep beside the policy's own. A route from a tag stays
 * - while a tag that says the same host and path cannot be used (a `bad-tag` problem at the route's own origin): its
 *   last good form beats none;
 * - while its service is known to have no instance: the tag is gone because the instances are, and the answer is 503, not
 *   whatever stands at a shorter path. When the source forgets the service, or no
 *   claim leaves it the host any more, the route goes too.
 * and only while nobody else claims its host and path.
 */
export function lastGoodRoutes(previous: RouteTable, snapshot: Snapshot, policy: Policy): readonly RoutePolicy[] {
  if (policy.tagPrefix === undefined) return []
  const candidates = previous.routes.filter(({ origin }) => origin.startsWith(TAG))
  if (candidates.length === 0) return []
  const present = new Set<string>()
  const taken = new Set<string>()
  for (const { origin, host, path } of policy.routes) {
    if (origin.startsWith(TAG)) present.add(origin)
    taken.add(`${host}${routePrefix(path)}`)
  }
  const bad = new Set<string>()
  for (const { code, where } of policy.problems) if (code === 'bad-tag') bad.add(where)
  const stays = ({ origin, host, path, service }: Route): boolean =>
    !present.has(origin) &&
    !taken.has(`${host}${path}`) &&
    (bad.has(origin) ||
      (snapshot.services.get(service.name)?.instances.length === 0 &&
        claimFault(policy.claims, service.name, host) === undefined))
  return candidates.filter(stays).map(({ policy: last }) => last)
}
