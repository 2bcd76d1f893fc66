/**
 * Makes the route table: `build(previous, snapshot, policy)`, pure in meaning and total. What is wrong in its input
 * becomes a problem and costs only itself; what did not change is the very object it was in `previous`. It logs nothing.
 *
 * To make one changed service of a thousand cheap, it remembers beside each table (in a WeakMap) what that was made of: while
 * the policy is the same object, only services whose snapshot is another one are looked at, and the routes that they matter to.
 * A table it did not make, or whose memory was handed on to a successor, costs a full build and gives the same result.
 */
import type { Snapshot } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import type { Policy } from '../policy/policy.ts'
import { arrange, type Arrangement } from './arrange.ts'
import { buildEntry, type Entry } from './build-entry.ts'
import { type BuiltRoute, buildRoute } from './build-route.ts'
import { Claims, type Verdict } from './claims.ts'
import { lastGoodRoutes, problemsWithLastGood } from './last-good.ts'
import { readService, type ReadService } from './read-service.ts'
import { ruleProblems } from './rule-targets.ts'
import { sameData } from '../core/same.ts'
import type { Route, RouteTable, ServiceTable } from './table.ts'

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

/** What is wrong, by where it was found; each list is the same object while it says the same. */
interface Wrong {
  readonly snapshot: readonly Problem[]
  /** Of services by themselves, then of several together. */
  readonly services: readonly Problem[]
  readonly routes: readonly Problem[]
  readonly rules: readonly Problem[]
}

/** What a table was made of. */
interface Memo {
  readonly policy: Policy
  readonly arranged: Arrangement
  /** By service name in order of names. */
  readonly entries: ReadonlyMap<string, Entry>
  readonly verdict: Verdict
  /** In order of the arrangement; undefined: some route has no service, and they are not where the arrangement has them. */
  readonly routes: readonly BuiltRoute[] | undefined
  readonly wrong: Wrong
  /** Moves on to the next table; undefined once it has. */
  claims: Claims | undefined
}

const memos = new WeakMap<RouteTable, Memo>()

/** From memory while the policy's list is the same object and the same last good ones stay. */
function arranged(
  previous: RouteTable,
  snapshot: Snapshot,
  policy: Policy,
  before: Arrangement | undefined,
): Arrangement {
  const sameRoutes = before?.given === policy.routes && before.policies === policy.services
  // Then every route of the table before is still the policy's, and none can be a last good one.
  if (before && sameRoutes && before.kept.length === 0) return before
  const kept = lastGoodRoutes(previous, snapshot, policy)
  return before && sameRoutes && sameData(before.kept, kept) ? before : arrange(policy, kept)
}

// === Services ===

interface BuiltEntries {
  readonly entries: ReadonlyMap<string, Entry>
  readonly claims: Claims
  readonly verdict: Verdict
  readonly problems: readonly Problem[]
  /** Those that may differ from the table before; undefined: all of them. */
  readonly touched: ReadonlySet<string> | undefined
}

/** Takes the claims of `memo`, which has none afterwards; undefined: it has none. */
function takeClaims(memo: Memo): Claims | undefined {
  const { claims } = memo
  memo.claims = undefined
  return claims
}

/** Brings the index of `memo` to the services as they are read now; a new one when there is none to take over. */
function follow(memo: Memo | undefined, reads: ReadonlyMap<string, ReadService>): Claims {
  const claims = memo && takeClaims(memo)
  if (!memo || !claims) {
    const fresh = new Claims()
    for (const { endpoints } of reads.values()) fresh.add(endpoints)
    return fresh
  }
  for (const [name, { read }] of memo.entries) if (reads.get(name) !== read) claims.remove(read.endpoints)
  for (const [name, read] of reads) if (memo.entries.get(name)?.read !== read) claims.add(read.endpoints)
  return claims
}

function allProblems(entries: ReadonlyMap<string, Entry>, verdict: Verdict): readonly Problem[] {
  const problems: Problem[] = []
  for (const entry of entries.values()) if (entry.problems.length > 0) problems.push(...entry.problems)
  return [...problems, ...verdict.problems]
}

