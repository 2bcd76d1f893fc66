/**
 * What is wrong between settings that are each right: two servers on one address, weights that are all zero, an admin
 * address the world can reach. Judges what was written part by part, so that one bad setting hides no other. Pure.
 */
import { isLoopback } from '../core/host.ts'
import { parseDuration } from '../core/units.ts'
import { parseAddress, showAddress } from './addresses.ts'
import type { Address, RouteConfig, TrafficSettings } from './config.ts'
import { checkBalance } from './check-balance.ts'
import { Because } from './declare.ts'
import { childOf, isList } from './locate.ts'
import type { Path } from './locate.ts'
import { nearest } from './nearest.ts'
import { kindOf, sourceNames } from './resolve.ts'
import type { SourceKind } from './resolve.ts'
import { routeSchema } from './schema-route.ts'
import { trafficSchema } from './schema-traffic.ts'
import { listenSchema } from './schema.ts'
import type { Raw } from './read-yaml.ts'

export interface Finding {
  readonly path: Path
  readonly message: string
  readonly suggestion?: string | undefined
}

export interface Findings {
  readonly errors: Finding[]
  /** What works, but hardly as meant. */
  readonly warnings: Finding[]
}

/** `file` is the whole text as written; nothing in it needs to be valid. */
export function crossCheck(file: Raw): Findings {
  const found: Findings = { errors: [], warnings: [] }
  checkAddresses(file, found)
  checkAdmin(file, found)
  checkEmpty(file, found)
  checkTagBounds(file, found)
  checkSources(file, found)
  checkRoutes(file, found)
  checkServices(file, found)
  return found
}

interface Server {
  readonly path: Path
  readonly address: Address
}

/** Every address that would be listened on, as far as it can be read. */
function servers(file: Raw): readonly Server[] {
  const result: Server[] = []
  const add = (path: Path, text: Raw, fallback: string | undefined): void => {
    const address = typeof text === 'string' ? parseAddress(text) : fallback && parseAddress(fallback)
    if (address && !(address instanceof Because)) result.push({ path, address })
  }
  const listen = childOf(file, 'listen')
  for (const [index, entry] of listen === undefined ? [] : itemsOf(listen).entries())
    add(['listen', index, 'address'], childOf(entry, 'address'), undefined)
  if (listen === undefined) add(['listen'], '0.0.0.0:8080', undefined)
  add(['status', 'address'], childOf(childOf(file, 'status'), 'address'), '0.0.0.0:8081')
  add(['admin', 'address'], childOf(childOf(file, 'admin'), 'address'), '127.0.0.1:8082')
  for (const [index, entry] of sourceEntries(file).entries()) {
    const embedded = childOf(entry, 'embedded')
    if (embedded !== undefined)
      add(['catalog', index, 'embedded', 'address'], childOf(embedded, 'address'), '127.0.0.1:8500')
  }
  return result
}

function checkAddresses(file: Raw, { errors, warnings }: Findings): void {
  const all = servers(file)
  for (const [index, { path, address }] of all.entries()) {
    const other = all.slice(0, index).find((before) => collide(before.address, address))
    if (other) errors.push({ path, message: `${showAddress(address)} is already taken by ${showPath(other.path)}` })
    if (path[0] === 'catalog' && address.kind === 'tcp' && !isLoopback(address.host))
      warnings.push({ path, message: 'whoever reaches this address can register services and change routes' })
  }
  const names = new Map<string, number>()
  for (const [index, entry] of itemsOf(childOf(file, 'listen')).entries()) {
    const name = listenSchema.safeParse(entry).data?.name
    if (name === undefined) continue
    const before = names.get(name)
    if (before === undefined) names.set(name, index)
    else errors.push({ path: ['listen', index, 'name'], message: `listen[${String(before)}] has this name already` })
  }
}

/** The wildcard addresses cover all others of the same port; `[::]` covers IPv4 too, as Node opens it. */
function collide(a: Address, b: Address): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === 'unix' && b.kind === 'unix' && a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  if (a.host === b.host || a.host === '::' || b.host === '::') return true
  return (a.host === '0.0.0.0' && !b.host.includes(':')) || (b.host === '0.0.0.0' && !a.host.includes(':'))
}

