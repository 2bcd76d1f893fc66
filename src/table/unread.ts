/**
 * Documents of the KV about services that no route leads to: nothing reads them. Services come and go, and with them the routes
 * that their tags make, so it may be as it should be: a notice. Pure.
 */
import { nearest } from '../config/nearest.ts'
import type { Problem } from '../core/problem.ts'
import type { Policy } from '../policy/policy.ts'

/** `routed`: the names of all services that a route, a rule or a split leads to. */
export function unreadProblems({ origins }: Policy, routed: ReadonlyMap<string, unknown>): readonly Problem[] {
  const problems: Problem[] = []
  for (const [name, [where]] of origins) {
    if (where === undefined || !where.startsWith('kv:') || routed.has(name)) continue
    const near = nearest(name, routed.keys())
    const help = near === undefined ? '' : `; did you mean "${near}"?`
    const message = `no route leads to service ${name}: until one does, nothing reads this document${help}`
    problems.push(Object.freeze({ code: 'service-not-routed', notice: true, where, message }))
  }
  return problems
}
