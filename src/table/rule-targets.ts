/** Where rules lead: the services a route needs besides its own, and what rules name that is not there. Pure. */
import type { Problem } from '../core/problem.ts'
import type { Policy, RoutePolicy, ServicePolicy } from '../policy/policy.ts'
import type { Rule } from '../policy/traffic.ts'
import type { Route, ServiceTable } from './table.ts'

/** The rules that hold for a route: its own, else its service's. */
export function rulesOf(route: RoutePolicy, service: ServicePolicy): readonly Rule[] {
  return route.traffic?.rules ?? service.rules
}

/** The services that `route` can lead to, its own first. A rule's service is entered by its weights: its rules are not asked. */
export function servicesOf(route: RoutePolicy, policy: Policy): readonly string[] {
  if (route.service === '') return []
  const rules = rulesOf(route, policy.services.get(route.service) ?? policy.defaults)
  if (rules.length === 0) return [route.service]
  return [route.service, ...rules.flatMap(({ action }) => (action.kind === 'service' ? [action.service] : []))]
}

/** One problem for each version that a rule names and nobody registered, once per service and version. */
export function ruleProblems(
  routes: readonly Route[],
  services: ReadonlyMap<string, ServiceTable>,
): readonly Problem[] {
  const problems = new Map<string, Problem>()
  for (const { service, policy, origin } of routes) {
    const rules = rulesOf(policy, service.policy)
    if (rules.length === 0 || !services.has(service.name)) continue
    const where = policy.traffic?.rules ? origin : `service ${service.name}`
    for (const { action } of rules) {
      if (action.kind !== 'version' && action.kind !== 'service') continue
      const { version } = action
      const target = action.kind === 'version' ? service : services.get(action.service)
      if (version === undefined || !target || target.groups.some((group) => group.version === version)) continue
      const own = action.kind === 'version' ? policy.traffic?.fallback : undefined
      const message =
        `a rule sends requests to version ${version}${action.kind === 'version' ? '' : ` of service ${target.name}`}, of which no instance is registered; ` +
        `until one is, they go ${(own ?? target.policy.fallback) === 'others' ? 'where the weights say' : 'nowhere (503)'}`
      problems.set(`${where} ${target.name} ${version}`, Object.freeze({ code: 'no-such-version', where, message }))
    }
  }
  return [...problems.values()]
}
