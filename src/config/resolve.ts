/**
 * From what was written to what the program uses: environment and file folder are brought in, names are given, units
 * get into names. Called only with what has passed schema and cross-checks. Pure.
 */
import { dirname, isAbsolute, join } from 'node:path'
import { parseConsulAddress, showAddress } from './addresses.ts'
import type { Address, CatalogConfig, Config, ConsulConfig, RegisterConfig } from './config.ts'
import { Because } from './declare.ts'
import type { CatalogEntry, ConsulEntry } from './schema-catalog.ts'
import { wireLimits } from './schema-limits.ts'
import type { FileConfig, RegisterEntry } from './schema.ts'
import type { Environment } from './substitute.ts'

const defaultConsul = 'http://127.0.0.1:8500'
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
    zone: file.zone,
    catalog,
    register: file.register && resolveRegister(file.register, catalog, listen[0]?.port ?? 0),
    routes: file.routes,
    services: file.services,
    defaults: file.defaults,
    versionFrom: file.versionFrom,
    tagPrefix: tagPrefix(file),
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
  const file = (path: string | undefined, variable: string): string | undefined =>
    path === undefined ? env[variable] || undefined : at(path)
  const ownToken = entry?.token || undefined
  const ownTokenFile = entry?.tokenFile
  const token = ownToken ?? (ownTokenFile === undefined ? env['CONSUL_HTTP_TOKEN']?.trim() || undefined : undefined)
  const tls = entry?.tls
  return {
    kind: 'consul',
    name,
    address: entry?.address ?? environmentAddress(env),
    token,
    tokenFile: token === undefined ? file(ownTokenFile, 'CONSUL_HTTP_TOKEN_FILE') : undefined,
    datacenter: entry?.datacenter,
    namespace: entry?.namespace ?? (env['CONSUL_NAMESPACE'] || undefined),
    stale: entry?.stale ?? true,
    waitMs: entry?.wait ?? 300_000,
    tls: {
      ca: file(tls?.ca, 'CONSUL_CACERT'),
      cert: file(tls?.cert, 'CONSUL_CLIENT_CERT'),
      key: file(tls?.key, 'CONSUL_CLIENT_KEY'),
      serverName: tls?.serverName ?? (env['CONSUL_TLS_SERVER_NAME'] || undefined),
      verify: tls?.verify ?? !isFalse(env['CONSUL_HTTP_SSL_VERIFY']),
    },
  }
}

/** `CONSUL_HTTP_ADDR` as Consul's tools read it: without a scheme it is http, or https when `CONSUL_HTTP_SSL` says so. */
function environmentAddress(env: Environment): string {
  const text = env['CONSUL_HTTP_ADDR'] || defaultConsul
  const bare = !/^[a-z][a-z0-9+.-]*:\/\/|^unix:/i.test(text)
  const parsed = parseConsulAddress(bare && isTrue(env['CONSUL_HTTP_SSL']) ? `https://${text}` : text)
  return parsed === undefined || parsed instanceof Because ? defaultConsul : parsed
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(?:1|t|true)$/i.test(text)
}

function isFalse(text: string | undefined): boolean {
  return text !== undefined && /^(?:0|f|false)$/i.test(text)
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
