/**
 * Settings that the contract names and this version does not have. They are refused by name, never silently accepted:
 * a canary rule that does nothing would be found out by its users. Remove a line here when its setting is built. Pure.
 */

/** Key paths with `*` for an index or a name; `=` and a word is a value of a setting that exists. */
export const notYet: ReadonlySet<string> = new Set([
  'admin.tokens',
  'policy.kv',
  'workers',
  'routes.*.versions',
  'routes.*.rules',
  'routes.*.sticky',
  'services.*.rules',
  'services.*.sticky',
  'services.*.affinity',
  'services.*.health',
  'services.*.balance=hash',
  'defaults.rules',
  'defaults.sticky',
  'defaults.affinity',
  'defaults.health',
  'defaults.balance=hash',
])

/** Whether `path`, as keys and indexes, with a value if need be, is one of {@link notYet}. */
export function isNotYet(path: readonly PropertyKey[], value?: string): boolean {
  const names = path.map((key, index) =>
    index === 1 && (path[0] === 'routes' || path[0] === 'services') ? '*' : String(key),
  )
  const pattern = names.join('.')
  return notYet.has(value === undefined ? pattern : `${pattern}=${value}`)
}
