/**
 * The policy that the configuration file writes: what one service leaves out comes from `defaults`, what those leave out
 * from the built-in. Routes that tags make are added elsewhere. Pure.
 */
import type {
  Config,
  HealthSettings,
  PipeliningSettings,
  RouteConfig,
  ServiceSettings,
  TlsSettings,
  TrafficSettings,
} from '../config/config.ts'
import { type AddressCheck, createAddressCheck, defaultAddressCheck } from './addresses.ts'
import type { EntrySettings } from './consul-entries/settings.ts'
import { defaultPipelining, defaultServicePolicy, defaultTls } from './policy.ts'
import type { HealthPolicy, Policy, RoutePolicy, ServicePolicy, ServiceTls, TlsFiles, WeightsLayer } from './policy.ts'
import type { TrafficPolicy } from './traffic.ts'

/**
 * Never fails: a Config is valid. Origins are `config:routes[0]`, counted as in the file. `checkAddress` may know more than
 * the configuration says: which sockets are open. `entries` beat the defaults and nothing else.
 */
export function policyFromConfig(
  config: Config,
  checkAddress: AddressCheck = checkOf(config),
  entries?: EntrySettings,
): Policy {
  const defaults = servicePolicy(config.defaults, defaultServicePolicy)
  const services = new Map<string, ServicePolicy>()
  const origins = new Map<string, readonly string[]>()
  const weights = new Map<string, readonly WeightsLayer[]>()
  for (const [name, entry] of entries?.services ?? []) {
    services.set(name, servicePolicy(entry.settings, defaults))
    origins.set(name, entry.origins)
    const layers = entry.origins.flatMap((origin) =>
      layerOf(origin, entries?.parts.get(origin.slice('config-entries/'.length)) ?? {}),
    )
    if (layers.length > 0) weights.set(name, layers)
  }
  for (const [name, settings] of config.services) {
    services.set(name, servicePolicy(settings, services.get(name) ?? defaults))
    const origin = `config:services.${name}`
    origins.set(name, [origin, ...(origins.get(name) ?? [])])
    weights.set(name, [...layerOf(origin, settings), ...(weights.get(name) ?? [])])
  }
  return Object.freeze({
    routes: Object.freeze(config.routes.map((route, index) => routePolicy(route, `config:routes[${String(index)}]`))),
    services,
    defaults,
    versionFrom: Object.freeze({ metaKey: config.versionFrom.meta, tagPrefix: config.versionFrom.tag }),
    tagPrefix: config.tagPrefix,
    claims: config.claims,
    checkAddress,
    origins,
    weights,
    problems: entries?.problems ?? Object.freeze([]),
  })
}

/** What settings say of how requests are shared; empty: nothing. */
export function layerOf(
  origin: string,
  { versions, split, failover }: Pick<ServiceSettings, 'versions' | 'split' | 'failover'>,
  written?: WeightsLayer['written'],
): readonly WeightsLayer[] {
  if (!versions && !split && !failover) return []
  return [{ origin, versions, split, failover, ...(written ? { written } : {}) }]
}

/** One route as it was written there. */
export function routePolicy(route: RouteConfig, origin: string): RoutePolicy {
  return Object.freeze({ ...route, origin, traffic: routeTraffic(route.traffic) })
}

function checkOf({ addresses }: Config): AddressCheck {
  return addresses ? createAddressCheck({ allowed: addresses, reserved: [], local: [] }) : defaultAddressCheck
}

const unlessOff = <T>(value: T | 'off' | undefined, inherited: T | undefined): T | undefined =>
  value === 'off' ? undefined : (value ?? inherited)

/** `off` is something a route says: that what its service has is not for it. */
function routeTraffic(settings: TrafficSettings): Partial<TrafficPolicy> | undefined {
  const said: { -readonly [K in keyof TrafficPolicy]?: TrafficPolicy[K] } = {}
  if (settings.versions) said.versions = settings.versions
  if (settings.split || settings.versions) said.split = settings.split
  if (settings.failover) said.failover = settings.failover
  if (settings.rules) said.rules = settings.rules
  if (settings.fallback) said.fallback = settings.fallback
  if (settings.sticky) said.sticky = unlessOff(settings.sticky, undefined)
  if (settings.mirror) said.mirror = unlessOff(settings.mirror, undefined)
  return Object.keys(said).length === 0 ? undefined : Object.freeze(said)
}

