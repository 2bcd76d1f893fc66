/**
 * How the routes that a service shares with others would be shared, were its weights, its split and who stands by for it others than
 * now. Reckoned from what is in force; it changes nothing. Pure.
 */
import type { BoundGroup, BoundRoute, BoundService, BoundTable } from '../live/runtime.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import type { SplitPart, SplitTarget } from '../policy/traffic.ts'
import { servicesAt } from '../table/table.ts'
import { weighGroups } from '../table/weigh.ts'
import { loadOfParts, type NamedPart, namedParts, type PartsLoad } from './reckon.ts'
import { grouped } from './shared-view.ts'

/** What the service would have. */
export type Sharing = Pick<ServicePolicy, 'versions' | 'split' | 'failover'>

/** The parts of a route; one where it is for its service alone. */
export function partsNow(bound: BoundRoute): readonly NamedPart[] {
  return bound.parts ? namedParts(bound) : [wholly(bound, bound.service, bound.groups)]
}

/** Routes to `service` that are shared now, or would be. */
function routesShared({ routes }: Pick<BoundTable, 'routes'>, service: string, then: Sharing): readonly BoundRoute[] {
  const some = then.split !== undefined || then.failover.length > 0
  return routes.filter(
    (one) => servicesAt(one.route).includes(service) && (one.parts ?? (some && one.service.table.name === service)),
  )
}

/** The parts of `bound` as they would be. */
export function partsThen(
  service: BoundService,
  bound: BoundRoute,
  services: ReadonlyMap<string, BoundService>,
  then: Sharing,
): readonly NamedPart[] {
  const { traffic } = bound.route.policy
  const isOwn = bound.service === service
  const own = !isOwn || bound.route.weights ? undefined : weighed(service, bound.groups, then.versions)
  // Another service's route, or one with a word of its own: only what goes by the weights changes.
  if (!isOwn || (traffic && 'split' in traffic && (traffic.split || traffic.failover))) {
    const groups = own ?? (isOwn ? undefined : weighed(service, service.groups, then.versions))
    return partsNow(bound).map((part) =>
      groups && part.service === service && part.version === null ? { ...part, groups } : part,
    )
  }
  const split = traffic && 'split' in traffic ? traffic.split : then.split
  const find = (target: SplitTarget, part: Pick<NamedPart, 'weight' | 'standby'>): NamedPart => {
    const name = target.service ?? service.table.name
    const found = name === service.table.name ? service : services.get(name)
    const groups = found === service ? (own ?? bound.groups) : (found?.groups ?? [])
    const of = target.version === undefined ? groups : onlyOf(groups, target.version)
    const whole = wholly(bound, found ?? absent(name), of)
    return { ...whole, ...part, version: target.version ?? null, ...(found ? {} : { assumed: true }) }
  }
  const main = split
    ? split.map((part: SplitPart) => find(part, { weight: part.weight ?? 0, standby: false }))
    : [wholly(bound, service, own ?? bound.groups)]
  const standby = (traffic?.failover ?? then.failover).map((target) => find(target, { weight: 0, standby: true }))
  return [...main, ...standby]
}

/** Of routes with the same shares: what each service gets of their requests that no rule decides, the asked one by version. */
export interface SharedChange {
  /** Such as `shop.example.com/cart`; `/` for any host. */
  readonly routes: readonly string[]
  readonly shares: readonly {
    readonly service: string
    /** Null: all of it. */
    readonly version: string | null
    readonly now: number
    readonly after: number
  }[]
  readonly unanswered: { readonly now: number; readonly after: number }
}

/** What `then` would change where others share with `name` or stand by, and sentences about what is not certain. */
export function sharedChanges(
  bound: BoundTable,
  service: BoundService,
  then: Sharing,
): { readonly shared: readonly SharedChange[]; readonly unknown: readonly string[] } {
  const name = service.table.name
  const unknown = new Set<string>()
  const shared = grouped(routesShared(bound, name, then), (route) => {
    const after = partsThen(service, route, bound.services, then)
    for (const one of unknownParts(after)) unknown.add(one)
    return changeOf(name, partsNow(route), after)
  })
  const sentences = [...unknown].map(
    (one) => `No route leads to ${one} now, so what it has is not known: its share is told as if it could answer.`,
  )
  return { shared, unknown: sentences }
}

function changeOf(
  name: string,
  before: readonly NamedPart[],
  then: readonly NamedPart[],
): Omit<SharedChange, 'routes'> {
  const [now, after] = [loadOfParts(before), loadOfParts(then)]
  const rows = new Map<string, { service: string; version: string | null; now: number; after: number }>()
  const add = (key: 'now' | 'after', parts: readonly NamedPart[], load: PartsLoad): void => {
    for (const [at, { service, groups }] of parts.entries()) {
      const { share, load: own } = load.parts[at] ?? { share: 0, load: { versions: [] } }
      const told = service.table.name
      const all =
        told === name
          ? groups.map(({ version }, i) => [version, share * (own.versions[i] ?? 0)] as const)
          : [[null, share] as const]
      for (const [version, part] of all) {
        const id = `${told}\n${version ?? ''}`
        const row = rows.get(id) ?? { service: told, version, now: 0, after: 0 }
        row[key] += part
        rows.set(id, row)
      }
    }
  }
  add('now', before, now)
  add('after', then, after)
  return { shares: [...rows.values()], unanswered: { now: now.unanswered, after: after.unanswered } }
}

/** Services that no route leads to now. */
function unknownParts(parts: readonly NamedPart[]): readonly string[] {
  return [...new Set(parts.filter(({ assumed }) => assumed).map(({ service }) => service.table.name))]
}

function wholly(
  { service: own, strict, plan }: BoundRoute,
  service: NamedPart['service'],
  groups: readonly BoundGroup[],
): NamedPart {
  const isStrict = service === own ? strict : service.table.policy.fallback === 'none'
  return {
    service,
    groups,
    strict: isStrict,
    weight: 1,
    standby: false,
    isolated: plan?.fallback === 'none',
    version: null,
  }
}

const absent = (name: string): NamedPart['service'] => ({ table: { name, policy: { fallback: 'others' } } })

const onlyOf = (groups: readonly BoundGroup[], version: string): readonly BoundGroup[] =>
  groups.map((group) => ({ ...group, weight: Number(group.version === version) }))

/** `versions` undefined: as its instances weigh. */
export function weighed(
  { table }: BoundService,
  groups: readonly BoundGroup[],
  versions: ReadonlyMap<string, number> | undefined,
): readonly BoundGroup[] {
  const { weights } = weighGroups('', table.groups, versions)
  return groups.map((group) => ({ ...group, weight: weights.get(group.version) ?? 0 }))
}