/** An empty list is valid, and hardly what somebody meant by it. */
function checkEmpty(file: Raw, { warnings }: Findings): void {
  const meaning = {
    listen: 'an empty list: no client is served; without this setting it would be 0.0.0.0:8080',
    catalog: 'an empty list means what leaving it out means: Consul, as the environment says',
  }
  for (const [key, message] of Object.entries(meaning)) {
    const items = childOf(file, key)
    if (isList(items) && items.length === 0) warnings.push({ path: [key], message })
  }
}

/** Lists that allow: an empty one allows nothing, which is hardly what somebody meant by it. */
function checkTagBounds(file: Raw, { errors, warnings }: Findings): void {
  const policy = childOf(file, 'policy')
  const claims = childOf(policy, 'claims')
  const refuse = (path: Path, list: Raw, message: string): void => {
    if (isList(list) && list.length === 0) errors.push({ path, message })
  }
  const all = 'an empty list would refuse every'
  refuse(['policy', 'addresses'], childOf(policy, 'addresses'), `${all} instance; leave it out for all`)
  refuse(['policy', 'claims'], claims, `${all} tag; leave it out for all, or write tags: false`)
  for (const [index, claim] of itemsOf(claims).entries())
    refuse(['policy', 'claims', index, 'hosts'], childOf(claim, 'hosts'), 'an empty list allows no host')
  const tags = childOf(policy, 'tags')
  const routed = itemsOf(childOf(file, 'routes')).length > 0
  if (claims === undefined || (tags === undefined ? !routed : tags !== 'false')) return
  const why =
    tags === undefined ? 'with routes configured tags make none; policy.tags would change that' : 'tags: false'
  warnings.push({ path: ['policy', 'claims'], message: `it has no effect: ${why}` })
}

function checkAdmin(file: Raw, { errors }: Findings): void {
  const admin = childOf(file, 'admin')
  const text = childOf(admin, 'address')
  const tokens = itemsOf(childOf(admin, 'tokens'))
  const names = tokens.map((token) => childOf(token, 'name'))
  for (const [index, name] of names.entries()) {
    const before = names.indexOf(name)
    if (typeof name === 'string' && before < index)
      errors.push({
        path: ['admin', 'tokens', index, 'name'],
        message: `tokens[${String(before)}] has this name already`,
      })
  }
  const address = typeof text === 'string' ? parseAddress(text) : undefined
  if (!address || address instanceof Because || address.kind === 'unix' || isLoopback(address.host)) return
  if (tokens.length > 0) return
  const message = 'anything but a loopback address or unix:/path needs tokens'
  errors.push({ path: ['admin', 'address'], message })
}

function checkSources(file: Raw, found: Findings): void {
  const entries = sourceEntries(file)
  const kinds: { readonly kind: SourceKind; readonly name: string | undefined }[] = []
  for (const [index, entry] of entries.entries()) {
    const present = (['consul', 'file', 'embedded'] as const).filter((kind) => hasKey(entry, kind))
    if (isMapping(entry) && present.length !== 1) {
      const stands = present.length === 0 ? 'none' : present.join(' and ')
      const message = `one source is consul, file or embedded; here stands ${stands}. Several sources are a list`
      found.errors.push({ path: ['catalog', index], message })
    }
    const kind = present[0] ?? kindOf({})
    const settings = childOf(entry, kind)
    const name = childOf(settings, 'name')
    kinds.push({ kind, name: typeof name === 'string' ? name : undefined })
    if (kind === 'consul') checkConsul(settings, ['catalog', index, 'consul'], found)
  }
  const names = sourceNames(kinds)
  for (const [index, name] of names.entries()) {
    const before = names.indexOf(name)
    const path: Path = ['catalog', index, kinds[index]?.kind ?? 'consul']
    if (before < index)
      found.errors.push({ path: [...path, 'name'], message: `catalog[${String(before)}] is called "${name}" already` })
  }
  checkRegister(file, kinds, names, found)
}

function checkConsul(settings: Raw, path: Path, { errors, warnings }: Findings): void {
  if (hasText(settings, 'token') && hasText(settings, 'tokenFile'))
    errors.push({ path: [...path, 'tokenFile'], message: 'there is a token already; give one of them' })
  const tls = childOf(settings, 'tls')
  checkClientCertificate(tls, [...path, 'tls'], errors)
  const address = childOf(settings, 'address')
  if (isMapping(tls) && typeof address === 'string' && !address.startsWith('https:'))
    warnings.push({ path: [...path, 'tls'], message: 'it has no effect: the address does not begin with https://' })
}

