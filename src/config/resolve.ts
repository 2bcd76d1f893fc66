/**
 * From what was written to what the program uses: environment and file folder are brought in, names are given, units
 * get into names. Called only with what has passed schema and cross-checks. Pure.
 */
import { dirname, isAbsolute, join } from 'node:path'
import { defaultAddress, waitDefaultMs, withEnvironment } from '../catalog/consul/options.ts'
import { parseConsulAddress, showAddress } from './addresses.ts'
import type { Address, CatalogConfig, Config, ConsulConfig, RegisterConfig } from './config.ts'
import type { CatalogEntry, ConsulEntry } from './schema-catalog.ts'
import { wireLimits } from './schema-limits.ts'
import type { FileConfig, RegisterEntry } from './schema.ts'
import type { Environment } from './substitute.ts'

const kinds = ['consul', 'file', 'embedded'] as const

export type SourceKind = (typeof kinds)[number]

/** Which of the three an entry is. */
export function kindOf(entry: { readonly [K in SourceKind]?: unknown }): SourceKind {
  return kinds.find((kind) => entry[kind] !== undefined) ?? 'consul'
}

/** Names of the sources in order: their own, else their kind, counted from the second on (`consul`, `consul-2`). */
export function sourceNames(
  entries: readonly { readonly kind: SourceKind; readonly name: string | undefined }[],
): readonly string[] {
  const seen = new Map<SourceKind, number>()
  return entries.map(({ kind, name }) => {
    const count = (seen.get(kind) ?? 0) + 1
    seen.set(kind, count)
    return name ?? (count === 1 ? kind : `${kind}-${String(count)}`)
  })
}

/** What is wrong with the `CONSUL_*` variables that would be used; by variable. */
export function environmentProblems(env: Environment): readonly { readonly name: string; readonly problem: string }[] {
  const address = env['CONSUL_HTTP_ADDR']
  if (!address) return []
  const parsed = parseConsulAddress(address)
  if (typeof parsed === 'string') return []
  const problem = `expected an address such as http://127.0.0.1:8500${parsed ? `: ${parsed.reason}` : ''}`
  return [{ name: 'CONSUL_HTTP_ADDR', problem }]
}

export function resolveConfig(file: FileConfig, env: Environment, fileName: string): Config {
  const at = (path: string): string => (isAbsolute(path) ? path : join(dirname(fileName), path))
  const stateDir = file.stateDir === undefined ? undefined : at(file.stateDir)
  const listen = file.listen.map(({ address, name, trust }) => ({
    name: name ?? showAddress({ kind: 'tcp', ...address }),
    host: address.host,
    port: address.port,
    trust,
  }))
  const catalog = resolveCatalog(file.catalog, env, at, stateDir)
  return {
    listen,
    status: unlessOff(file.status.address),
    admin: unlessOff(file.admin.address),
    adminTokens: file.admin.tokens.map((token) => ({ ...token, file: at(token.file) })),
    zone: file.zone,
    catalog,
    register: file.register && resolveRegister(file.register, catalog, listen[0]?.port ?? 0),
    routes: file.routes,
    services: file.services,
    defaults: file.defaults,
    versionFrom: file.versionFrom,
    tagPrefix: tagPrefix(file),
    kv: kvPlace(file.policy.kv, catalog),
    claims: file.policy.claims,
    addresses: file.policy.addresses,
    stateDir,
    shutdown: { lameDuckMs: file.shutdown.lameDuck, deadlineMs: file.shutdown.deadline },
    log: file.log,
    limits: wireLimits(file.limits),
    errorPages: new Map([...file.errorPages].map(([status, path]) => [status, at(path)])),
  }
}

/**
 * Tags make routes where nobody wrote any. Whoever writes routes says which services are public, and a tag on some
 * registration must not add to that unasked.
 */
function tagPrefix(file: FileConfig): string | undefined {
  const { tags } = file.policy
  if (tags !== undefined) return tags === false ? undefined : tags
  return file.routes.length === 0 ? 'urlprefix-' : undefined
}

/** Where policy is kept; a file has no keys. */
function kvPlace(prefix: string | false, catalog: readonly CatalogConfig[]): Config['kv'] {
  const source = catalog.find(({ kind }) => kind !== 'file')
  return prefix === false || source === undefined ? undefined : { source: source.name, prefix }
}

function unlessOff(address: Address | 'off'): Address | undefined {
  return address === 'off' ? undefined : address
}

function resolveCatalog(
  entries: readonly CatalogEntry[],
  env: Environment,
  at: (path: string) => string,
  stateDir: string | undefined,
): readonly CatalogConfig[] {
  if (entries.length === 0) return [resolveConsul(undefined, 'consul', env, at)]
  const consuls = entries.filter((entry) => entry.consul !== undefined).length
  const names = sourceNames(entries.map((entry) => ({ kind: kindOf(entry), name: entry[kindOf(entry)]?.name })))
  return entries.map((entry, index): CatalogConfig => {
    const name = names[index] ?? ''
    if (entry.file) return { kind: 'file', name, path: at(entry.file.path) }
    if (entry.embedded) {
      const own = entry.embedded.stateDir
      return {
        kind: 'embedded',
        name,
        address: entry.embedded.address,
        stateDir: own === undefined ? stateDir : at(own),
      }
    }
    // With several clusters, the environment speaks of the one that was given no address: its token is for no other.
    const own = consuls === 1 || entry.consul?.address === undefined
    return resolveConsul(entry.consul, name, own ? env : {}, at)
  })
}

function resolveConsul(
  entry: ConsulEntry | undefined,
  name: string,
  env: Environment,
  at: (path: string) => string,
): ConsulConfig {
  const file = (path: string | undefined): string | undefined => (path === undefined ? undefined : at(path))
  const tls = entry?.tls
  const settings = {
    name,
    address: entry?.address,
    token: entry?.token || undefined,
    tokenFile: file(entry?.tokenFile),
    datacenter: entry?.datacenter,
    stale: entry?.stale ?? true,
    waitMs: entry?.wait ?? waitDefaultMs,
    tls: tls && { ...tls, ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key) },
  }
  const merged = withEnvironment(settings, env)
  const address = parseConsulAddress(merged.address ?? defaultAddress)
  return { ...merged, kind: 'consul', name, address: typeof address === 'string' ? address : defaultAddress }
}

function resolveRegister(entry: RegisterEntry, catalog: readonly CatalogConfig[], port: number): RegisterConfig {
  const { source, ttl, deregisterAfter, ...rest } = entry
  const first = catalog.find(({ kind }) => kind === 'consul') ?? catalog.find(({ kind }) => kind === 'embedded')
  return {
    ...rest,
    source: source ?? first?.name ?? '',
    port: entry.port ?? port,
    ttlMs: ttl,
    deregisterAfterMs: deregisterAfter,
  }
}
