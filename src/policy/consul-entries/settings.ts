/**
 * From what config entries ask for to settings of services: subsets become versions, routes become rules. An entry that asks
 * for what no setting says is a problem, costs itself alone and keeps its last good form. Pure.
 */
import type { ServiceSettings } from '../../config/config.ts'
import type { Problem } from '../../core/problem.ts'
import { normalPath } from '../../table/prefix.ts'
import type { Condition, Rewrite, Rule, SplitPart, SplitTarget, TextMatch as Match } from '../traffic.ts'
import { badEntry } from './bad-entry.ts'
import { Unusable } from './fields.ts'
import type { EntryResolver, EntryRoute, EntryService, EntryShare, Target, TextMatch, Translation } from './result.ts'

/** The names that versions have, as in `Config.versionFrom`. */
export interface VersionNames {
  readonly meta: string
  readonly tag: string
}

export interface EntrySettings {
  /** By service, with the entries they come from, the strongest first. */
  readonly services: ReadonlyMap<string, { readonly settings: ServiceSettings; readonly origins: readonly string[] }>
  readonly problems: readonly Problem[]
  /** What each entry came to, by `KIND/NAME`; for the next reading only. */
  readonly parts: ReadonlyMap<string, ServiceSettings>
}

type Services = Translation['services']

/** `previous`: the result before, whose good forms stay where an entry is bad now. */
export function entrySettings(
  { services: all, problems: told }: Translation,
  names: VersionNames,
  previous?: EntrySettings,
): EntrySettings {
  const parts = new Map<string, ServiceSettings>()
  const settings = new Map<string, { readonly settings: ServiceSettings; readonly origins: readonly string[] }>()
  const problems = [...told]
  for (const [name, service] of all) {
    const found: ServiceSettings[] = []
    const origins: string[] = []
    for (const [kind, read] of readers(service, all, names)) {
      const key = `${kind}/${name}`
      const { part, unheeded } = readPart(key, read, previous?.parts.get(key), problems)
      for (const what of unheeded) problems.push(unheededPart(key, what))
      if (!part) continue
      parts.set(key, part)
      found.push(part)
      origins.push(`config-entries/${key}`)
    }
    if (found.length > 0)
      settings.set(name, Object.freeze({ settings: joined(found), origins: Object.freeze(origins) }))
  }
  return Object.freeze({ services: settings, problems: Object.freeze(problems), parts })
}

/** What an entry comes to, and what it says beside that and has no effect here: each completes "the entry is used, but …". */
interface Reading {
  readonly settings: ServiceSettings
  readonly unheeded: readonly string[]
}

type Reader = () => Reading

/** In the order in which Consul asks them. */
function readers(service: EntryService, all: Services, names: VersionNames): readonly (readonly [string, Reader])[] {
  const { routes, split, resolver } = service
  const list: (readonly [string, Reader])[] = []
  if (routes)
    list.push([
      'service-router',
      () => ({
        settings: { rules: routes.flatMap((route, at) => rulesOf(route, at, all, names)) },
        unheeded: routes.flatMap(unheededRoute),
      }),
    ])
  if (split)
    list.push(['service-splitter', () => ({ settings: splitSettings(service.name, split, all, names), unheeded: [] })])
  if (resolver) list.push(['service-resolver', () => readResolver(service.name, resolver, all, names)])
  return list
}

function readPart(
  key: string,
  read: Reader,
  lastGood: ServiceSettings | undefined,
  problems: Problem[],
): { readonly part: ServiceSettings | undefined; readonly unheeded: readonly string[] } {
  try {
    const { settings, unheeded } = read()
    return { part: Object.freeze(settings), unheeded }
  } catch (error) {
    if (!(error instanceof Unusable)) throw error
    problems.push(badEntry(key, error.message, lastGood !== undefined))
    return { part: lastGood, unheeded: [] }
  }
}

/** Router over splitter over resolver; rules one behind the other, since what no route takes goes on to the next. */
function joined(parts: readonly ServiceSettings[]): ServiceSettings {
  const rules = parts.flatMap((part) => part.rules ?? [])
  const merged = Object.assign({}, ...parts.toReversed()) as ServiceSettings
  return Object.freeze(rules.length === 0 ? merged : { ...merged, rules: Object.freeze(rules) })
}

