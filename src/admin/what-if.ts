/**
 * `GET /v1/what-if`: how a service's requests would be shared among versions and endpoints, and those of the routes that it shares
 * with other services among all of them, if one endpoint or all of a service died, or with another split. It reckons with what is
 * in force at this moment; it changes nothing and asks nobody.
 */
import { nearest } from '../config/nearest.ts'
import { showHostPort } from '../core/host.ts'
import type { BoundGroup, BoundRoute, BoundService, BoundTable } from '../live/runtime.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import { sameData } from '../core/same.ts'
import { unknownService } from './asked.ts'
import { json, type Answer } from './door.ts'
import { isNamed } from './endpoints.ts'
import { readQuery } from './query.ts'
import {
  type IsGone,
  type Load,
  loadOf,
  loadOfParts,
  type NamedPart,
  namedParts,
  type PartsLoad,
  sharedRoutes,
} from './reckon.ts'
import { partsThen, type Sharing, weighed } from './shared-then.ts'
import { grouped } from './shared-view.ts'
import { endOfSplit, readVersions, unregistered } from './versions.ts'

/** Parts of the requests that no rule decides, 0 to 1. */
export interface NowAfter {
  readonly now: number
  readonly after: number
}

export interface WhatIfEndpoint extends NowAfter {
  readonly handle: string
  readonly address: string
  readonly version: string
}

export interface WhatIfView {
  readonly service: string
  readonly versions: readonly (NowAfter & { readonly version: string })[]
  /** By weights; a hash key, affinity, zones and who is busy may lead elsewhere. */
  readonly endpoints: readonly WhatIfEndpoint[]
  /** Nobody of the service is there for them: they would be answered 503, but for those to routes of `shared`. */
  readonly unanswered: NowAfter
  /** Routes that it shares with other services, or where others stand by for it; those with the same shares are one. */
  readonly shared: readonly SharedView[]
  /** What is to be known of the split that was asked for, a sentence each. */
  readonly warnings: readonly string[]
}

export interface SharedView {
  /** Such as `shop.example.com/cart`; `/` for any host. */
  readonly routes: readonly string[]
  readonly parts: readonly SharedPartView[]
  readonly unanswered: NowAfter
}

export interface SharedPartView extends NowAfter {
  readonly service: string
  /** Null: by its weights. */
  readonly version: string | null
  /** Only where no other can answer. */
  readonly standby: boolean
  readonly endpoints: readonly WhatIfEndpoint[]
}

/** What is other than now. */
interface Case {
  readonly isGone: IsGone
  /** Undefined: weights are as they are. */
  readonly asked: AskedWeights | undefined
}

interface AskedWeights {
  /** Of the service that is asked for. */
  readonly versions: ReadonlyMap<string, number>
  /** They end the split among several services that it has itself. */
  readonly endsSplit: boolean
  /** What it has with them. */
  readonly sharing: Sharing
}

/** `beneath`: what a service has where the KV, which `split` writes to, says nothing of it. */
export function whatIfAnswer(
  bound: BoundTable,
  query: string,
  beneath?: (service: string) => Pick<ServicePolicy, 'split'>,
): Answer {
  const asked = readQuery(query, ['service', 'without', 'split'])
  if (typeof asked === 'string') return json(400, { error: asked })
  const [name, without, split] = [asked.get('service'), asked.get('without'), asked.get('split')]
  if (name === undefined) return json(400, { error: 'service is missing: the name of a service.' })
  if ((without === undefined) === (split === undefined))
    return json(400, {
      error:
        'Give one of without, the handle of an endpoint or the name of a service, and split, such as 9.7.0=90,9.8.0=10.',
    })
  const service = bound.services.get(name)
  if (!service) return json(404, { error: `service: ${unknownService(name, bound.services.keys())}` })
  const routes = sharedRoutes(bound).get(name) ?? []
  const gone = without === undefined ? undefined : goneBy(without, service, routes)
  if (typeof gone === 'string') return json(404, { error: `without: ${gone}` })
  const versions = split === undefined ? undefined : readSplit(split)
  if (typeof versions === 'string') return json(400, { error: `split: ${versions}` })
  const { split: own, failover } = service.table.policy
  // One that the KV says itself stays beside weights that are written there.
  const endsSplit = own !== undefined && sameData(own, beneath ? beneath(name).split : own)
  const sharing = { versions, split: endsSplit ? undefined : own, failover }
  const weights = versions && { versions, endsSplit, sharing }
  return json(200, viewOf(bound, service, routes, { isGone: gone ?? (() => false), asked: weights }))
}