/** Weights by version are taken whole or not at all: half of one service's and half of the defaults' mean nothing. */
export function servicePolicy(settings: ServiceSettings, base: ServicePolicy): ServicePolicy {
  const { timeouts, retry } = settings
  return Object.freeze({
    versions: settings.versions ?? base.versions,
    // Weights are a word on the whole: what shared it with other services before is over.
    split: settings.split ?? (settings.versions ? undefined : base.split),
    failover: settings.failover ?? base.failover,
    rules: settings.rules ?? base.rules,
    sticky: unlessOff(settings.sticky, base.sticky),
    fallback: settings.fallback ?? base.fallback,
    mirror: unlessOff(settings.mirror, base.mirror),
    hash: settings.hash ?? base.hash,
    affinity: unlessOff(settings.affinity, base.affinity),
    balance: settings.balance ?? base.balance,
    timeouts: Object.freeze({
      connectMs: timeouts?.connect ?? base.timeouts.connectMs,
      firstByteMs: timeouts?.firstByte ?? base.timeouts.firstByteMs,
      idleMs: timeouts?.idle ?? base.timeouts.idleMs,
    }),
    retry: Object.freeze({
      attempts: retry?.attempts ?? base.retry.attempts,
      budget: retry?.budget ?? base.retry.budget,
      bodyBytes: retry?.body ?? base.retry.bodyBytes,
    }),
    health: healthPolicy(settings.health ?? {}, base.health),
    drain: Object.freeze({
      deadlineMs: settings.drain?.deadline ?? base.drain.deadlineMs,
      tunnelDeadlineMs: settings.drain?.tunnelDeadline ?? base.drain.tunnelDeadlineMs,
    }),
    tls: serviceTls(settings.tls, base.tls),
    pipelining: pipelining(settings.pipelining, base.pipelining),
  })
}

function pipelining(
  settings: PipeliningSettings | 'off' | undefined,
  base: ServicePolicy['pipelining'],
): ServicePolicy['pipelining'] {
  if (settings === undefined) return base
  if (settings === 'off') return undefined
  const inherited = base ?? defaultPipelining
  const { requests = inherited.requests, wait: waitMs = inherited.waitMs } = settings
  return Object.freeze({ requests, waitMs })
}

/** A certificate and its key are taken together; the identity is read elsewhere, when it is known which files there are. */
function serviceTls(settings: TlsSettings | 'off' | undefined, base: ServicePolicy['tls']): ServicePolicy['tls'] {
  if (settings === undefined || settings === 'off') return settings ?? base
  const inherited: ServiceTls = base === undefined || base === 'off' ? defaultTls : base
  const own = settings.cert === undefined ? inherited.files : settings
  const files: TlsFiles = Object.freeze({ ca: settings.ca ?? inherited.files?.ca, cert: own?.cert, key: own?.key })
  return Object.freeze({
    verify: settings.verify ?? inherited.verify,
    serverName: settings.serverName ?? inherited.serverName,
    identity: sameFiles(files, inherited.files) ? inherited.identity : undefined,
    files: files.ca === undefined && files.cert === undefined ? undefined : files,
  })
}

function sameFiles(a: TlsFiles, b: TlsFiles | undefined): boolean {
  return a.ca === b?.ca && a.cert === b?.cert && a.key === b?.key
}

function healthPolicy(settings: HealthSettings, base: HealthPolicy): HealthPolicy {
  // A service that says one kind of periodic probe does not mean the other kind of the defaults as well.
  const ownKind = settings.http !== undefined || settings.tcp !== undefined
  return Object.freeze({
    mode: settings.mode ?? base.mode,
    http: ownKind ? settings.http : base.http,
    tcp: ownKind ? settings.tcp === true : base.tcp,
    intervalMs: settings.interval ?? base.intervalMs,
    timeoutMs: settings.timeout ?? base.timeoutMs,
    unhealthyThreshold: settings.unhealthyThreshold ?? base.unhealthyThreshold,
    healthyThreshold: settings.healthyThreshold ?? base.healthyThreshold,
    identity: settings.identity ?? base.identity,
    consecutiveFailures: settings.consecutiveFailures ?? base.consecutiveFailures,
    failureRate: settings.failureRate ?? base.failureRate,
    requestVolume: settings.requestVolume ?? base.requestVolume,
    windowMs: settings.window ?? base.windowMs,
    baseEjectionMs: settings.baseEjection ?? base.baseEjectionMs,
    maxEjectionMs: settings.maxEjection ?? base.maxEjectionMs,
    panicThreshold: settings.panicThreshold ?? base.panicThreshold,
    slowStartMs: settings.slowStart ?? base.slowStartMs,
  })
}