function checkClientCertificate(tls: Raw, path: Path, errors: Finding[]): void {
  const [cert, key] = [hasText(tls, 'cert'), hasText(tls, 'key')]
  if (cert !== key)
    errors.push({ path, message: `a client certificate needs both cert and key; ${cert ? 'key' : 'cert'} is missing` })
}

/** TLS towards instances. */
function checkTls(tls: Raw, path: Path, { errors, warnings }: Findings): void {
  checkClientCertificate(tls, path, errors)
  if (childOf(tls, 'verify') !== 'false') return
  warnings.push({
    path: [...path, 'verify'],
    message: 'whoever can stand between the proxy and an instance can read and change everything; trust a ca instead',
  })
  for (const key of ['ca', 'serverName'])
    if (hasText(tls, key))
      warnings.push({ path: [...path, key], message: 'nothing is verified by it while verify is false' })
}

function checkRegister(
  file: Raw,
  kinds: readonly { readonly kind: SourceKind }[],
  names: readonly string[],
  { errors }: Findings,
): void {
  const register = childOf(file, 'register')
  if (!isMapping(register)) return
  const able = kinds.length === 0 ? ['consul'] : names.filter((_, index) => kinds[index]?.kind !== 'file')
  const source = childOf(register, 'source')
  if (able.length === 0)
    errors.push({ path: ['register'], message: 'there is no consul or embedded source to register in' })
  else if (typeof source === 'string' && !able.includes(source)) {
    const suggestion = nearest(source, able)
    const help = suggestion === undefined ? `there is ${able.join(', ')}` : `did you mean "${suggestion}"?`
    errors.push({
      path: ['register', 'source'],
      message: `no source to register in has this name; ${help}`,
      suggestion,
    })
  }
}

function checkRoutes(file: Raw, found: Findings): void {
  const { warnings } = found
  const seen = new Map<string, { readonly index: number; readonly route: RouteConfig }>()
  const routed = new Set<string>()
  for (const [index, entry] of itemsOf(childOf(file, 'routes')).entries()) {
    const route = routeSchema.safeParse(entry).data
    if (!route) continue
    for (const name of servicesOf(route)) routed.add(name)
    const key = `${route.host} ${route.path}`
    const first = seen.get(key)
    if (first) {
      const message = `routes[${String(first.index)}] has the same host and path and wins; this one gets no request`
      warnings.push({ path: ['routes', index], message })
    } else seen.set(key, { index, route })
    checkVersions(childOf(entry, 'versions'), ['routes', index, 'versions'], found)
    checkMirror(entry, ['routes', index], found)
  }
  const tags = childOf(childOf(file, 'policy'), 'tags')
  for (const name of ruleTargets(file)) routed.add(name)
  const services = childOf(file, 'services')
  if (!isMapping(services) || (tags === undefined ? routed.size === 0 : tags !== 'false')) return
  for (const name of Object.keys(services)) {
    if (routed.has(name)) continue
    const suggestion = nearest(name, routed)
    const help = suggestion === undefined ? '' : `; did you mean "${suggestion}"?`
    warnings.push({ path: ['services', name], message: `no route leads to this service${help}`, suggestion })
  }
}

/** The services that a route leads to by itself or by its rules. */
function servicesOf({ service, traffic }: RouteConfig): readonly string[] {
  return [...(service === '' ? [] : [service]), ...targetsOf(traffic)]
}

function targetsOf({ rules = [], split = [], failover = [] }: TrafficSettings): readonly string[] {
  const named = rules.flatMap(({ action }) => (action.kind === 'service' ? [action.service] : []))
  return [...named, ...[...split, ...failover].flatMap(({ service }) => service ?? [])]
}

/** Those that rules and splits of services lead to. */
function ruleTargets(file: Raw): readonly string[] {
  const services = childOf(file, 'services')
  const all = [childOf(file, 'defaults'), ...(isMapping(services) ? Object.values(services) : [])]
  return all.flatMap((service) =>
    (['rules', 'split', 'failover'] as const).flatMap((key) =>
      targetsOf(trafficSchema.safeParse({ [key]: childOf(service, key) }).data ?? {}),
    ),
  )
}

