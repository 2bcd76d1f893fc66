/**
 * Makes the route table: `build(previous, snapshot, policy)`, pure in meaning and total. What is wrong in its input
 * becomes a problem and costs only itself; what did not change is the very object it was in `previous`. It logs nothing.
 *
 * To make one changed service of a thousand cheap, it remembers beside each table (in a WeakMap) what that was made of
 * and skips what is identical. A table it did not make, or whose memory was handed on to a successor, costs a full build
 * and gives the same result.
 */
import type { ServiceSnapshot, Snapshot } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import type { Policy, RoutePolicy, ServicePolicy } from '../policy/policy.ts'
import { buildService, type BuiltService } from './build-service.ts'
import { Claims } from './claims.ts'
import { lastGoodRoutes, problemsOf, withLastGood } from './last-good.ts'
import { type PartSource, partProblems, partsOf, sharingServices } from './parts.ts'
import { orderRoutes, type OrderedRoutes } from './order-routes.ts'
import { readService, type ReadService } from './read-service.ts'
import { sameData } from './same.ts'
import { ruleProblems, servicesOf } from './rule-targets.ts'
import { type Schemes, schemeProblems, schemesOf, withScheme } from './upstream-scheme.ts'
import { noService, type Route, type RouteTable, type ServiceTable } from './table.ts'
import { weighGroups } from './weigh.ts'

/** The table before the first build. */
export const emptyTable: RouteTable = Object.freeze({
  version: 0,
  routes: Object.freeze([]),
  services: new Map(),
  problems: Object.freeze([]),
})

export interface BuildResult {
  readonly table: RouteTable
  /** All that is wrong now, the snapshot's and the policy's own problems included; the same list as the table's. */
  readonly problems: readonly Problem[]
}

/** What one service's part was made of, and what came out. */
interface Entry {
  readonly snapshot: ServiceSnapshot | undefined
  readonly read: ReadService
  readonly policy: ServicePolicy
  readonly handles: ReadonlyMap<string, string> | undefined
  readonly built: BuiltService
}

interface Memo {
  readonly given: readonly RoutePolicy[]
  /** They and the defaults, which come with them, may have rules that lead to other services. */
  readonly policies: Policy['services']
  readonly kept: readonly RoutePolicy[]
  readonly ordered: OrderedRoutes
  /** See `withLastGood`. */
  readonly shared: readonly Problem[] | undefined
  readonly schemes: Schemes
  /** First route of each service, by service name in order of names. */
  readonly needed: ReadonlyMap<string, RoutePolicy>
  readonly entries: ReadonlyMap<string, Entry>
  /** Moves on to the next table; undefined once it has. */
  claims: Claims | undefined
}

const memos = new WeakMap<RouteTable, Memo>()

/** The order of routes, from memory while the policy's list is the same object and the same last good ones stay. */
function arrange(
  previous: RouteTable,
  snapshot: Snapshot,
  policy: Policy,
  memo: Memo | undefined,
): Pick<Memo, 'given' | 'policies' | 'kept' | 'ordered' | 'shared' | 'schemes' | 'needed'> {
  const sameRoutes = memo?.given === policy.routes && memo.policies === policy.services
  // Then every route of the table before is still the policy's, and none can be a last good one.
  if (memo && sameRoutes && memo.kept.length === 0) return memo
  const kept = lastGoodRoutes(previous, snapshot, policy)
  if (memo && sameRoutes && sameData(memo.kept, kept)) return memo
  const { routes, shared } = withLastGood(policy, kept)
  const ordered = orderRoutes(routes)
  const first = new Map<string, RoutePolicy>()
  for (const route of ordered.routes)
    for (const name of servicesOf(route, policy)) {
      const known = first.get(name)
      if (!known || (known.service !== name && route.service === name)) first.set(name, route)
    }
  const needed = new Map([...first].sort(([a], [b]) => (a < b ? -1 : 1)))
  const schemes = schemesOf(ordered.routes)
  return { given: policy.routes, policies: policy.services, kept, ordered, shared, schemes, needed }
}

/** The previous build's index, brought to the services as they are read now; a new one when there is none to take over. */
function follow(memo: Memo | undefined, reads: ReadonlyMap<string, ReadService>): Claims {
  const claims = memo?.claims
  if (!memo || !claims) {
    const fresh = new Claims()
    for (const { endpoints } of reads.values()) fresh.add(endpoints)
    return fresh
  }
  memo.claims = undefined
  for (const [name, { read }] of memo.entries) if (reads.get(name) !== read) claims.remove(read.endpoints)
  for (const [name, read] of reads) if (memo.entries.get(name)?.read !== read) claims.add(read.endpoints)
  return claims
}

interface BuiltRoutes {
  readonly routes: readonly Route[]
  readonly problems: readonly Problem[]
}

