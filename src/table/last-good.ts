/**
 * Routes that a policy no longer has but that stay: those whose tag turned bad, and those whose tag went with the last
 * instance. The only thing a build takes from the table before it but sameness. What several services shared is taken apart
 * first: each tag is judged by itself, and shares its place anew with those that are there.
 */
import type { Snapshot } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import { claimFault } from '../policy/host-claims.ts'
import type { Policy, RoutePolicy } from '../policy/policy.ts'
import { sharePlaces, tagOwner, takenApart } from '../policy/shared-places.ts'
import { routePrefix } from './prefix.ts'
import type { RouteTable } from './table.ts'

const isOfTag = ({ origin }: RoutePolicy): boolean => origin.startsWith('tag:')
const placeOf = ({ host, path }: RoutePolicy): string => `${host}${routePrefix(path)}`

/**
 * The routes of `previous` to keep beside the policy's own, one for each tag. A route from a tag stays
 * - while a tag that says the same host and path cannot be used (a `bad-tag` problem at the route's own origin): its
 *   last good form beats none, and shares its place with tags of other services as it did;
 * - while its service is known to have no instance, and no other tag names the host and path: the tag is gone because the
 *   instances are, and the answer is 503, not whatever stands at a shorter path. When the source forgets the service, or no
 *   claim leaves it the host any more, the route goes too.
 * and only while no other kind of route has its host and path. A tag that claims refuse is none of these, whatever it was.
 */
export function lastGoodRoutes(previous: RouteTable, snapshot: Snapshot, policy: Policy): readonly RoutePolicy[] {
  if (policy.tagPrefix === undefined) return []
  const candidates = previous.routes.flatMap(({ policy: last }) => (isOfTag(last) ? takenApart(last) : []))
  if (candidates.length === 0) return []
  const present = new Set<string>()
  const taken = new Set<string>()
  const tagged = new Set<string>()
  for (const route of policy.routes)
    if (isOfTag(route)) {
      for (const { origin } of takenApart(route)) present.add(origin)
      tagged.add(placeOf(route))
    } else taken.add(placeOf(route))
  // A tag that claims refuse is no bad one: of those that are bad, they leave its service the host.
  const bad = new Set<string>()
  for (const { code, where } of policy.problems) if (code === 'bad-tag') bad.add(where)
  const isEmpty = ({ service, host }: RoutePolicy): boolean =>
    snapshot.services.get(service)?.instances.length === 0 && claimFault(policy.claims, service, host) === undefined
  const stays = (route: RoutePolicy): boolean => {
    const place = placeOf(route)
    if (present.has(route.origin) || taken.has(place)) return false
    return bad.has(route.origin) || (!tagged.has(place) && isEmpty(route))
  }
  return candidates.filter(stays)
}

export interface WithLastGood {
  readonly routes: readonly RoutePolicy[]
  /** Which places are shared now, instead of what the policy says of that; undefined: it is as it says. */
  readonly shared: readonly Problem[] | undefined
}

/** `policy`'s routes with those that {@link lastGoodRoutes} keeps, each at its place as if its tag were there. */
export function withLastGood(policy: Policy, kept: readonly RoutePolicy[]): WithLastGood {
  if (kept.length === 0) return { routes: policy.routes, shared: undefined }
  const places = new Set(kept.map(placeOf))
  const others = policy.routes.filter((route) => !isOfTag(route))
  const tagged = policy.routes.flatMap((route) => (isOfTag(route) ? takenApart(route) : []))
  const ownerOf = (route: RoutePolicy): string => tagOwner(route, policy.tagPrefix ?? '')
  const contested = [...tagged.filter((route) => places.has(placeOf(route))), ...kept]
    .map((route) => ({ route, owner: ownerOf(route) }))
    .toSorted((a, b) => (a.owner < b.owner ? -1 : a.owner > b.owner ? 1 : 0))
    .map(({ route }) => route)
  const rest = tagged.filter((route) => !places.has(placeOf(route)))
  const { routes, problems } = sharePlaces([...rest, ...contested], { ...policy, routes: others })
  return { routes: [...others, ...routes], shared: problems }
}

/** What is wrong with `policy`, with the places that are shared as {@link withLastGood} has them. */
export function problemsWithLastGood(
  { problems }: Policy,
  { shared }: Pick<WithLastGood, 'shared'>,
): readonly Problem[] {
  return shared ? [...problems.filter(({ code }) => code !== 'place-shared'), ...shared] : problems
}
