/**
 * Makes one service's part of the table from what was read of it, taking over from its previous form whatever is equal.
 */
import type { Problem } from '../core/problem.ts'
import type { ServicePolicy } from '../policy/policy.ts'
import { sameData } from '../core/same.ts'
import type { Endpoint, ServiceTable, VersionGroup } from './table.ts'
import { weighVersions } from './weigh.ts'

export interface BuiltService {
  readonly table: ServiceTable
  readonly problems: readonly Problem[]
}

function renamed(endpoint: Endpoint, handle: string | undefined): Endpoint {
  return handle === undefined ? endpoint : Object.freeze({ ...endpoint, handle })
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

/** Builds service `name`. The result's table is `previous` itself when its content is equal. */
export function buildService(
  name: string,
  endpoints: readonly Endpoint[],
  policy: ServicePolicy,
  handles: ReadonlyMap<string, string> | undefined,
  previous: ServiceTable | undefined,
): BuiltService {
  const knownGroups = new Map<string, VersionGroup>()
  const knownEndpoints = new Map<string, Endpoint>()
  for (const group of previous?.groups ?? []) {
    knownGroups.set(group.version, group)
    for (const endpoint of group.endpoints) knownEndpoints.set(endpoint.key, endpoint)
  }

  const byVersion = new Map<string, Endpoint[]>()
  for (const read of endpoints) {
    const made = renamed(read, handles?.get(read.key))
    const known = knownEndpoints.get(made.key)
    const endpoint = known && sameData(known, made) ? known : made
    const list = byVersion.get(endpoint.version)
    if (list) list.push(endpoint)
    else byVersion.set(endpoint.version, [endpoint])
  }

  const { weights, problems } = weighVersions(name, byVersion, policy.versions)
  const groups = [...byVersion.keys()].sort().map((version): VersionGroup => {
    const weight = weights.get(version) ?? 0
    const list = byVersion.get(version) ?? []
    const known = knownGroups.get(version)
    if (known?.weight === weight && sameList(known.endpoints, list)) return known
    return Object.freeze({ version, weight, endpoints: Object.freeze(list) })
  })

  const settled = previous && sameData(previous.policy, policy) ? previous.policy : policy
  if (previous?.policy === settled && sameList(previous.groups, groups)) return { table: previous, problems }
  return { table: Object.freeze({ name, policy: settled, groups: Object.freeze(groups) }), problems }
}
