/**
 * What one table has that another has not, for the log and, later, the history. Pure; costs what changed, since what did
 * not is the same object in both.
 */
import type { Endpoint, Route, RouteTable, ServiceTable, VersionGroup } from './table.ts'
import { leadsTo } from './leads-to.ts'
import { settingChange } from './setting-change.ts'
import { sameData } from '../core/same.ts'

/** How many endpoints of one version came or went. */
export interface VersionCount {
  readonly version: string
  readonly count: number
}

/** An endpoint that is in both and not the same. */
export interface EndpointChange {
  readonly handle: string
  readonly before: Endpoint
  readonly after: Endpoint
}

export interface ServiceChange {
  readonly kind: 'service'
  readonly service: string
  /** `added` and `removed` speak of the service in the table, not of its instances. */
  readonly change: 'added' | 'removed' | 'changed'
  /** Sorted by version. */
  readonly added: readonly VersionCount[]
  readonly removed: readonly VersionCount[]
  readonly changed: readonly EndpointChange[]
  /** The shares of its versions, where a policy sets them before or after and those that are left differ. */
  readonly weights: { readonly before: string; readonly after: string } | undefined
  /** Which other settings of its policy differ, in order of names, with what they were and are where that is short: `fallback others -> none`. */
  readonly settings: readonly string[]
}

export interface RouteChange {
  readonly kind: 'route'
  readonly change: 'added' | 'removed' | 'changed'
  readonly host: string
  readonly path: string
  readonly origin: string
  readonly service: string
  /** Where it led before, when that is elsewhere. Where several services share it, all of them with their weights. */
  readonly serviceBefore: string | undefined
}

export type TableChange = RouteChange | ServiceChange

function endpointsOf(service: ServiceTable | undefined): Map<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>()
  for (const group of service?.groups ?? [])
    for (const endpoint of group.endpoints) endpoints.set(endpoint.key, endpoint)
  return endpoints
}

function countVersions(endpoints: Iterable<Endpoint>, absentFrom: ReadonlyMap<string, Endpoint>): VersionCount[] {
  const counts = new Map<string, number>()
  for (const { key, version } of endpoints)
    if (!absentFrom.has(key)) counts.set(version, (counts.get(version) ?? 0) + 1)
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([version, count]) => ({ version, count }))
}

const versionText = (version: string): string => version || 'no version'

/** Such as `9.7.0=90 9.8.0=10`. */
function weightsText(groups: readonly VersionGroup[]): string {
  return groups.map(({ version, weight }) => `${versionText(version)}=${Number(weight.toPrecision(4))}`).join(' ')
}

function weightsChange(before: ServiceTable | undefined, after: ServiceTable | undefined): ServiceChange['weights'] {
  if (!before || !after || (!before.policy.versions && !after.policy.versions)) return undefined
  // That a version is gone is said with its instances; the others' weights are news only where they differ.
  const left = new Set(after.groups.map(({ version }) => version))
  const now = weightsText(after.groups)
  const kept = weightsText(before.groups.filter(({ version }) => left.has(version)))
  return kept === now ? undefined : { before: weightsText(before.groups), after: now }
}

function settingsChanged(before: ServiceTable | undefined, after: ServiceTable | undefined): readonly string[] {
  if (!before || !after || before.policy === after.policy) return []
  const now = new Map<string, unknown>(Object.entries(after.policy))
  return Object.entries(before.policy)
    .filter(([key, value]) => key !== 'versions' && !sameData(value, now.get(key)))
    .map(([key]) => settingChange(key, before.policy, after.policy))
    .toSorted()
}

function diffService(
  service: string,
  before: ServiceTable | undefined,
  after: ServiceTable | undefined,
): ServiceChange | undefined {
  const old = endpointsOf(before)
  const now = endpointsOf(after)
  const changed: EndpointChange[] = []
  for (const [key, endpoint] of now) {
    const known = old.get(key)
    if (known && known !== endpoint && !sameData(known, endpoint))
      changed.push({ handle: endpoint.handle, before: known, after: endpoint })
  }
  const difference: ServiceChange = {
    kind: 'service',
    service,
    change: !before ? 'added' : !after ? 'removed' : 'changed',
    added: countVersions(now.values(), old),
    removed: countVersions(old.values(), now),
    changed,
    weights: weightsChange(before, after),
    settings: settingsChanged(before, after),
  }
  const { change, added, removed, weights, settings } = difference
  const count = added.length + removed.length + changed.length + settings.length
  const differs = change !== 'changed' || count > 0 || weights
  return differs ? difference : undefined
}

const isSamePlace = (a: Route, b: Route | undefined): boolean => a === b || (a.host === b?.host && a.path === b.path)

/** Undefined: it says the same of its place as `known`. */
function diffRoute(route: Route, known: Route | undefined): RouteChange | undefined {
  if (known === route) return undefined
  const { host, path, origin } = route
  const service = leadsTo(route)
  const change = known ? 'changed' : 'added'
  const before = known && leadsTo(known)
  const serviceBefore = before === service ? undefined : before
  if (known && serviceBefore === undefined && known.origin === origin) return undefined
  return { kind: 'route', change, host, path, origin, service, serviceBefore }
}

function diffRoutes({ routes: a }: RouteTable, { routes: b }: RouteTable): RouteChange[] {
  if (a === b) return []
  if (a.length === b.length && b.every((route, i) => isSamePlace(route, a[i])))
    return b.flatMap((route, i) => (route === a[i] ? [] : (diffRoute(route, a[i]) ?? [])))
  const place = ({ host, path }: Route): string => `${host}${path}`
  const old = new Map(a.map((route) => [place(route), route]))
  const changes: RouteChange[] = []
  for (const route of b) {
    const change = diffRoute(route, old.get(place(route)))
    old.delete(place(route))
    if (change) changes.push(change)
  }
  for (const route of old.values()) {
    const { host, path, origin } = route
    const service = leadsTo(route)
    changes.push({ kind: 'route', change: 'removed', host, path, origin, service, serviceBefore: undefined })
  }
  return changes
}

/** The last answer: a change is asked for by the log and by the history, and the tables are the same then. */
let last:
  | { readonly a: WeakRef<RouteTable>; readonly b: WeakRef<RouteTable>; readonly changes: readonly TableChange[] }
  | undefined

/** What leads from `a` to `b`: routes first, then services by name. Empty when they say the same. */
export function diffTables(a: RouteTable, b: RouteTable): readonly TableChange[] {
  if (a === b) return []
  if (last?.a.deref() === a && last.b.deref() === b) return last.changes
  const changes = differences(a, b)
  last = { a: new WeakRef(a), b: new WeakRef(b), changes }
  return changes
}

function differences(a: RouteTable, b: RouteTable): readonly TableChange[] {
  const names: string[] = []
  if (a.services !== b.services) {
    for (const [name, service] of b.services) if (a.services.get(name) !== service) names.push(name)
    for (const name of a.services.keys()) if (!b.services.has(name)) names.push(name)
  }
  const services = names
    .sort()
    .map((name) => diffService(name, a.services.get(name), b.services.get(name)))
    .filter((change) => change !== undefined)
  return [...diffRoutes(a, b), ...services]
}
