/**
 * The shares of a service's versions: what the policy says, applied to what is registered.
 */
import type { Problem } from '../core/problem.ts'
import type { Endpoint, VersionGroup } from './table.ts'

/** The word in a policy's versions for every version that it does not name. */
const OTHERS = '*'

export interface Weighed {
  /** By version; every version that is registered has an entry of at least 0. */
  readonly weights: ReadonlyMap<string, number>
  readonly problems: readonly Problem[]
}

const noProblems: readonly Problem[] = Object.freeze([])

/** The texts as `9.7.0, 9.8.0`; '' is shown as what it stands for. */
const list = (versions: readonly string[]): string => versions.map((version) => version || '(none)').join(', ')

/**
 * Weighs the versions in `registered` (version to its endpoints). Without `shares`, each weighs as much as its endpoints
 * together. With them: a named version has its own weight, those not named share that of `*` in proportion to their
 * endpoints, or get 0 without one. Only when no named version is registered do the unnamed serve all the same; a named one
 * with weight 0 counts as registered and still gets nothing, so a service may answer 503 beside healthy instances. Then a
 * problem says so.
 */
export function weighVersions(
  service: string,
  registered: ReadonlyMap<string, readonly Endpoint[]>,
  shares: ReadonlyMap<string, number> | undefined,
): Weighed {
  return weigh(`service ${service}`, registered, shares)
}

function weigh(
  where: string,
  registered: ReadonlyMap<string, readonly Endpoint[]>,
  shares: ReadonlyMap<string, number> | undefined,
): Weighed {
  const own = new Map<string, number>()
  for (const [version, endpoints] of registered) {
    let sum = 0
    for (const endpoint of endpoints) sum += endpoint.weight
    own.set(version, sum)
  }
  if (!shares || shares.size === 0 || own.size === 0) return { weights: own, problems: noProblems }

  const problems: Problem[] = []
  const tell = (code: string, message: string): number => problems.push(Object.freeze({ code, where, message }))
  const share = (version: string): number => {
    const weight = shares.get(version) ?? 0
    return Number.isFinite(weight) && weight > 0 ? weight : 0
  }
  const named = [...shares.keys()].filter((version) => version !== OTHERS)
  const missing = named.filter((version) => !own.has(version))
  const unnamed = [...own.keys()].filter((version) => version === OTHERS || !shares.has(version))
  const others = share(OTHERS)
  const stranded = missing.length === named.length && others === 0

  if (stranded)
    tell(
      'named-versions-gone',
      `none of the versions with a weight (${list(named)}) is registered, so those without one serve: ${list(unnamed)}`,
    )
  else
    for (const version of missing)
      if (share(version) > 0)
        tell('no-such-version', `version ${list([version])} has a weight but no instance is registered`)

  let unnamedSum = 0
  for (const version of unnamed) unnamedSum += own.get(version) ?? 0
  const weights = new Map<string, number>()
  for (const [version, sum] of own) {
    if (!unnamed.includes(version)) weights.set(version, share(version))
    else if (stranded) weights.set(version, sum)
    else weights.set(version, unnamedSum > 0 ? (others * sum) / unnamedSum : 0)
  }
  const healthy = [...own].filter(([, sum]) => sum > 0).map(([version]) => version)
  if (healthy.length > 0 && !healthy.some((version) => (weights.get(version) ?? 0) > 0)) {
    const weighty = [...shares.keys()].filter((version) => share(version) > 0)
    tell(
      'no-usable-version',
      `no version with a weight${weighty.length > 0 ? ` (${list(weighty)})` : ''} has a usable instance: this service ` +
        `answers 503, though ${list(healthy)} could serve; give it a weight, or bring one back that has`,
    )
  }
  return { weights, problems }
}

/** The same for a route that has weights of its own; `origin` is where they come from. */
export function weighGroups(
  origin: string,
  groups: readonly VersionGroup[],
  shares: ReadonlyMap<string, number> | undefined,
): Weighed {
  return weigh(origin, new Map(groups.map(({ version, endpoints }) => [version, endpoints])), shares)
}
