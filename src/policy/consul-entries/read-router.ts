/** The routes of a `service-router`. Pure; throws {@link Unusable} for what cannot be expressed. */
import { EntryFields, Unusable } from './fields.ts'
import { globOf } from './glob-of.ts'
import type { EntryRoute, HeaderMatch, QueryMatch, RouteMatch, RouteRetry, TextMatch } from './result.ts'

const retriesMax = 100
/** As many as a service may have rules. */
const routesMax = 1_000

/** `service` is the one that the router is of, where a destination names none. */
export function readRoutes(fields: EntryFields, service: string): readonly EntryRoute[] {
  const routes = fields.list('Routes', routesMax)
  return Object.freeze(routes.map((value, at) => readRoute(`Routes[${String(at)}]`, value, service)))
}

function readRoute(path: string, value: unknown, service: string): EntryRoute {
  const route = new EntryFields(path, value, ['Match', 'Destination'])
  const http = route
    .object('Match', ['HTTP'])
    .object('HTTP', ['PathExact', 'PathPrefix', 'PathRegex', 'Header', 'QueryParam', 'Methods'])
  const to = route.object('Destination', [
    'Service',
    'ServiceSubset',
    'PrefixRewrite',
    'RequestTimeout',
    'NumRetries',
    'RetryOnConnectFailure',
    'RetryOnStatusCodes',
  ])
  const match = readMatch(http)
  const prefixRewrite = to.text('PrefixRewrite')
  if (prefixRewrite !== undefined && match.path === undefined)
    throw new Unusable(to.path('PrefixRewrite'), 'needs a path to rewrite, and the match has none')
  return Object.freeze({
    match,
    target: Object.freeze({ service: to.text('Service') ?? service, subset: to.text('ServiceSubset') }),
    prefixRewrite,
    requestTimeoutMs: to.durationMs('RequestTimeout'),
    retry: readRetry(to),
  })
}

function readMatch(http: EntryFields): RouteMatch {
  const methods = http.list('Methods').map((method, at) => {
    if (typeof method === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return method.toUpperCase()
    throw new Unusable(`${http.path('Methods')}[${String(at)}]`, 'is no method')
  })
  return Object.freeze({
    path: readPath(http),
    headers: Object.freeze(
      http.list('Header').map((value, at) => readHeader(`${http.path('Header')}[${String(at)}]`, value)),
    ),
    query: Object.freeze(
      http.list('QueryParam').map((value, at) => readQuery(`${http.path('QueryParam')}[${String(at)}]`, value)),
    ),
    methods: Object.freeze(methods),
  })
}

function readPath(http: EntryFields): RouteMatch['path'] {
  const glob = readPattern(http, 'PathRegex')
  const exact = http.text('PathExact')
  const prefix = http.text('PathPrefix')
  if (exact !== undefined && prefix !== undefined)
    throw new Unusable(http.path('PathExact'), 'and PathPrefix stand together; only one may')
  if (glob !== undefined) {
    if (exact !== undefined || prefix !== undefined)
      throw new Unusable(http.path('PathRegex'), 'stands beside another path; only one may')
    return Object.freeze({ kind: 'glob', value: glob })
  }
  const field = exact === undefined ? 'PathPrefix' : 'PathExact'
  const value = exact ?? prefix
  if (value === undefined) return undefined
  if (!value.startsWith('/')) throw new Unusable(http.path(field), 'does not begin with a slash')
  return Object.freeze({ kind: exact === undefined ? 'prefix' : 'exact', value })
}

function readHeader(path: string, value: unknown): HeaderMatch {
  const header = new EntryFields(path, value, ['Name', 'Present', 'Exact', 'Prefix', 'Suffix', 'Regex', 'Invert'])
  const name = nameOf(header).toLowerCase()
  return Object.freeze({ name, match: readText(header, ['Exact', 'Prefix', 'Suffix']), invert: header.flag('Invert') })
}

function readQuery(path: string, value: unknown): QueryMatch {
  const query = new EntryFields(path, value, ['Name', 'Present', 'Exact', 'Regex'])
  return Object.freeze({ name: nameOf(query), match: readText(query, ['Exact']) })
}

function nameOf(fields: EntryFields): string {
  const name = fields.text('Name')
  if (name === undefined) throw new Unusable(fields.path('Name'), 'is missing')
  return name
}

type TextField = 'Exact' | 'Prefix' | 'Suffix'
const kinds = { Exact: 'exact', Prefix: 'prefix', Suffix: 'suffix' } as const

/** Exactly one condition, as Consul has it. */
function readText(fields: EntryFields, names: readonly TextField[]): TextMatch {
  const glob = readPattern(fields, 'Regex')
  const found: TextMatch[] = fields.flag('Present') ? [{ kind: 'present' }] : []
  for (const name of names) {
    const value = fields.text(name)
    if (value === undefined) continue
    if (name === 'Suffix' && value.includes('*'))
      throw new Unusable(fields.path(name), 'has a *, which is not supported')
    found.push({ kind: kinds[name], value })
  }
  if (glob !== undefined) found.push({ kind: 'glob', value: glob })
  const [match] = found
  if (!match || found.length > 1)
    throw new Unusable(
      fields.path('Name'),
      `needs exactly one of Present, ${names.join(', ')}, and has ${String(found.length)}`,
    )
  return Object.freeze(match)
}

/** A regular expression as the glob that it is; undefined: there is none. */
function readPattern(fields: EntryFields, name: string): string | undefined {
  const pattern = fields.text(name)
  const glob = pattern === undefined ? undefined : globOf(pattern)
  if (pattern !== undefined && glob === undefined)
    throw new Unusable(
      fields.path(name),
      'is a regular expression, and none runs on requests here: only plain text with .* is understood',
    )
  return glob
}

function readRetry(to: EntryFields): RouteRetry | undefined {
  const retries = to.number('NumRetries', 0, retriesMax)
  const onConnectFailure = to.flag('RetryOnConnectFailure')
  const onStatuses = to.list('RetryOnStatusCodes').map((status, at) => {
    if (typeof status === 'number' && Number.isInteger(status) && status >= 100 && status <= 599) return status
    throw new Unusable(`${to.path('RetryOnStatusCodes')}[${String(at)}]`, 'is no status')
  })
  if (retries === undefined && !onConnectFailure && onStatuses.length === 0) return undefined
  if (retries !== undefined && !Number.isInteger(retries))
    throw new Unusable(to.path('NumRetries'), 'is no whole number')
  return Object.freeze({ retries: retries ?? 1, onConnectFailure, onStatuses: Object.freeze(onStatuses) })
}
