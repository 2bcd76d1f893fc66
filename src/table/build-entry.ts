/** One service in a build: what its part of the table was made of, what came out, and what is wrong with it. Pure. */
import type { ServiceSnapshot } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import { type Policy, policyOf, type RoutePolicy, type ServicePolicy } from '../policy/policy.ts'
import type { Arrangement } from './arrange.ts'
import { buildService, type BuiltService } from './build-service.ts'
import type { ReadService } from './read-service.ts'
import { sameData } from '../core/same.ts'
import type { ServiceTable } from './table.ts'
import { schemeProblems, withScheme } from './upstream-scheme.ts'

/** The handles of a service's endpoints by key, where they are not the endpoints' own. */
export type Handles = ReadonlyMap<string, string> | undefined

export interface Entry {
  readonly snapshot: ServiceSnapshot | undefined
  readonly read: ReadService
  readonly policy: ServicePolicy
  readonly handles: Handles
  readonly built: BuiltService
  /** All that is wrong with the service by itself. */
  readonly problems: readonly Problem[]
}

export interface EntryParts {
  readonly name: string
  readonly snapshot: ServiceSnapshot | undefined
  readonly read: ReadService
  readonly handles: Handles
}

/** The entry of service `name`; `known` is the one before it, `previous` its part of the table before. */
export function buildEntry(
  { name, snapshot, read, handles }: EntryParts,
  policy: Policy,
  { schemes, needed, sharing }: Pick<Arrangement, 'schemes' | 'needed' | 'sharing'>,
  known: Entry | undefined,
  previous: ServiceTable | undefined,
): Entry {
  const own = policyOf(policy, name)
  const wanted = withScheme(name, own, schemes)
  const same = known?.read === read && known.policy === wanted && sameData(known.handles, handles)
  const built = same ? known.built : buildService(name, read.endpoints, wanted, handles, previous)
  const problems: Problem[] = []
  const route = needed.get(name)
  const unheard = !snapshot || snapshot.instances.length === 0
  // Where it is one of several, what becomes of its requests is said with the route.
  if (route && unheard && !sharing.has(name)) problems.push(noSuchService(name, route))
  problems.push(...read.problems, ...built.problems, ...schemeProblems(name, own, schemes))
  return { snapshot, read, policy: wanted, handles, built, problems }
}

/** `route` is the first that leads there itself, else the first whose rules do. */
function noSuchService(name: string, route: RoutePolicy): Problem {
  const ruled = route.service !== name
  return Object.freeze({
    code: 'no-such-service',
    where: ruled ? `service ${route.service}` : route.origin,
    message: `no instance of service ${name} is registered; until one is, ${ruled ? 'what a rule sends there is answered' : 'its routes answer'} 503`,
  })
}
