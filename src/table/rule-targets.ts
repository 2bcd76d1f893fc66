/** Where rules and mirrors lead: the services a route needs besides its own, and what they name that is not there. Pure. */
import type { Problem } from '../core/problem.ts'
import { type Policy, policyOf, type RoutePolicy, type ServicePolicy } from '../policy/policy.ts'
import type { MirrorPolicy, Rule } from '../policy/traffic.ts'
import { splitServices } from './parts.ts'
import type { Route, ServiceTable } from './table.ts'

/** The rules that hold for a route: its own, else its service's. */
export function rulesOf(route: RoutePolicy, service: ServicePolicy): readonly Rule[] {
  return route.traffic?.rules ?? service.rules
}

/** What a route mirrors: its own word, which may be that nothing is, else its service's. */
export function mirrorOf({ traffic }: RoutePolicy, service: ServicePolicy): MirrorPolicy | undefined {
  return traffic && 'mirror' in traffic ? traffic.mirror : service.mirror
}

/** The services that `route` can lead to, its own first. A rule's service is entered by its weights: its rules are not asked. */
export function servicesOf(route: RoutePolicy, policy: Policy): readonly string[] {
  if (route.service === '') return []
  const own = policyOf(policy, route.service)
  const rules = rulesOf(route, own)
  const split = splitServices(route, own)
  if (rules.length === 0 && split.length === 0) return [route.service]
  return [
    route.service,
    ...split,
    ...rules.flatMap(({ action }) => (action.kind === 'service' ? [action.service] : [])),
  ]
}

/** One problem for each version that a rule or a mirror names and nobody registered, once per service and version. */
export function ruleProblems(
  routes: readonly Route[],
  services: ReadonlyMap<string, ServiceTable>,
): readonly Problem[] {
  const problems = new Map<string, Problem>()
  for (const { service, policy, origin } of routes) {
    if (!services.has(service.name)) continue
    const isMissing = (target: ServiceTable, version: string): boolean =>
      !target.groups.some((group) => group.version === version)
    const note = (said: unknown, kind: string, version: string, message: string, code = 'no-such-version'): void => {
      const where = said ? origin : `service ${service.name}`
      problems.set(`${where} ${kind} ${version}`, Object.freeze({ code, where, message }))
    }
    for (const { action } of rulesOf(policy, service.policy)) {
      if (action.kind !== 'version' && action.kind !== 'service') continue
      const { version } = action
      const target = action.kind === 'version' ? service : services.get(action.service)
      if (
        version === undefined &&
        target &&
        target !== service &&
        (target.policy.split || target.policy.failover.length > 0)
      )
        note(
          policy.traffic?.rules,
          `split ${target.name}`,
          '',
          `a rule sends requests to service ${target.name}, which has a split or failover of its own: they are not asked for these requests`,
          'split-not-followed',
        )
      if (version === undefined || !target || !isMissing(target, version)) continue
      const fallback = (action.kind === 'version' ? policy.traffic?.fallback : undefined) ?? target.policy.fallback
      const message =
        `a rule sends requests to version ${version}${target === service ? '' : ` of service ${target.name}`}, of which no instance is registered; ` +
        `until one is, they go ${fallback === 'others' ? 'where the weights say' : 'nowhere (503)'}`
      note(policy.traffic?.rules, `rule ${target.name}`, version, message)
    }
    const mirror = mirrorOf(policy, service.policy)
    if (!mirror || !isMissing(service, mirror.version)) continue
    const message = `requests are mirrored to version ${mirror.version}, of which no instance is registered; until one is, none are`
    note(policy.traffic?.mirror, 'mirror', mirror.version, message)
  }
  return [...problems.values()]
}
