/**
 * The policy that the configuration file writes: what one service leaves out comes from `defaults`, what those leave out
 * from the built-in. Routes that tags make are added elsewhere. Pure.
 */
import type { Config, HealthSettings, RouteConfig, ServiceSettings, TrafficSettings } from '../config/config.ts'
import { type AddressCheck, createAddressCheck, defaultAddressCheck } from './addresses.ts'
import { defaultServicePolicy } from './policy.ts'
import type { HealthPolicy, Policy, RoutePolicy, ServicePolicy } from './policy.ts'
import type { TrafficPolicy } from './traffic.ts'

/**
 * Never fails: a Config is valid. Origins are `config:routes[0]`, counted as in the file. `checkAddress` may know more than
 * the configuration says: which sockets are open.
 */
export function policyFromConfig(config: Config, checkAddress: AddressCheck = checkOf(config)): Policy {
  const defaults = servicePolicy(config.defaults, defaultServicePolicy)
  const services = new Map<string, ServicePolicy>()
  for (const [name, settings] of config.services) services.set(name, servicePolicy(settings, defaults))
  return Object.freeze({
    routes: Object.freeze(config.routes.map((route, index) => routePolicy(route, `config:routes[${String(index)}]`))),
    services,
    defaults,
    versionFrom: Object.freeze({ metaKey: config.versionFrom.meta, tagPrefix: config.versionFrom.tag }),
    tagPrefix: config.tagPrefix,
    claims: config.claims,
    checkAddress,
    origins: new Map([...config.services.keys()].map((name) => [name, [`config:services.${name}`]])),
    problems: Object.freeze([]),
  })
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
  if (settings.rules) said.rules = settings.rules
  if (settings.fallback) said.fallback = settings.fallback
  if (settings.sticky) said.sticky = unlessOff(settings.sticky, undefined)
  return Object.keys(said).length === 0 ? undefined : Object.freeze(said)
}

/** Weights by version are taken whole or not at all: half of one service's and half of the defaults' mean nothing. */
export function servicePolicy(settings: ServiceSettings, base: ServicePolicy): ServicePolicy {
  const { timeouts, retry } = settings
  return Object.freeze({
    versions: settings.versions ?? base.versions,
    rules: settings.rules ?? base.rules,
    sticky: unlessOff(settings.sticky, base.sticky),
    fallback: settings.fallback ?? base.fallback,
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
  })
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