function unheededPart(key: string, what: string): Problem {
  const message = `the entry is used, but ${what}`
  return Object.freeze({ code: 'config-entry-part', where: `config-entries/${key}`, message })
}

function unheededRoute({ requestTimeoutMs, retry }: EntryRoute, at: number): readonly string[] {
  const field = `Routes[${String(at)}].Destination`
  return [
    ...(requestTimeoutMs === undefined
      ? []
      : [`${field}.RequestTimeout has no effect: set timeouts.firstByte of the service`]),
    ...(retry ? [`${field} has retries, which have no effect: set retry of the service`] : []),
  ]
}

// === Where it leads ===

const hopsMax = 16

/** The service and version that a target means, redirects followed. `version` undefined: by the service's own split. */
function placeOf(
  field: string,
  target: Target,
  all: Services,
  names: VersionNames,
): { readonly service: string; readonly version: string | undefined } {
  let { service, subset } = target
  for (let hops = 0; ; hops++) {
    const redirect = all.get(service)?.resolver?.redirect
    if (!redirect) break
    if (hops === hopsMax) throw new Unusable(field, `leads to ${target.service}, whose redirects go in a circle`)
    service = redirect.service
    subset = redirect.subset ?? subset
  }
  return { service, version: subset === undefined ? undefined : versionOf(field, service, subset, all, names) }
}

function versionOf(field: string, service: string, subset: string, all: Services, names: VersionNames): string {
  const found = all.get(service)?.resolver?.subsets.get(subset)
  if (!found)
    throw new Unusable(field, `names subset ${subset}, which service-resolver/${service} does not have in use`)
  const [condition, ...more] = found.conditions
  if (condition && more.length === 0 && !condition.negated) {
    if (condition.kind === 'meta' && condition.key === names.meta) return condition.value
    if (condition.kind === 'tag' && condition.value.startsWith(names.tag))
      return condition.value.slice(names.tag.length)
  }
  throw new Unusable(
    field,
    `names subset ${subset} of ${service}, which is no single version: its Filter must be Service.Meta.${names.meta} == VERSION`,
  )
}

function splitSettings(
  name: string,
  split: readonly EntryShare[],
  all: Services,
  names: VersionNames,
): ServiceSettings {
  const places = split.map(({ target, weight }, at) => {
    const own = target.subset ?? all.get(target.service)?.resolver?.defaultSubset
    return { ...placeOf(`Splits[${String(at)}]`, { ...target, subset: own }, all, names), weight, at }
  })
  const [only] = places
  if (only && places.length === 1) {
    if (only.service !== name) return { rules: [leadOn(only)] }
    return only.version === undefined ? {} : { versions: new Map([[only.version, 1]]) }
  }
  const own = places.every(({ service, version }) => service === name && version !== undefined)
  if (own) {
    const versions = new Map<string, number>()
    for (const { version = '', weight } of places) versions.set(version, (versions.get(version) ?? 0) + weight / 100)
    return { versions }
  }
  const parts = new Map<string, SplitPart>()
  for (const { service, version, weight } of places) {
    const key = `${service}\n${version ?? ''}`
    const known = parts.get(key)?.weight ?? 0
    parts.set(key, Object.freeze({ service, version, weight: known + weight / 100 }))
  }
  return { split: Object.freeze([...parts.values()]) }
}

/** What stands by for the whole service, and what cannot be said of the rest, a sentence's end each. */
function failoverOf(
  name: string,
  { failover, defaultSubset }: EntryResolver,
  all: Services,
  names: VersionNames,
): { readonly targets: readonly SplitTarget[]; readonly unheeded: readonly string[] } {
  const targets: SplitTarget[] = []
  const unheeded: string[] = []
  for (const [subset, places] of failover) {
    const field = `Failover.${subset}`
    const others = places.filter(({ service }) => service !== name)
    if (others.length > 0 && subset !== '*' && subset !== defaultSubset) {
      const named = others.map(({ service }) => service).join(', ')
      unheeded.push(`${field} has no effect: one version by itself does not fail over to another service (${named})`)
      continue
    }
    for (const target of others)
      try {
        const { service, version } = placeOf(field, target, all, names)
        targets.push(Object.freeze({ service, version }))
      } catch (error) {
        if (!(error instanceof Unusable)) throw error
        unheeded.push(`${error.message}; it has no effect`)
      }
  }
  return { targets, unheeded }
}

