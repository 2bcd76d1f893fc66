/**
 * A service as it crosses between processes: plain data, and of what the other side has already (policy, versions, instances)
 * only where. Certificates and keys are what TLS is made ready from; they go from control to its workers, by a socket that only
 * their user may open, and nowhere else. Pure but for making TLS ready.
 */
import type { Endpoint, ServiceTable, VersionGroup } from '../table/table.ts'
import { TlsIdentity, type TlsPem } from '../wire/tls.ts'

export interface SentGroup {
  readonly version: string
  readonly weight: number
  /** An endpoint, or its place among all of the service in the base. */
  readonly endpoints: readonly (Endpoint | number)[]
}

export interface SentService {
  readonly name: string
  /** Undefined: that of the base. */
  readonly policy: ServiceTable['policy'] | undefined
  /** With a policy; undefined: it has no certificates of its own. */
  readonly pem: TlsPem | undefined
  /** A version, or its place in the base. */
  readonly groups: readonly (SentGroup | number)[]
}

const endpointsOf = ({ groups }: ServiceTable): readonly Endpoint[] => groups.flatMap(({ endpoints }) => endpoints)

/** `base`: what the other side has of it. What is the same object there is not sent. */
export function sentService(base: ServiceTable | undefined, { name, policy, groups }: ServiceTable): SentService {
  const groupPlaces = new Map(base?.groups.map((group, place) => [group, place]))
  const endpointPlaces = new Map(base && endpointsOf(base).map((endpoint, place) => [endpoint, place]))
  const sent = groups.map(
    (group): SentGroup | number =>
      groupPlaces.get(group) ?? {
        version: group.version,
        weight: group.weight,
        endpoints: group.endpoints.map((endpoint) => endpointPlaces.get(endpoint) ?? endpoint),
      },
  )
  if (base?.policy === policy) return { name, policy: undefined, pem: undefined, groups: sent }
  const { tls } = policy
  if (tls === undefined || tls === 'off' || tls.identity === undefined)
    return { name, policy, pem: undefined, groups: sent }
  return { name, policy: withIdentity(policy, tls, undefined), pem: tls.identity.reveal(), groups: sent }
}

/** Throws where the texts are no PEM, and where `base` is not what it was sent for. */
export function receivedService(base: ServiceTable | undefined, sent: SentService): ServiceTable {
  const { name } = sent
  const places = base ? endpointsOf(base) : []
  const groups = sent.groups.map((group): VersionGroup => {
    if (typeof group === 'number') return placed(base?.groups ?? [], group, name)
    const { version, weight, endpoints } = group
    const list = endpoints.map((one) => (typeof one === 'number' ? placed(places, one, name) : one))
    return Object.freeze({ version, weight, endpoints: Object.freeze(list) })
  })
  const policy = receivedPolicy(sent) ?? base?.policy
  if (!policy) throw new Error(`the policy of service ${name} was never sent`)
  return Object.freeze({ name, policy, groups: Object.freeze(groups) })
}

function placed<T>(list: readonly T[], place: number, name: string): T {
  const one = list[place]
  if (one === undefined) throw new Error(`a part of service ${name} was never sent`)
  return one
}

function receivedPolicy({ policy, pem }: SentService): ServiceTable['policy'] | undefined {
  const tls = policy?.tls
  if (!policy || pem === undefined || tls === undefined || tls === 'off') return policy
  return withIdentity(policy, tls, new TlsIdentity(pem))
}

type Policy = ServiceTable['policy']
type Secured = Exclude<Policy['tls'], 'off' | undefined>

function withIdentity(policy: Policy, tls: Secured, identity: TlsIdentity | undefined): Policy {
  return Object.freeze({ ...policy, tls: Object.freeze({ ...tls, identity }) })
}
