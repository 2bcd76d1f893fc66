/**
 * Settings that the contract names, or that those who come from other proxies try, and this version does not have. They are refused by name, never silently accepted:
 * a canary rule that does nothing would be found out by its users. Remove a line here when its setting is built. Pure.
 */

/** Key paths with `*` for an index or a name; `=` and a word is a value of a setting that exists. */
export const notYet: ReadonlySet<string> = new Set([
  'tls',
  'http2',
  'tracing',
  'listen.*.tls',
  'listen.*.http2',
  'listen.*.protocol',
  'listen.*.proxyProtocol',
  'routes.*.header',
  'routes.*.method',
  'routes.*.methods',
  'routes.*.query',
  'services.*.ejection',
  'services.*.outlierDetection',
  'services.*.protocol',
  'services.*.http2',
  'defaults.ejection',
  'defaults.outlierDetection',
  'defaults.protocol',
  'defaults.http2',
])

/** Whether `path`, as keys and indexes, with a value if need be, is one of {@link notYet}. */
export function isNotYet(path: readonly PropertyKey[], value?: string): boolean {
  const named = path[0] === 'listen' || path[0] === 'routes' || path[0] === 'services'
  const names = path.map((key, index) => (index === 1 && named ? '*' : String(key)))
  const pattern = names.join('.')
  return notYet.has(value === undefined ? pattern : `${pattern}=${value}`)
}