function readResolver(name: string, resolver: EntryResolver, all: Services, names: VersionNames): Reading {
  const { subsets, defaultSubset, redirect, failover, connectTimeoutMs } = resolver
  const passing = [...subsets].flatMap(([subset, { onlyPassing }]) =>
    onlyPassing ? [`Subsets.${subset}.OnlyPassing has no effect: set Weights.Warning of the instances to 0`] : [],
  )
  if (redirect) return { settings: { rules: [leadOn(placeOf('Redirect', redirect, all, names))] }, unheeded: passing }
  const own = [...failover.values()].flat().some(({ service }) => service === name)
  const { targets, unheeded } = failoverOf(name, resolver, all, names)
  const settings = {
    ...(defaultSubset === undefined
      ? {}
      : { versions: new Map([[versionOf('DefaultSubset', name, defaultSubset, all, names), 1]]) }),
    ...(own ? { fallback: 'others' as const } : {}),
    ...(targets.length > 0 ? { failover: Object.freeze(targets) } : {}),
    ...(connectTimeoutMs === undefined ? {} : { timeouts: { connect: connectTimeoutMs } }),
  }
  return { settings, unheeded: [...passing, ...unheeded] }
}

type Place = ReturnType<typeof placeOf>

type Action = Extract<Rule['action'], { readonly kind: 'service' }>

const actionOf = ({ service, version }: Place): Action => Object.freeze({ kind: 'service', service, version })
const leadOn = (place: Place): Rule => Object.freeze({ when: Object.freeze([]), action: actionOf(place) })

// === Routes ===

function rulesOf(route: EntryRoute, at: number, all: Services, names: VersionNames): readonly Rule[] {
  const field = `Routes[${String(at)}].Destination`
  const { path, headers, query, methods } = route.match
  const others: Condition[] = []
  for (const { name, match, invert } of headers) {
    const plain = matchOf(match)
    others.push({ subject: 'header', name, match: invert ? { kind: 'not', match: plain } : plain })
  }
  for (const { name, match } of query) others.push({ subject: 'query', name, match: matchOf(match) })
  if (methods.length > 0) others.push({ subject: 'method', match: { kind: 'oneOf', values: methods } })
  const action = actionOf(placeOf(field, route.target, all, names))
  const rule = (match: Match | undefined, then: Rule['action']): Rule => {
    const when: readonly Condition[] = match ? [{ subject: 'path', match }, ...others] : others
    return Object.freeze({ when: Object.freeze(when), action: then })
  }
  if (route.prefixRewrite === undefined) return [rule(path && matchOf(path), action)]
  const { base, rewrite, fits } = rewriteOf(`${field}.PrefixRewrite`, path, route.prefixRewrite)
  return fits.map((match) =>
    rule(match, Object.freeze({ ...action, rewrite: Object.freeze({ strip: base, ...rewrite }) })),
  )
}

/**
 * A prefix that is rewritten ends on a segment boundary here, unlike one that is only matched: one condition for the path itself,
 * one for what is below it.
 */
function rewriteOf(
  field: string,
  path: EntryRoute['match']['path'],
  to: string,
): { readonly base: string | undefined; readonly rewrite: Pick<Rewrite, 'prepend'>; readonly fits: readonly Match[] } {
  if (!path || path.kind === 'glob') throw new Unusable(field, 'needs a PathExact or a PathPrefix to rewrite')
  if (!/^\/[\x21-\x7e]*$/.test(to) || /[?#%*\\]|\/\.{1,2}(?:\/|$)|\/\//.test(to))
    throw new Unusable(field, `${JSON.stringify(to)} is no path that can be put in front of another`)
  const trim = (text: string): string | undefined => text.replace(/\/+$/, '') || undefined
  const base = trim(normalPath(path.value))
  const itself: Match = { kind: 'equals', value: path.value }
  const below: Match = { kind: 'prefix', value: `${base ?? ''}/` }
  const fits = path.kind === 'exact' ? [itself] : path.value.endsWith('/') ? [below] : [itself, below]
  return { base, rewrite: { prepend: trim(to) }, fits }
}

function matchOf(match: TextMatch): Match {
  switch (match.kind) {
    case 'exact':
      return { kind: 'equals', value: match.value }
    case 'suffix':
      return { kind: 'glob', value: `*${match.value}` }
    default:
      return match
  }
}
