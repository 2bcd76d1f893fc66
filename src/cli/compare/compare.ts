/**
 * Where fabio's table and a proxy's would send requests differently. fabio's routes are read by the parser of tags, so that what
 * a tag cannot say here is said in the same words. Pure.
 */
import { routeOptions, type RouteOptions } from '../../admin/route-view.ts'
import { counted } from '../../core/counted.ts'
import { showHostPort } from '../../core/host.ts'
import { parseRange } from '../../policy/ip.ts'
import { type ParsedTag, parseTag } from '../../policy/parse-tag.ts'
import { sameData } from '../../core/same.ts'
import type { FabioTarget, OwnTable } from './answer.ts'

export type DifferenceKind = 'only-fabio' | 'only-here' | 'unsupported' | 'service' | 'options' | 'instances' | 'shares'

export interface Difference {
  /** `shop.example.com/cart`, `/cart` for any host. */
  readonly place: string
  readonly kind: DifferenceKind
  readonly message: string
}

export interface Comparison {
  /** Of both together. */
  readonly places: number
  /** In order of places. */
  readonly differences: readonly Difference[]
}

/** Shares that differ by less are taken for the same: fabio deals them out in slots. */
const shareTolerance = 0.01

/** Instances named in a message; more are counted. */
const namedMax = 5

interface Translated {
  readonly target: FabioTarget
  readonly tag: ParsedTag
  /** `host:port`. */
  readonly address: string
}

type Good = Translated & { readonly tag: { readonly kind: 'route' } }

type OwnRoute = OwnTable['routes'][number]

export function compareTables(fabio: readonly FabioTarget[], own: OwnTable): Comparison {
  const theirs = new Map<string, Translated[]>()
  for (const target of fabio) {
    const translated = translate(target)
    const place = placeOf(translated)
    const known = theirs.get(place)
    if (known) known.push(translated)
    else theirs.set(place, [translated])
  }
  const ours = new Map(own.routes.map((route) => [`${route.host}${route.path}`, route]))
  const services = new Map(own.services.map((service) => [service.name, service]))
  const places = [...new Set([...theirs.keys(), ...ours.keys()])].sort()
  const differences = places.flatMap((place) => {
    const targets = theirs.get(place) ?? []
    const route = ours.get(place)
    const found = differencesAt(targets, route, route && ownShares(route, services))
    return found.map(([kind, message]): Difference => ({ place, kind, message }))
  })
  return { places: places.length, differences }
}

