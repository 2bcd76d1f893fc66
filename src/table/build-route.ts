/** One route of a table, made of its policy and of the services it leads to. Pure. */
import type { Problem } from '../core/problem.ts'
import type { RoutePolicy } from '../policy/policy.ts'
import type { Arrangement } from './arrange.ts'
import type { Entry } from './build-entry.ts'
import { type PartSource, partProblems, partsOf } from './parts.ts'
import { sameData } from '../core/same.ts'
import { noService, type Route, type ServiceTable } from './table.ts'
import { weighGroups } from './weigh.ts'

export interface BuiltRoute {
  readonly route: Route
  readonly problems: readonly Problem[]
}

const nothingWrong: readonly Problem[] = Object.freeze([])

/** The route itself is `known` (that of the same host and path before) where it says the same; undefined: its service is not there. */
export function buildRoute(
  policy: RoutePolicy,
  services: ReadonlyMap<string, ServiceTable>,
  entries: ReadonlyMap<string, Entry>,
  sayers: Arrangement['sayers'],
  known: Route | undefined,
): BuiltRoute | undefined {
  const { origin, host, path } = policy
  const service = policy.service === '' ? noService : services.get(policy.service)
  if (!service) return undefined
  const find = (name: string): PartSource | undefined => {
    const entry = entries.get(name)
    return entry && { table: entry.built.table, read: entry.read }
  }
  const unchanged = known?.service === service && (known.policy === policy || sameData(known.policy, policy))
  const versions = policy.traffic?.versions
  const weighed = versions && weighGroups(origin, service.groups, versions)
  const parts = service === noService ? undefined : partsOf(policy, service.policy, find)
  const problems =
    weighed || parts
      ? [...(weighed?.problems ?? []), ...(parts ? partProblems(policy, parts, services, sayers) : [])]
      : nothingWrong
  const made: Route = { origin, host, path, service, policy, weights: weighed?.weights, ...(parts ? { parts } : {}) }
  const route = known && unchanged && sameData(known.parts, parts) ? known : Object.freeze(made)
  return { route, problems }
}
