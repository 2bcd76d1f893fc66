/**
 * What changes next in the soak's catalog: five kinds of change, at random, such that each service keeps instances that serve
 * well. Pure: it decides, and another part acts. What it must never do is take a service's last two.
 */
import type { Random } from '../../src/core/random.ts'

export type CheckStatus = 'passing' | 'warning' | 'critical'

/** An instance as it is registered. */
export interface Member {
  readonly name: string
  readonly service: string
  readonly host: string
  readonly port: number
  readonly version: string
  /** Rises with each change of nothing but its meta. */
  readonly revision: number
  readonly status: CheckStatus
  readonly maintenance: boolean
}

export type Change =
  | { readonly kind: 'register'; readonly service: string; readonly version: string }
  | { readonly kind: 'deregister'; readonly member: Member }
  /** What it will be: the same under another version, or with another revision. */
  | { readonly kind: 'meta'; readonly member: Member }
  | { readonly kind: 'check'; readonly member: Member }
  | { readonly kind: 'maintenance'; readonly member: Member }

export type ChangeKind = Change['kind']

export interface ChurnLimits {
  /** Fewest and most instances registered in a service. */
  readonly min: number
  readonly max: number
  /** Services whose instances stay, outside maintenance: what lasts leads there. */
  readonly lasting: ReadonlySet<string>
}

const versions = ['1.0.0', '1.1.0', '2.0.0'] as const
const statuses = ['passing', 'warning', 'critical'] as const
/** Instances that serve well in each service, at the least. */
export const servingMin = 2

/** Passing or warning, and not in maintenance. */
export const isServing = ({ status, maintenance }: Member): boolean => status !== 'critical' && !maintenance

/** How often each kind is drawn, of ten. Deregistrations and registrations balance between `min` and `max`. */
const draws: readonly ChangeKind[] = [
  'register',
  'register',
  'deregister',
  'deregister',
  'meta',
  'meta',
  'check',
  'check',
  'check',
  'maintenance',
]

function oneOf<T>(all: readonly T[], random: Random): T {
  return all[Math.floor(random() * all.length)] as T
}

/** The next change of a fleet in which every service has at least one instance. */
export function chooseChange(
  fleet: ReadonlyMap<string, readonly Member[]>,
  limits: ChurnLimits,
  random: Random,
): Change {
  // Most draws are possible; the last resort always is.
  for (let draw = 0; draw < 50; draw++) {
    const [service, members] = oneOf([...fleet], random)
    const change = changeOf(oneOf(draws, random), service, members, limits, random)
    if (change !== undefined) return change
  }
  const [, members] = oneOf([...fleet], random)
  const member = oneOf(members, random)
  return { kind: 'meta', member: { ...member, revision: member.revision + 1 } }
}

/** Undefined: not allowed now. */
function changeOf(
  kind: ChangeKind,
  service: string,
  members: readonly Member[],
  { min, max, lasting }: ChurnLimits,
  random: Random,
): Change | undefined {
  const member = oneOf(members, random)
  const spare = !isServing(member) || members.filter(isServing).length > servingMin
  switch (kind) {
    case 'register':
      if (members.length >= max || lasting.has(service)) return undefined
      return { kind, service, version: oneOf(versions, random) }
    case 'deregister':
      return members.length > min && spare && !lasting.has(service) ? { kind, member } : undefined
    case 'meta': {
      const version = random() < 0.5 ? member.version : oneOf(versions, random)
      return { kind, member: { ...member, version, revision: member.revision + 1 } }
    }
    case 'check': {
      const status = oneOf(
        statuses.filter((one) => one !== member.status),
        random,
      )
      return status !== 'critical' || spare ? { kind, member: { ...member, status } } : undefined
    }
    case 'maintenance': {
      const allowed = member.maintenance || (spare && !lasting.has(service))
      return allowed ? { kind, member: { ...member, maintenance: !member.maintenance } } : undefined
    }
  }
}