/** Brings every service that a route needs up to date. */
function buildEntries(
  previous: RouteTable,
  snapshot: Snapshot,
  policy: Policy,
  memo: Memo | undefined,
  arrangement: Arrangement,
): BuiltEntries {
  const reads = new Map<string, ReadService>()
  for (const name of arrangement.needed.keys()) reads.set(name, readService(snapshot.services.get(name), policy))
  const claims = follow(memo, reads)
  const verdict = claims.judge()
  const entries = new Map<string, Entry>()
  for (const [name, read] of reads) {
    const parts = { name, snapshot: snapshot.services.get(name), read, handles: verdict.handles.get(name) }
    const known = memo?.entries.get(name)
    entries.set(name, buildEntry(parts, policy, arrangement, known, previous.services.get(name)))
  }
  return { entries, claims, verdict, problems: allProblems(entries, verdict), touched: undefined }
}

/** The same where policy and arrangement are those of `memo`, whose `claims` these are: costs what changed and a look at each service. */
function updateEntries(previous: RouteTable, snapshot: Snapshot, memo: Memo, claims: Claims): BuiltEntries {
  const { policy, arranged: arrangement, verdict: before } = memo
  const reads = new Map<string, ReadService>()
  for (const [name, entry] of memo.entries) {
    const service = snapshot.services.get(name)
    if (service !== entry.snapshot) reads.set(name, readService(service, policy))
  }
  for (const name of reads.keys()) claims.remove(memo.entries.get(name)?.read.endpoints ?? [])
  for (const { endpoints } of reads.values()) claims.add(endpoints)
  const verdict = claims.judge()
  const touched = new Set(reads.keys())
  for (const name of [...before.handles.keys(), ...verdict.handles.keys()])
    if (!sameData(before.handles.get(name), verdict.handles.get(name))) touched.add(name)

  if (touched.size === 0) return { entries: memo.entries, claims, verdict, problems: memo.wrong.services, touched }
  const entries = new Map(memo.entries)
  let faulty = verdict.problems.length + before.problems.length > 0
  for (const name of touched) {
    const known = memo.entries.get(name)
    const read = reads.get(name) ?? known?.read
    // Handles of a service that no route needs.
    if (!known || !read) continue
    const parts = { name, snapshot: snapshot.services.get(name), read, handles: verdict.handles.get(name) }
    const entry = buildEntry(parts, policy, arrangement, known, previous.services.get(name))
    faulty ||= known.problems.length + entry.problems.length > 0
    entries.set(name, entry)
  }
  return { entries, claims, verdict, problems: faulty ? allProblems(entries, verdict) : memo.wrong.services, touched }
}

/** The very map of `previous` where its services are the same objects. */
function servicesOf(previous: RouteTable, { entries, touched }: BuiltEntries): ReadonlyMap<string, ServiceTable> {
  if (touched) {
    let changed: Map<string, ServiceTable> | undefined
    for (const name of touched) {
      const table = entries.get(name)?.built.table
      if (table && table !== previous.services.get(name)) (changed ??= new Map(previous.services)).set(name, table)
    }
    return changed ?? previous.services
  }
  let same = entries.size === previous.services.size
  const services = new Map<string, ServiceTable>()
  for (const [name, { built }] of entries) {
    services.set(name, built.table)
    same &&= previous.services.get(name) === built.table
  }
  return same ? previous.services : services
}

// === Routes ===

interface BuiltRoutes {
  readonly routes: readonly Route[]
  readonly built: Memo['routes']
  readonly problems: readonly Problem[]
}

function buildRoutes(
  { ordered, sayers }: Arrangement,
  services: ReadonlyMap<string, ServiceTable>,
  entries: ReadonlyMap<string, Entry>,
  previous: RouteTable,
): BuiltRoutes {
  let byPlace: Map<string, Route> | undefined
  let same = ordered.routes.length === previous.routes.length
  const routes: Route[] = []
  const all: BuiltRoute[] = []
  for (const [i, policy] of ordered.routes.entries()) {
    const { host, path } = policy
    let known = previous.routes[i]
    if (known?.host !== host || known.path !== path) {
      byPlace ??= new Map(previous.routes.map((route) => [`${route.host}${route.path}`, route]))
      known = byPlace.get(`${host}${path}`)
    }
    const built = buildRoute(policy, services, entries, sayers, known)
    if (!built) continue
    same &&= built.route === previous.routes[i]
    routes.push(built.route)
    all.push(built)
  }
  return {
    routes: same ? previous.routes : Object.freeze(routes),
    built: all.length === ordered.routes.length ? all : undefined,
    problems: all.flatMap(({ problems }) => problems),
  }
}

