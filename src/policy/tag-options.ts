/**
 * The options of a `urlprefix-` tag, as fabio 1.7 takes them (route/parse_new.go): `strip=`, `prepend=`, `host=`, `redirect=`,
 * `allow=`, `deny=`, `weight=`, `proto=http` and `proto=https`. One that would mean something else here, or that this proxy does not have, is named. Pure.
 */
import { routePrefix } from '../table/prefix.ts'
import { parseRange } from './ip.ts'
import type { AccessPolicy, Redirect, ShapingPolicy } from './traffic.ts'
import { noHeaderChanges } from './traffic.ts'

/** What a tag says of its route besides where it is. */
export interface TagOptions {
  readonly redirect?: Redirect
  readonly shaping?: ShapingPolicy
  readonly access?: AccessPolicy
  /** `proto=https`; `proto=http` is what saying nothing is. */
  readonly upstreamTls?: true
}

/** Why fabio's other options are refused, by name. */
const refusals: ReadonlyMap<string, string> = new Map([
  ['register', 'register= is not supported: the setting register makes this proxy known to Consul'],
  ['auth', 'auth= is not supported: nobody would be asked for a password, so the route is not made'],
  ['tlsskipverify', 'tlsskipverify= is not supported: the configuration says which services are not verified'],
  ['pxyproto', 'pxyproto= is not supported'],
])

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** The options of a route at `path`, or why they cannot be used. Later ones of the same name win, as in fabio. */
export function readTagOptions(options: readonly string[], path: string): TagOptions | string {
  const given = new Map<string, string>()
  for (const option of options) {
    const equals = option.indexOf('=')
    if (equals < 1) return `the option ${option} is not understood: options are written NAME=VALUE`
    given.set(option.slice(0, equals).toLowerCase(), option.slice(equals + 1))
  }
  const read: Mutable<TagOptions> = {}
  const shaping = readShaping(given)
  if (typeof shaping === 'string') return shaping
  if (shaping) read.shaping = shaping
  const access = readAccess(given)
  if (typeof access === 'string') return access
  if (access) read.access = access
  const redirect = given.get('redirect')
  if (redirect !== undefined) {
    const parsed = readRedirect(redirect, path)
    if (typeof parsed === 'string') return parsed
    if (shaping) return 'redirect= beside strip=, prepend= or host= is not supported'
    read.redirect = parsed
  }
  const proto = given.get('proto')
  if (proto === 'https') read.upstreamTls = true
  else if (proto !== undefined && proto !== 'http') return `the option proto=${proto} is not supported`
  for (const [name, value] of given)
    if (!known.has(name)) return refusals.get(name) ?? `the option ${name}=${value} is not supported`
  return Object.freeze(read)
}

const known = new Set(['strip', 'prepend', 'host', 'allow', 'deny', 'redirect', 'weight', 'proto'])

/** fabio deals a route out in 10,000 slots, of which one is the least that anybody has. */
const tagWeightMin = 0.0001
const tagWeightMax = 1_000

const clipped = (text: string): string => (text.length > 32 ? `${text.slice(0, 32)}…` : text)

/** The wish in `weight=`, which is of the instance that carries the tag and not of the route; a text says what is wrong with it. */
export function readTagWeight(options: readonly string[]): number | string | undefined {
  const value = options.findLast((option) => /^weight=/i.test(option))?.slice('weight='.length)
  if (value === undefined) return undefined
  const weight = /^(?:\d+\.?\d*|\.\d+)$/.test(value) ? Number(value) : NaN
  if (weight >= tagWeightMin && weight <= tagWeightMax) return weight
  if (weight === 0)
    return 'weight=0 is not supported: for fabio it is no weight at all; set the instance into maintenance'
  return `weight=${clipped(value)} is not supported: it is a part of the traffic, as 0.05 is 5 %, from ${String(tagWeightMin)} to ${String(tagWeightMax)}`
}

function readShaping(given: ReadonlyMap<string, string>): ShapingPolicy | string | undefined {
  const parts: Partial<Mutable<ShapingPolicy>> = {}
  for (const name of ['strip', 'prepend'] as const) {
    const value = given.get(name)
    if (value === undefined) continue
    const path = routePrefix(value)
    if (!/^\/[\x21-\x7e]*$/.test(value) || /[?#%*\\]|\/\.{1,2}(?:\/|$)|\/\//.test(value))
      return `${name}=${value} is no path`
    if (path !== '/') parts[name] = path
  }
  const host = given.get('host')
  if (host === 'dst') parts.host = { kind: 'instance' }
  else if (host !== undefined) {
    if (!/^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?(?::\d{1,5})?$/.test(host))
      return `host=${host} is no host`
    parts.host = { kind: 'name', name: host.toLowerCase() }
  }
  if (Object.keys(parts).length === 0) return undefined
  const { strip, prepend } = parts
  return Object.freeze({ strip, prepend, host: parts.host, request: noHeaderChanges, response: noHeaderChanges })
}

function readAccess(given: ReadonlyMap<string, string>): AccessPolicy | string | undefined {
  const [allow, deny] = [given.get('allow'), given.get('deny')]
  if (allow === undefined && deny === undefined) return undefined
  if (allow !== undefined && deny !== undefined) return 'allow= and deny= on one route are refused, as fabio does'
  const ranges: string[] = []
  for (const item of (allow ?? deny ?? '').split(',')) {
    const range = /^ip:(.+)$/.exec(item.trim())?.[1] ?? ''
    if (parseRange(range) === undefined) return `${allow === undefined ? 'deny' : 'allow'}= takes ip:CIDR, not ${item}`
    ranges.push(range)
  }
  return Object.freeze(allow === undefined ? { allow: [], deny: ranges } : { allow: ranges, deny: [] })
}

/** fabio's `$path` is the request's whole path, ours is what follows the route's. */
function readRedirect(text: string, path: string): Redirect | string {
  const [, code = '', url = ''] = /^(\d{3}),(.+)$/.exec(text) ?? []
  const status = ([301, 302, 303, 307, 308] as const).find((each) => String(each) === code)
  if (status === undefined)
    return `redirect=${text} is not supported: it is redirect=CODE,URL with 301, 302, 303, 307 or 308`
  if (!/^https?:\/\/[\x21-\x7e]+$/.test(url) || /\$(?!path\b|host\b)/.test(url))
    return `redirect=${text} has no URL that is understood`
  const whole = path === '/' ? '$path' : `${path}$path`
  return Object.freeze({ status, to: url.replaceAll('/$path', '$path').replaceAll('$path', () => whole) })
}