function buildRoutes(
  ordered: OrderedRoutes,
  services: ReadonlyMap<string, ServiceTable>,
  entries: ReadonlyMap<string, Entry>,
  previous: RouteTable,
): BuiltRoutes {
  const find = (name: string): PartSource | undefined => {
    const entry = entries.get(name)
    return entry && { table: entry.built.table, read: entry.read }
  }
  let byPlace: Map<string, Route> | undefined
  let same = ordered.routes.length === previous.routes.length
  const routes: Route[] = []
  const problems: Problem[] = []
  for (const [i, policy] of ordered.routes.entries()) {
    const { origin, host, path } = policy
    const service = policy.service === '' ? noService : services.get(policy.service)
    if (!service) continue
    let known = previous.routes[i]
    if (known?.host !== host || known.path !== path) {
      byPlace ??= new Map(previous.routes.map((route) => [`${route.host}${route.path}`, route]))
      known = byPlace.get(`${host}${path}`)
    }
    const unchanged = known?.service === service && (known.policy === policy || sameData(known.policy, policy))
    const versions = policy.traffic?.versions
    const weighed = versions && weighGroups(origin, service.groups, versions)
    if (weighed) problems.push(...weighed.problems)
    const parts = service === noService ? undefined : partsOf(policy, service.policy, find)
    if (parts) problems.push(...partProblems(policy, parts, services))
    const weights = weighed?.weights
    const made: Route = { origin, host, path, service, policy, weights, ...(parts ? { parts } : {}) }
    const route = known && unchanged && sameData(known.parts, parts) ? known : Object.freeze(made)
    same &&= route === previous.routes[i]
    routes.push(route)
  }
  return { routes: same ? previous.routes : Object.freeze(routes), problems }
}

const policyOf = ({ services, defaults }: Policy, name: string): ServicePolicy => services.get(name) ?? defaults

function isUnheard(entry: Entry): boolean {
  return !entry.snapshot || entry.snapshot.instances.length === 0
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

/** Brings every service that a route needs up to date. */
function buildEntries(
  previous: RouteTable,
  snapshot: Snapshot,
  policy: Policy,
  memo: Memo | undefined,
  { needed, schemes }: Pick<Memo, 'needed' | 'schemes'>,
): { readonly entries: ReadonlyMap<string, Entry>; readonly claims: Claims; readonly problems: readonly Problem[] } {
  const reads = new Map<string, ReadService>()
  for (const name of needed.keys()) reads.set(name, readService(snapshot.services.get(name), policy))
  const claims = follow(memo, reads)
  const verdict = claims.judge()

  const shared = new Map<RoutePolicy, ReadonlySet<string>>()
  const sharing = (route: RoutePolicy): ReadonlySet<string> => {
    const known = shared.get(route) ?? sharingServices(route, policyOf(policy, route.service))
    shared.set(route, known)
    return known
  }
  const entries = new Map<string, Entry>()
  const problems: Problem[] = []
  for (const [name, read] of reads) {
    const known = memo?.entries.get(name)
    const own = policyOf(policy, name)
    const wanted = withScheme(name, own, schemes)
    const handles = verdict.handles.get(name)
    let entry = known
    if (known?.read !== read || known.policy !== wanted || !sameData(known.handles, handles)) {
      const built = buildService(name, read.endpoints, wanted, handles, previous.services.get(name))
      entry = { snapshot: snapshot.services.get(name), read, policy: wanted, handles, built }
    }
    if (!entry) continue
    entries.set(name, entry)
    const route = needed.get(name)
    // Where it is one of several, what becomes of its requests is said with the route.
    if (route && isUnheard(entry) && !sharing(route).has(name)) problems.push(noSuchService(name, route))
    problems.push(...read.problems, ...entry.built.problems, ...schemeProblems(name, own, schemes))
  }
  return { entries, claims, problems: [...problems, ...verdict.problems] }
}

/**
 * Builds the table that follows `previous`. Returns `previous` itself when nothing changed, else a frozen table whose
 * version is one higher. Cost beyond what changed: a few map look-ups per service and route.
 */
export function buildTable(previous: RouteTable, snapshot: Snapshot, policy: Policy): BuildResult {
  const memo = memos.get(previous)
  const arranged = arrange(previous, snapshot, policy, memo)
  const { entries, claims, problems: found } = buildEntries(previous, snapshot, policy, memo, arranged)

  let sameServices = entries.size === previous.services.size
  const services = new Map<string, ServiceTable>()
  for (const [name, { built }] of entries) {
    services.set(name, built.table)
    sameServices &&= previous.services.get(name) === built.table
  }
  const { routes, problems: wrong } = buildRoutes(arranged.ordered, services, entries, previous)
  const rules = ruleProblems(routes, services)
  const said = problemsOf(policy, arranged)
  const all = [...snapshot.problems, ...said, ...arranged.ordered.problems, ...found, ...wrong, ...rules]
  const problems = sameData(previous.problems, all) ? previous.problems : Object.freeze(all)

  const unchanged = sameServices && routes === previous.routes && problems === previous.problems
  const table = unchanged
    ? previous
    : Object.freeze({
        version: previous.version + 1,
        routes,
        services: sameServices ? previous.services : services,
        problems,
      })
  memos.set(table, { ...arranged, entries, claims })
  return { table, problems }
}