/** What is wrong between the settings of one service or route that is written elsewhere than in the file, each with its path there. */
export function crossCheckSettings(settings: Raw): readonly string[] {
  const found: Findings = { errors: [], warnings: [] }
  checkBalance({}, settings, [], found)
  checkVersions(childOf(settings, 'versions'), ['versions'], found)
  checkHealth(childOf(settings, 'health'), ['health'], found)
  return found.errors.map(({ path, message }) => `${showPath(path)}: ${message}`)
}

function checkServices(file: Raw, found: Findings): void {
  const services = childOf(file, 'services')
  const paths: Path[] = [
    ['defaults'],
    ...(isMapping(services) ? Object.keys(services).map((name): Path => ['services', name]) : []),
  ]
  for (const path of paths) {
    const service = path.reduce<Raw>(childOf, file)
    checkBalance(file, service, path, found)
    checkVersions(childOf(service, 'versions'), [...path, 'versions'], found)
    checkMirror(service, path, found)
    checkHealth(childOf(service, 'health'), [...path, 'health'], found)
    checkTls(childOf(service, 'tls'), [...path, 'tls'], found)
  }
}

function checkMirror(owner: Raw, path: Path, { warnings }: Findings): void {
  const weights = childOf(owner, 'versions')
  const version = childOf(childOf(owner, 'mirror'), 'version')
  if (!isMapping(weights) || typeof version !== 'string' || hasKey(weights, '*')) return
  const named = Object.keys(weights)
  if (named.length !== 1 || named[0] !== version) return
  const message = 'every request that no rule sends elsewhere goes to this version already, so none of them is mirrored'
  warnings.push({ path: [...path, 'mirror', 'version'], message })
}

function checkVersions(weights: Raw, path: Path, { errors }: Findings): void {
  if (!isMapping(weights)) return
  const values = Object.values(weights)
  if (values.every((weight) => typeof weight === 'string' && /^0+(\.0+)?$/.test(weight)))
    errors.push({ path, message: 'every weight is zero, so nothing would get a request' })
}

function checkHealth(health: Raw, path: Path, { errors, warnings }: Findings): void {
  if (!hasKey(health, 'http') && hasKey(health, 'identity'))
    warnings.push({
      path: [...path, 'identity'],
      message: 'without http it is asked only of probes on suspicion, HEAD /, whose answers must have the header too',
    })
  if (isLonger(health, 'timeout', 'interval'))
    warnings.push({
      path: [...path, 'timeout'],
      message: 'it is longer than interval, so that probes are made less often',
    })
  if (isLonger(health, 'baseEjection', 'maxEjection'))
    errors.push({ path: [...path, 'baseEjection'], message: 'it is longer than maxEjection' })
  if (childOf(health, 'mode') === 'off' && (hasKey(health, 'http') || hasKey(health, 'tcp')))
    warnings.push({ path: [...path, 'mode'], message: 'off: nothing is probed, though a probe is described' })
  if (hasText(health, 'http') && childOf(health, 'tcp') === 'true')
    errors.push({ path: [...path, 'tcp'], message: 'http is probed already; leave out one of the two' })
}

/** Whether both durations are written, and the first is the longer one. */
function isLonger(raw: Raw, first: string, second: string): boolean {
  const [a, b] = [first, second].map((key) => {
    const text = childOf(raw, key)
    return typeof text === 'string' ? parseDuration(text) : undefined
  })
  return a !== undefined && b !== undefined && a > b
}

function sourceEntries(file: Raw): readonly Raw[] {
  const catalog = childOf(file, 'catalog')
  return isMapping(catalog) ? [catalog] : itemsOf(catalog)
}

function itemsOf(raw: Raw): readonly Raw[] {
  return isList(raw) ? raw : []
}

function isMapping(raw: Raw): raw is { readonly [key: string]: Raw } {
  return typeof raw === 'object' && !isList(raw)
}

function hasKey(raw: Raw, key: string): boolean {
  return isMapping(raw) && Object.hasOwn(raw, key)
}

function hasText(raw: Raw, key: string): boolean {
  const value = childOf(raw, key)
  return typeof value === 'string' && value !== ''
}

function showPath(path: Path): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${String(key)}]` : text === '' ? String(key) : `${text}.${String(key)}`,
    '',
  )
}
