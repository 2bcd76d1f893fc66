/**
 * Reads one service of a snapshot into endpoints: what can be said of each instance by itself. What depends on other
 * services (an address claimed twice, a handle taken) comes later, in `claims.ts`; shares of versions in `weigh.ts`.
 */
import { type Instance, instanceWeightMax, type ServiceSnapshot } from '../catalog/snapshot.ts'
import type { Problem } from '../core/problem.ts'
import type { AddressCheck } from '../policy/addresses.ts'
import type { HostClaim } from '../policy/host-claims.ts'
import type { Policy, VersionFrom } from '../policy/policy.ts'
import { tagWish, tornProblem, withWishes } from '../policy/tag-weights.ts'
import { isPlausibleAddress } from './address.ts'
import { hashHex } from './hash.ts'
import type { Endpoint } from './table.ts'

export interface ReadService {
  /** Sorted by key, each key once. */
  readonly endpoints: readonly Endpoint[]
  readonly problems: readonly Problem[]
  /** Weights before any wish, by key; undefined: those of the endpoints. */
  readonly plain: ReadonlyMap<string, number> | undefined
  /** Parts that tags ask for, by key; empty: none. */
  readonly wishes: ReadonlyMap<string, number>
}

const none: ReadService = Object.freeze({
  endpoints: Object.freeze([]),
  problems: Object.freeze([]),
  plain: undefined,
  wishes: new Map(),
})

/** The result is a function of these alone; keeping it is what makes an unchanged service free. */
const cache = new WeakMap<
  ServiceSnapshot,
  {
    readonly versionFrom: VersionFrom
    readonly checkAddress: AddressCheck
    readonly tagPrefix: string | undefined
    readonly claims: readonly HostClaim[] | undefined
    readonly read: ReadService
  }
>()

/** A service's name as it may stand in a shell and a URL. */
function handleName(service: string): string {
  return (
    service
      .replace(/[^A-Za-z0-9_.-]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 48) || 'service'
  )
}

/** The handle of an instance: its service's name and `digits` (8 or 16) hex digits of its key's hash. */
export function endpointHandle(service: string, key: string, digits: 8 | 16): string {
  return `${handleName(service)}-${hashHex(key).slice(0, digits)}`
}

function versionOf({ meta, tags }: Instance, { metaKey, tagPrefix }: VersionFrom): string {
  const named = metaKey !== '' && Object.hasOwn(meta, metaKey) ? meta[metaKey] : undefined
  if (named) return named
  if (tagPrefix === '') return ''
  return tags.find((tag) => tag.startsWith(tagPrefix))?.slice(tagPrefix.length) ?? ''
}

function zoneOf({ meta, nodeMeta }: Instance): string {
  if (Object.hasOwn(meta, 'zone') && meta['zone']) return meta['zone']
  return (Object.hasOwn(nodeMeta, 'zone') && nodeMeta['zone']) || ''
}

/** An agent that dies says nothing of the instances on its node: they keep what they had while our own health finds no fault. */
function weightOf({ status, weights, agentLost }: Instance): number {
  const passing = status === 'passing' || (status === 'critical' && agentLost)
  const weight = passing ? weights.passing : status === 'warning' ? weights.warning : 0
  return Number.isFinite(weight) && weight > 0 ? Math.min(weight, instanceWeightMax) : 0
}

function showAt(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}

function faultOf({ address, port }: Instance, checkAddress: AddressCheck): string | undefined {
  if (!isPlausibleAddress(address))
    return `its address ${JSON.stringify(address)} is neither an IP address nor a host name`
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return `its port ${port} is not between 1 and 65535`
  const refused = checkAddress(address, port)
  return refused === undefined ? undefined : `its address ${showAt(address, port)} must not be routed to: ${refused}`
}

function problemOf(instance: Instance, code: string, message: string): Problem {
  return Object.freeze({
    code,
    where: `${instance.source}: ${instance.service} ${instance.id} on ${instance.node}`,
    message,
  })
}

function readInstance(instance: Instance, versionFrom: VersionFrom): Endpoint {
  return Object.freeze({
    key: instance.key,
    handle: endpointHandle(instance.service, instance.key, 8),
    life: instance.createIndex,
    service: instance.service,
    id: instance.id,
    version: versionOf(instance, versionFrom),
    address: instance.address,
    port: instance.port,
    status: instance.status,
    agentLost: instance.agentLost,
    weight: weightOf(instance),
    zone: zoneOf(instance),
    ...(instance.held && { held: true as const }),
  })
}

/** Reads `service`; undefined reads as one without instances. The same arguments give the same object. */
export function readService(
  service: ServiceSnapshot | undefined,
  {
    versionFrom,
    checkAddress,
    tagPrefix,
    claims,
  }: Pick<Policy, 'versionFrom' | 'checkAddress' | 'tagPrefix' | 'claims'>,
): ReadService {
  if (!service) return none
  const known = cache.get(service)
  const sameFrom =
    known?.versionFrom.metaKey === versionFrom.metaKey && known.versionFrom.tagPrefix === versionFrom.tagPrefix
  const sameTags = known?.tagPrefix === tagPrefix && known?.claims === claims
  if (known && sameFrom && sameTags && known.checkAddress === checkAddress) return known.read

  const endpoints = new Map<string, Endpoint>()
  const wishes = new Map<string, number>()
  let torn = false
  const problems: Problem[] = []
  for (const instance of service.instances) {
    const fault = faultOf(instance, checkAddress)
    if (fault !== undefined) {
      problems.push(
        problemOf(instance, 'bad-address', `${fault}; this instance gets no traffic until it registers anew`),
      )
      continue
    }
    const twin = endpoints.get(instance.key)
    if (twin) {
      problems.push(problemOf(instance, 'duplicate-instance', 'it is listed twice; the newer registration counts'))
      if (twin.life >= instance.createIndex) continue
    }
    endpoints.set(instance.key, readInstance(instance, versionFrom))
    const wish = tagWish(instance, tagPrefix, claims)
    if (wish) wishes.set(instance.key, wish.part)
    else wishes.delete(instance.key)
    torn ||= wish?.torn === true
  }
  if (torn) problems.push(tornProblem(service.name))
  const sorted = [...endpoints.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  const wished = withWishes(sorted, wishes)
  const byTag = (endpoint: Endpoint): Endpoint =>
    Object.freeze(endpoint.weight > 0 && wishes.has(endpoint.key) ? { ...endpoint, byTag: true } : endpoint)
  const weighed = wished === sorted ? sorted : wished.map(byTag)
  const read = Object.freeze({
    endpoints: Object.freeze(weighed),
    problems: Object.freeze(problems),
    plain: wished === sorted ? undefined : new Map(sorted.map(({ key, weight }) => [key, weight])),
    wishes,
  })
  cache.set(service, { versionFrom, checkAddress, tagPrefix, claims, read })
  return read
}
