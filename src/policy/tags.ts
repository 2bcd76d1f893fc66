/**
 * Routes that services bring along in their catalog tags, put behind those of a policy: on the same host and path the
 * policy's own come first (and the table's build says which tag that hides). Several services may share one (`shared-places.ts`).
 * Pure in meaning; what was read of a service is remembered with its snapshot.
 */
import type { ServiceSnapshot, Snapshot } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import { sameData } from '../core/same.ts'
import { claimFault, type HostClaim } from './host-claims.ts'
import { parseTag } from './parse-tag.ts'
import type { Policy, RoutePolicy } from './policy.ts'
import { originOf, sharePlaces } from './shared-places.ts'

/** What the tags of one service say. */
export interface TagRoutes {
  readonly prefix: string
  readonly claims: readonly HostClaim[] | undefined
  readonly routes: readonly RoutePolicy[]
  readonly problems: readonly Problem[]
}

const reads = new WeakMap<ServiceSnapshot, TagRoutes>()

interface Merge {
  /** What it was made of. */
  readonly services: Snapshot['services']
  readonly parts: readonly TagRoutes[]
  readonly merged: Policy
}

const merges = new WeakMap<Policy, Merge>()

/** Of `shop.example.com/cart`. */
function hostOf(place: string): string {
  return place.slice(0, place.indexOf('/'))
}

type Fault = 'bad-tag' | 'claim-refused'

function tagProblem(code: Fault, service: string, tag: string, reason: string, where: string): Problem {
  // No instance is named: the text must stay the same while instances come and go, or it would be reported each time.
  const message = `tag ${JSON.stringify(tag)} of service ${service} makes no route: ${reason}`
  return Object.freeze({ code, where, message })
}

/**
 * The routes in the tags of `service`, each host and path once, whatever the health of those that carry them, with one
 * problem for each tag that cannot be used: `bad-tag`, or `claim-refused` for what `claims` do not leave to the service, whatever
 * else may be wrong with it. Its `where` is the origin of the route that it would have been where that is known, so that a build
 * can keep the last good form of a route whose tag is bad.
 */
export function readTags(service: ServiceSnapshot, prefix: string, claims?: readonly HostClaim[]): TagRoutes {
  const known = reads.get(service)
  if (known?.prefix === prefix && known.claims === claims) return known

  const tags = new Set<string>()
  for (const instance of service.instances) for (const tag of instance.tags) tags.add(tag)
  const routes = new Map<string, RoutePolicy>()
  const problems: Problem[] = []
  for (const tag of [...tags].sort()) {
    const parsed = parseTag(tag, prefix)
    if (parsed === undefined) continue
    const place = parsed.kind === 'route' ? `${parsed.host}${parsed.path}` : parsed.place
    const origin = originOf(service.name, place === undefined ? tag : `${prefix}${place}`)
    const fault = (code: Fault, reason: string): void => {
      problems.push(tagProblem(code, service.name, tag, reason, origin))
    }
    const refused = place === undefined ? undefined : claimFault(claims, service.name, hostOf(place))
    if (refused !== undefined) fault('claim-refused', refused)
    else if (parsed.kind === 'bad') fault('bad-tag', parsed.reason)
    else {
      const { host, path, options } = parsed
      const route = Object.freeze({ origin, host, path, ...options, service: options.redirect ? '' : service.name })
      const known = routes.get(origin)
      if (known === undefined) routes.set(origin, route)
      else if (!sameData(known, route)) fault('bad-tag', 'another tag says otherwise of the same host and path')
    }
  }
  const read = Object.freeze({
    prefix,
    claims,
    routes: Object.freeze([...routes.values()]),
    problems: Object.freeze(problems),
  })
  reads.set(service, read)
  return read
}

/**
 * `base` with the routes of the snapshot's tags behind its own. The same object as before while neither `base` nor what the
 * tags say changed; `base` itself when it takes no routes from tags.
 */
export function mergePolicy(base: Policy, snapshot: Snapshot): Policy {
  const prefix = base.tagPrefix
  if (prefix === undefined) return base
  const known = merges.get(base)
  if (known && saysTheSame(known.services, snapshot.services, prefix, base)) {
    merges.set(base, { ...known, services: snapshot.services })
    return known.merged
  }
  const parts: TagRoutes[] = []
  let same = true
  for (const name of [...snapshot.services.keys()].sort()) {
    const service = snapshot.services.get(name)
    if (!service) continue
    const read = readTags(service, prefix, base.claims)
    if (read.routes.length === 0 && read.problems.length === 0) continue
    const before = known?.parts[parts.length]
    same &&= before !== undefined && sameData(before, read)
    parts.push(read)
  }
  if (known && same && known.parts.length === parts.length) {
    merges.set(base, { services: snapshot.services, parts, merged: known.merged })
    return known.merged
  }
  const shared = sharePlaces(
    parts.flatMap(({ routes }) => routes),
    base,
  )
  const merged: Policy = Object.freeze({
    ...base,
    routes: Object.freeze([...base.routes, ...shared.routes]),
    problems: Object.freeze([...base.problems, ...parts.flatMap(({ problems }) => problems), ...shared.problems]),
  })
  merges.set(base, { services: snapshot.services, parts, merged })
  return merged
}

/** Whether the tags of all services say what they said; looks into those that are other objects. */
function saysTheSame(
  before: Snapshot['services'],
  after: Snapshot['services'],
  prefix: string,
  { claims }: Policy,
): boolean {
  if (before.size !== after.size) return false
  for (const [name, service] of after) {
    const known = before.get(name)
    if (known === service) continue
    if (!known || !sameData(readTags(known, prefix, claims), readTags(service, prefix, claims))) return false
  }
  return true
}