/** The same where only the services in `touched` may differ from `memo`, whose routes stand in `known`. */
function updateRoutes(
  { arranged: arrangement, wrong }: Memo,
  known: readonly BuiltRoute[],
  touched: ReadonlySet<string>,
  services: ReadonlyMap<string, ServiceTable>,
  entries: ReadonlyMap<string, Entry>,
  previous: RouteTable,
): BuiltRoutes {
  const places = new Set<number>()
  for (const name of touched) for (const place of arrangement.places.get(name) ?? []) places.add(place)
  let changed: Route[] | undefined
  let faulty = false
  const all = [...known]
  for (const place of places) {
    const policy = arrangement.ordered.routes[place]
    const before = known[place]
    const built = policy && before && buildRoute(policy, services, entries, arrangement.sayers, before.route)
    if (!built) continue
    all[place] = built
    faulty ||= before.problems.length + built.problems.length > 0
    if (built.route !== before.route) (changed ??= [...previous.routes])[place] = built.route
  }
  return {
    routes: changed ? Object.freeze(changed) : previous.routes,
    built: all,
    problems: faulty ? all.flatMap(({ problems }) => problems) : wrong.routes,
  }
}

// === All of it ===

/** All that is wrong, in order; the very list of `previous` where that says the same. */
function problemsOf(
  previous: RouteTable,
  policy: Policy,
  order: Arrangement,
  wrong: Wrong,
  memo: Memo | undefined,
): readonly Problem[] {
  const before = memo?.policy === policy && memo.arranged === order ? memo.wrong : undefined
  const { snapshot, services, routes, rules } = wrong
  if (
    before?.snapshot === snapshot &&
    before.services === services &&
    before.routes === routes &&
    before.rules === rules
  )
    return previous.problems
  const told = [...snapshot, ...problemsWithLastGood(policy, order), ...order.ordered.problems, ...order.unread]
  const all = [...told, ...services, ...routes, ...rules]
  return sameData(previous.problems, all) ? previous.problems : Object.freeze(all)
}

/**
 * Builds the table that follows `previous`. Returns `previous` itself when nothing changed, else a frozen table whose
 * version is one higher. Cost beyond what changed: a look at each service, and copies of the lists.
 */
export function buildTable(previous: RouteTable, snapshot: Snapshot, policy: Policy): BuildResult {
  const memo = memos.get(previous)
  const order = arranged(previous, snapshot, policy, memo?.arranged)
  const known = memo?.policy === policy && memo.arranged === order ? memo : undefined
  const kept = known && takeClaims(known)
  const made =
    known && kept
      ? updateEntries(previous, snapshot, known, kept)
      : buildEntries(previous, snapshot, policy, memo, order)
  const { entries, claims, verdict, touched } = made
  const services = servicesOf(previous, made)
  const {
    routes,
    built,
    problems: wrongRoutes,
  } = touched && known?.routes
    ? updateRoutes(known, known.routes, touched, services, entries, previous)
    : buildRoutes(order, services, entries, previous)
  const rules = touched?.size === 0 && known ? known.wrong.rules : ruleProblems(ruledOf(order, built, routes), services)
  const before = known?.wrong.rules
  const wrong: Wrong = {
    snapshot: snapshot.problems,
    services: made.problems,
    routes: wrongRoutes,
    rules: before && sameData(before, rules) ? before : rules,
  }
  const problems = problemsOf(previous, policy, order, wrong, known)

  const unchanged = services === previous.services && routes === previous.routes && problems === previous.problems
  const table = unchanged ? previous : Object.freeze({ version: previous.version + 1, routes, services, problems })
  memos.set(table, { policy, arranged: order, entries, verdict, routes: built, wrong, claims })
  return { table, problems }
}

/** The routes whose rules and mirrors have to be looked at. */
function ruledOf({ ruled }: Arrangement, built: Memo['routes'], routes: readonly Route[]): readonly Route[] {
  if (!built) return routes
  return ruled.flatMap((place) => built[place]?.route ?? [])
}