/** What dies with an endpoint or with a service, or a sentence about why it is neither. */
function goneBy(without: string, service: BoundService, routes: readonly BoundRoute[]): IsGone | string {
  const all = new Set([service, ...routes.flatMap(({ parts = [] }) => parts.map((part) => part.service))])
  const endpoints = [...all].flatMap(({ groups }) => groups.flatMap((group) => group.endpoints))
  const handles = new Set(endpoints.map(({ endpoint }) => endpoint.handle))
  const named = new Set(endpoints.flatMap(({ endpoint }) => (isNamed(endpoint, without) ? [endpoint.handle] : [])))
  const [one, ...more] = named
  if (handles.has(without)) return ({ endpoint }) => endpoint.handle === without
  const names = new Set([...all].map(({ table }) => table.name))
  // A name of several is none.
  if (one !== undefined && more.length === 0 && !names.has(without)) return ({ endpoint }) => endpoint.handle === one
  if (names.has(without)) return ({ endpoint }) => endpoint.service === without
  const near = nearest(without, [...handles, ...names])
  return `no endpoint that the catalog gives traffic has this handle, and no service this name, here or behind a route shared with it.${near === undefined ? '' : ` Did you mean ${near}?`}`
}

/** `v1=90,v2=10`, or a sentence about what is wrong with it. */
function readSplit(text: string): ReadonlyMap<string, number> | string {
  const raw: Record<string, string> = Object.create(null)
  for (const part of text.split(',')) {
    const equals = part.lastIndexOf('=')
    const version = part.slice(0, Math.max(0, equals))
    if (version === '' || equals === part.length - 1) return 'a version and its weight are written like 9.8.0=10.'
    if (version in raw) return 'a version stands there twice.'
    raw[version] = part.slice(equals + 1)
  }
  return readVersions(raw)
}

function viewOf(
  { services }: BoundTable,
  service: BoundService,
  routes: readonly BoundRoute[],
  what: Case,
): WhatIfView {
  const { groups, table } = service
  const strict = table.policy.fallback === 'none'
  const { isGone, asked } = what
  const split = asked?.versions
  const now = loadOf(groups, strict)
  const after = loadOf(split ? weighed(service, groups, split) : groups, strict, isGone)
  const missing = [...(split?.keys() ?? [])].filter(
    (one) => one !== '*' && !groups.some(({ version }) => version === one),
  )
  const { refusal, warnings } = split ? unregistered(service, split, services) : { refusal: undefined, warnings: [] }
  return {
    service: table.name,
    versions: [
      ...groups.map(({ version }, at) => ({
        version,
        now: now.versions[at] ?? 0,
        after: after.versions[at] ?? 0,
      })),
      ...missing.map((version) => ({ version, now: 0, after: 0 })),
    ],
    endpoints: endpointViews(groups, [1, now], [1, after]),
    unanswered: { now: now.unanswered, after: after.unanswered },
    shared: grouped(routes, (route) => sharedView(service, route, services, what)),
    warnings: [...(refusal === undefined ? warnings : [refusal]), ...(asked?.endsSplit ? [endOfSplit] : [])],
  }
}

/** `now` and `after`: the share of all and the load that it is of. */
function endpointViews(
  groups: readonly BoundGroup[],
  now: readonly [number, Load],
  after: readonly [number, Load],
): readonly WhatIfEndpoint[] {
  const of = ([share, { endpoints }]: readonly [number, Load], handle: string): number =>
    share * (endpoints.get(handle) ?? 0)
  return groups.flatMap(({ version, endpoints }) =>
    endpoints.map(({ endpoint: { handle, address, port } }) => ({
      handle,
      address: showHostPort(address, port),
      version,
      now: of(now, handle),
      after: of(after, handle),
    })),
  )
}

// === Routes that several services share ===

const none: Load = { versions: [], endpoints: new Map(), unanswered: 0 }

function sharedView(
  service: BoundService,
  bound: BoundRoute,
  services: BoundTable['services'],
  { isGone, asked }: Case,
): Omit<SharedView, 'routes'> {
  const before = namedParts(bound)
  const then = asked ? partsThen(service, bound, services, asked.sharing) : before
  const now = loadOfParts(before)
  const after = loadOfParts(then, isGone)
  const find = (list: readonly NamedPart[], { parts }: PartsLoad, part: NamedPart): readonly [number, Load] => {
    const found = parts[list.findIndex((one) => isSame(one, part))]
    return found ? [found.share, found.load] : [0, none]
  }
  const all = [...before, ...then.filter((part) => !before.some((one) => isSame(one, part)))]
  return {
    parts: all.map((part): SharedPartView => {
      const [a, b] = [find(before, now, part), find(then, after, part)]
      return {
        service: part.service.table.name,
        version: part.version,
        standby: part.standby,
        now: a[0],
        after: b[0],
        endpoints: endpointViews(
          part.version === null ? part.groups : part.groups.filter(({ version }) => version === part.version),
          a,
          b,
        ),
      }
    }),
    unanswered: { now: now.unanswered, after: after.unanswered },
  }
}

const isSame = (a: NamedPart, b: NamedPart): boolean =>
  a.service.table.name === b.service.table.name && a.version === b.version && a.standby === b.standby
