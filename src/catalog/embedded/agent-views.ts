/**
 * What the agent knows of its own services and checks, with the newest check outputs (the catalog's may lag: output alone
 * is synchronised late, so that chatty checks wake nobody).
 */
import { SERF_HEALTH } from './agent-commands.ts'
import type { Parts } from './parts.ts'
import type { CheckRecord } from './records.ts'
import { agentCheckView, agentServiceView, checksFor, tagsOf } from './views.ts'

export function agentServices(parts: Parts): Record<string, object> {
  const services = parts.store.state.nodes.get(parts.nodeName)?.services ?? new Map<string, never>()
  const result: Record<string, object> = Object.create(null) as Record<string, object>
  for (const id of [...services.keys()].sort()) {
    const service = services.get(id)
    if (service) result[id] = agentServiceView(service)
  }
  return result
}

export function agentChecks(parts: Parts): Record<string, object> {
  const entry = parts.store.state.nodes.get(parts.nodeName)
  const result: Record<string, object> = Object.create(null) as Record<string, object>
  if (!entry) return result
  for (const id of [...entry.checks.keys()].sort()) {
    const check = entry.checks.get(id)
    if (check && id !== SERF_HEALTH) result[id] = agentCheckView(live(parts, check), tagsOf(entry, check.serviceId))
  }
  return result
}

/** The checks that make the health of one of the agent's services: the node's and its own, `serfHealth` aside. */
export function agentChecksOf(parts: Parts, serviceId: string): CheckRecord[] {
  const entry = parts.store.state.nodes.get(parts.nodeName)
  if (!entry) return []
  return checksFor(entry, serviceId)
    .filter((check) => check.id !== SERF_HEALTH)
    .map((check) => live(parts, check))
}

function live(parts: Parts, check: CheckRecord): CheckRecord {
  const output = parts.runner.output(check.id)
  return output === undefined ? check : { ...check, output }
}
