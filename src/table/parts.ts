/**
 * Shares a route's requests among several services: what a split says, and what fabio does where several services register
 * for one place. Each part is entered by the weights of its service. Pure.
 */
import type { Problem } from '../core/problem.ts'
import type { Policy, RoutePolicy, ServicePolicy } from '../policy/policy.ts'
import { withWishes } from '../policy/tag-weights.ts'
import { sayerOf } from '../policy/weights.ts'
import type { SplitPart, SplitTarget } from '../policy/traffic.ts'
import type { ReadService } from './read-service.ts'
import { sameData } from '../core/same.ts'
import type { RoutePart, ServiceTable, VersionGroup } from './table.ts'

/** What holds for a route: its own word, which may be that there is none, else its service's. */
export function splitOf({ traffic }: RoutePolicy, service: ServicePolicy): readonly SplitPart[] | undefined {
  return traffic && 'split' in traffic ? traffic.split : service.split
}

export function failoverOf({ traffic }: RoutePolicy, service: ServicePolicy): readonly SplitTarget[] {
  return traffic?.failover ?? service.failover
}

/**
 * The services that a split and what stands by for it lead to, besides the route's own. A part of weight 0 leads nowhere: nobody
 * has to follow its service before it weighs something.
 */
export function splitServices(route: RoutePolicy, service: ServicePolicy): readonly string[] {
  const parts = (splitOf(route, service) ?? []).filter(({ weight }) => weight !== 0)
  return [...parts, ...failoverOf(route, service)].flatMap((target) => target.service ?? [])
}

/** The services that share a route's requests, its own first; empty: there is neither a split nor somebody who stands by. */
export function sharingServices(route: RoutePolicy, service: ServicePolicy): ReadonlySet<string> {
  const alone = splitOf(route, service) === undefined && failoverOf(route, service).length === 0
  return new Set(alone ? [] : [route.service, ...splitServices(route, service)])
}

/** A service as a build has it. */
export interface PartSource {
  readonly table: ServiceTable
  readonly read: ReadService
}

/** The parts of `route`; undefined: it has none, and all is for its service. */
export function partsOf(
  route: RoutePolicy,
  own: ServicePolicy,
  find: (service: string) => PartSource | undefined,
): readonly RoutePart[] | undefined {
  const split = splitOf(route, own)
  const failover = failoverOf(route, own)
  if (split === undefined && failover.length === 0) return undefined
  const main = split === undefined ? [wholly(route.service)] : shared(route.service, split, find)
  const standby = failover.map(({ service = route.service, version }) => ({
    ...wholly(service),
    version,
    weight: 0,
    standby: true,
  }))
  return Object.freeze([...main, ...standby].map((part) => Object.freeze(part)))
}

const wholly = (service: string): RoutePart => ({
  service,
  version: undefined,
  weight: 1,
  standby: false,
  weights: undefined,
  endpoints: undefined,
  said: undefined,
})

function shared(
  own: string,
  split: readonly SplitPart[],
  find: (service: string) => PartSource | undefined,
): readonly RoutePart[] {
  const byInstances = split.every(({ weight }) => weight === undefined)
  if (byInstances) return sharedByInstances(own, split, find)
  return split.map((said) => ({
    ...wholly(said.service ?? own),
    version: said.version,
    weight: said.weight ?? 0,
    said,
  }))
}

/**
 * Each instance gets what it would among all of them together: the part its tags ask for, or of what those leave an equal
 * share by its weight in the catalog (fabio 1.7, route/route.go `weighTargets`).
 */
function sharedByInstances(
  own: string,
  split: readonly SplitPart[],
  find: (service: string) => PartSource | undefined,
): readonly RoutePart[] {
  const wishes = new Map<string, number>()
  const instances: { readonly key: string; readonly weight: number }[] = []
  const sources = split.map((said) => {
    const source = find(said.service ?? own)
    const keys: string[] = []
    if (source)
      for (const { key, weight } of source.read.endpoints) {
        keys.push(key)
        instances.push({ key, weight: source.read.plain?.get(key) ?? weight })
        const wish = source.read.wishes.get(key)
        if (wish !== undefined) wishes.set(key, wish)
      }
    return { said, source, keys }
  })
  const wished = withWishes(instances, wishes)
  const weights = new Map(wished.map(({ key, weight }) => [key, weight]))
  return sources.map(({ said, source, keys }): RoutePart => {
    const weight = keys.reduce((sum, key) => sum + (weights.get(key) ?? 0), 0)
    const part = { ...wholly(said.service ?? own), version: said.version, weight, said }
    // Without wishes they are the service's own.
    if (wished === instances || !source) return part
    const endpoints = new Map(keys.map((key) => [key, weights.get(key) ?? 0]))
    return { ...part, endpoints, weights: groupWeights(source.table, endpoints) }
  })
}