/** As the tag that would have made it. */
function translate(target: FabioTarget): Translated {
  const { host, path, dst } = target
  const [, scheme = '', address = ''] = /^([a-z0-9+]+):\/\/([^/?#]*)/i.exec(dst) ?? []
  const redirects = /(?:^|\s)redirect=/.test(target.opts)
  const options = target.opts.replace(/(^|\s)(redirect=\d+)(?=\s|$)/, (_, before, code) => `${before}${code},${dst}`)
  const proto = redirects || scheme === 'http' || scheme === '' ? '' : ` proto=${scheme}`
  const tag = parseTag(`urlprefix-${host}${path} ${options}${proto}`, 'urlprefix-')
  const none: ParsedTag = { kind: 'bad', reason: 'it is no route of tags', place: undefined }
  return { target, tag: tag ?? none, address: address.toLowerCase() }
}

function placeOf({ tag, target }: Translated): string {
  if (tag.kind === 'route') return `${tag.host}${tag.path}`
  return tag.place ?? `${target.host}${target.path}`
}

type Found = readonly [DifferenceKind, string]

function differencesAt(
  targets: readonly Translated[],
  route: OwnRoute | undefined,
  shares: ReadonlyMap<string, number> | undefined,
): readonly Found[] {
  const found: Found[] = []
  const reasons = new Set(targets.flatMap(({ tag }) => (tag.kind === 'bad' ? [tag.reason] : [])))
  for (const reason of reasons) found.push(['unsupported', `fabio's route cannot be said here: ${reason}`])
  const good = targets.filter((each): each is Good => each.tag.kind === 'route')
  if (good.length === 0) {
    if (targets.length === 0 && route) found.push(['only-here', onlyHere(route, shares)])
    return found
  }
  const names = [...new Set(good.map(({ target }) => target.service))].sort()
  if (route === undefined) {
    found.push(['only-fabio', `only fabio routes it, to ${names.join(', ')}`])
    return found
  }
  const theirs = good.map(({ tag }) => routeOptions(tag.options))
  if (route.split === undefined) found.push(...optionDifferences(theirs, route.options ?? {}))
  else
    for (const part of route.split) {
      const of = good.filter(({ target }) => target.service === part.service)
      const { proto: _ofOne, ...options } = route.options ?? {}
      const differ = optionDifferences(
        of.map(({ tag }) => routeOptions(tag.options)),
        { ...options, ...part.options },
      )
      if (of.length > 0) found.push(...differ.map(([kind, text]): Found => [kind, `to ${part.service}: ${text}`]))
    }
  if (theirs.some(({ redirect }) => redirect) || route.options?.redirect) return found
  const ours = serving(route).map(({ service }) => service)
  const ownNames = route.split ? [...new Set(ours)].sort() : [route.service]
  if (names.join('\n') !== ownNames.join('\n'))
    found.push(['service', `fabio sends it to ${names.join(', ')}, this proxy to ${ownNames.join(', ')}`])
  else found.push(...instanceDifferences(fabioShares(good), shares ?? new Map<string, number>()))
  return found
}

function onlyHere({ service, origin }: OwnRoute, shares: ReadonlyMap<string, number> | undefined): string {
  if (service === '') return `only this proxy routes it, to a redirect (${origin})`
  const idle = shares?.size
    ? ''
    : '; it has no instance in traffic, for which fabio drops a route and this proxy answers 503'
  return `only this proxy routes it, to ${service} (${origin})${idle}`
}

function optionDifferences(theirs: readonly RouteOptions[], own: RouteOptions): readonly Found[] {
  const variants: RouteOptions[] = []
  for (const options of theirs) {
    const plain = comparable(options)
    if (!variants.some((known) => sameData(known, plain))) variants.push(plain)
  }
  if (variants.length > 1) {
    const all = variants.map(showOptions).join(' or ')
    return [['options', `fabio goes by the instance: ${all}; this proxy does ${showOptions(own)} for all`]]
  }
  const [only = {}] = variants
  if (sameData(only, comparable(own))) return []
  return [['options', `fabio does ${showOptions(only)}, this proxy ${showOptions(own)}`]]
}

/** Ranges in one spelling and order: `10.0.0.1` is `10.0.0.1/32`. */
function comparable(options: RouteOptions): RouteOptions {
  const { allow, deny, ...rest } = options
  return { ...rest, ...(allow ? { allow: plainRanges(allow) } : {}), ...(deny ? { deny: plainRanges(deny) } : {}) }
}

function plainRanges(ranges: readonly string[]): readonly string[] {
  return ranges
    .map((text) => {
      const range = parseRange(text)
      return range ? `${range.ip.join('.')}/${range.bits}` : text
    })
    .sort()
}

function showOptions(options: RouteOptions): string {
  const parts = Object.entries(options).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return parts.length === 0 ? 'nothing' : parts.join(', ')
}

function fabioShares(good: readonly Good[]): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  for (const { address, target } of good) weights.set(address, (weights.get(address) ?? 0) + target.weight)
  return portions(weights)
}

/** Who shares a route, with what; who stands by is not among them, nor who gets nothing. */
function serving({ split = [] }: OwnRoute): NonNullable<OwnRoute['split']> {
  return split.filter(({ standby, weight }) => standby !== true && weight > 0)
}

type OwnService = OwnTable['services'][number]

/** Of the instances in traffic, by address. */
function ownShares(route: OwnRoute, services: ReadonlyMap<string, OwnService>): ReadonlyMap<string, number> {
  if (!route.split) return sharesIn(services.get(route.service), route.weights)
  const all = new Map<string, number>()
  for (const { service, version, share, instances } of serving(route)) {
    const weights = version === null ? (service === route.service ? route.weights : undefined) : { [version]: 1 }
    const own = sharesIn(services.get(service), weights, version !== null)
    const parts = instances ? portions(new Map(Object.entries(instances))) : own
    for (const [address, part] of parts) all.set(address, (all.get(address) ?? 0) + part * share)
  }
  return portions(all)
}

/** `weights` by version in place of the service's; `only`: those that they do not name get nothing. */
function sharesIn(
  service: OwnService | undefined,
  weights: Readonly<Record<string, number>> | undefined,
  only = false,
): ReadonlyMap<string, number> {
  const all = new Map<string, number>()
  for (const { version, weight, endpoints } of service?.versions ?? []) {
    const sum = endpoints.reduce((total, endpoint) => total + endpoint.weight, 0)
    const own = weights && Object.hasOwn(weights, version) ? weights[version] : only ? 0 : undefined
    for (const { address, port, weight: part } of endpoints)
      all.set(showHostPort(address, port).toLowerCase(), ((own ?? weight) * part) / (sum || 1))
  }
  return portions(all)
}

/** Of those above 0, with 1 as their sum. */
function portions(weights: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const some = [...weights].filter(([, weight]) => weight > 0)
  const sum = some.reduce((total, [, weight]) => total + weight, 0)
  return new Map(some.map(([address, weight]) => [address, weight / sum]))
}

function instanceDifferences(fabio: ReadonlyMap<string, number>, own: ReadonlyMap<string, number>): readonly Found[] {
  const found: Found[] = []
  const missing = [...fabio.keys()].filter((address) => !own.has(address))
  const more = [...own.keys()].filter((address) => !fabio.has(address))
  if (missing.length > 0) found.push(['instances', `only fabio sends to ${named(missing)}`])
  if (more.length > 0) found.push(['instances', `only this proxy sends to ${named(more)}`])
  if (found.length > 0) return found
  const off = [...fabio].filter(([address, share]) => Math.abs(share - (own.get(address) ?? 0)) > shareTolerance)
  if (off.length === 0) return []
  const texts = off.map(([address, share]) => `${address} ${percent(share)} and ${percent(own.get(address) ?? 0)}`)
  return [['shares', `shares of fabio and of this proxy: ${named(texts)}`]]
}

function named(items: readonly string[]): string {
  const more = items.length - namedMax
  const first = items.toSorted().slice(0, namedMax).join(', ')
  return more > 0 ? `${first} and ${counted(more, 'other')}` : first
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`