/** Of versions that weigh as their instances do. */
function groupWeights(
  { groups, policy }: ServiceTable,
  endpoints: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> | undefined {
  if (policy.versions) return undefined
  return new Map(
    groups.map((group) => [
      group.version,
      group.endpoints.reduce((sum, { key }) => sum + (endpoints.get(key) ?? 0), 0),
    ]),
  )
}

const canWeigh = ({ endpoints }: VersionGroup): boolean => endpoints.some(({ weight }) => weight > 0)

/** Services that one problem names; more are counted. */
const namedMax = 8

/** Where instances decide: `weight=` in the tags of others asks for all there is. */
function noShare({ origin }: RoutePolicy, service: string, takers: readonly string[]): Problem {
  const more = takers.length - namedMax
  const names = `${takers.slice(0, namedMax).join(' and ')}${more > 0 ? ` and ${String(more)} more` : ''}`
  return Object.freeze({
    code: 'no-share',
    notice: true,
    where: origin,
    message:
      `weight= in tags of ${takers.length === 1 ? 'service' : 'services'} ${names} asks for all requests here: service ${service} gets none, though it has instances, ` +
      `and none either while nobody else answers, until the catalog takes away those who have them`,
  })
}

/** What parts name that is not there, and what of their services is not asked. */
export function partProblems(
  route: RoutePolicy,
  parts: readonly RoutePart[],
  services: ReadonlyMap<string, ServiceTable>,
  sayers: Pick<Policy, 'weights' | 'defaults'>,
): readonly Problem[] {
  const problems = new Map<string, Problem>()
  /** Where that stands which has to be mended. */
  const placeOf = (key: 'split' | 'failover'): string => {
    const own = route.traffic && (key === 'split' ? 'split' in route.traffic : route.traffic.failover)
    return (own ? undefined : sayerOf(sayers, route.service, key)) ?? route.origin
  }
  const takers = parts.filter(({ weight }) => weight > 0).map(({ service }) => service)
  for (const { service, version, weight, standby, said } of parts) {
    const table = services.get(service)
    if (!table) continue
    const { groups, policy } = table
    if (weight === 0 && !standby && said?.weight !== undefined) continue
    if (weight === 0 && !standby && takers.length > 0 && groups.some(canWeigh))
      problems.set(`none ${service}`, noShare(route, service, takers))
    const what = standby ? 'requests fail over to' : said ? 'a split sends requests to' : 'requests go to'
    const where = standby ? placeOf('failover') : said?.weight === undefined ? route.origin : placeOf('split')
    const tell = (code: string, message: string): void => {
      problems.set(message, Object.freeze({ code, where, message }))
    }
    const then = standby ? '' : `; until one is, ${said ? 'the other parts have its share' : 'who stands by has them'}`
    if (version === undefined && groups.length === 0)
      tell('no-such-service', `${what} service ${service}, of which no instance is registered${then}`)
    if (version !== undefined && !groups.some((group) => group.version === version))
      tell(
        'no-such-version',
        `${what} version ${version} of service ${service}, of which no instance is registered${then}`,
      )
    // Where instances decide, the route's own service is one like the others.
    if (service === route.service && (said?.weight !== undefined || !said)) continue
    const unasked = [
      ...(policy.split || policy.failover.length > 0 ? ['a split or failover'] : []),
      ...(policy.rules.length > 0 && !sameData(route.traffic?.rules, policy.rules) ? ['rules'] : []),
    ]
    if (unasked.length > 0)
      tell(
        'split-not-followed',
        `${what} service ${service}, which has ${unasked.join(' and ')} of its own: they are not asked for these requests`,
      )
  }
  return [...problems.values()]
}
