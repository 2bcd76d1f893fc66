/**
 * One plain line for each change of the table, for people who read the log.
 */
import { counted } from '../core/counted.ts'
import type { EndpointChange, RouteChange, ServiceChange, TableChange, VersionCount } from './diff.ts'

/** Endpoints named one by one in a line; more are counted. */
const namedMax = 3

function counts(sign: '+' | '-', list: readonly VersionCount[]): string | undefined {
  if (list.length === 0) return undefined
  const total = list.reduce((sum, { count }) => sum + count, 0)
  const named = list.map(({ version, count }) => {
    const text = version || 'no version'
    return list.length > 1 ? `${count} of ${text}` : text
  })
  return `${sign}${counted(total, 'endpoint')} (${named.join(', ')})`
}

function endpointText({ handle, before, after }: EndpointChange): string {
  const parts: string[] = []
  if (before.life !== after.life) parts.push('registered anew')
  if (before.status !== after.status) parts.push(`${before.status} -> ${after.status}`)
  if (before.version !== after.version)
    parts.push(`version ${before.version || '(none)'} -> ${after.version || '(none)'}`)
  // A weight that follows from the status is no news beside it.
  if (before.weight !== after.weight && before.status === after.status)
    parts.push(`weight ${before.weight} -> ${after.weight}`)
  if (before.zone !== after.zone) parts.push(`zone ${before.zone || '(none)'} -> ${after.zone || '(none)'}`)
  if (before.agentLost !== after.agentLost) parts.push(after.agentLost ? 'its agent is lost' : 'its agent is back')
  if (before.held !== after.held) parts.push(after.held ? 'held for now' : 'no longer held')
  if (before.handle !== after.handle) parts.push(`was ${before.handle}`)
  return `${handle} ${parts.join(', ')}`
}

function describeService(change: ServiceChange): string {
  const { service, added, removed, changed, weights, settings } = change
  const named = changed.slice(0, namedMax).map(endpointText)
  if (changed.length > namedMax) named.push(`${counted(changed.length - namedMax, 'more endpoint')} changed`)
  const parts = [
    change.change === 'added' ? (added.length > 0 ? 'now served' : 'routed, no instance yet') : undefined,
    change.change === 'removed' ? (removed.length > 0 ? 'no longer served' : 'no longer routed') : undefined,
    [counts('+', added), counts('-', removed)].filter((text) => text !== undefined).join(', ') || undefined,
    ...named,
    weights && `weights ${weights.before && `${weights.before} -> `}${weights.after}`,
    settings.length > 0 ? `settings changed: ${settings.join(', ')}` : undefined,
  ]
  return `service ${service}: ${parts.filter((part) => part !== undefined).join('; ')}`
}

function describeRoute({ change, host, path, origin, service, serviceBefore }: RouteChange): string {
  const place = `${host || '*'}${path}`
  if (change === 'removed') return `route ${place} to ${service} removed`
  if (change === 'added') return `route ${place} to ${service} added (${origin})`
  if (serviceBefore === undefined) return `route ${place} to ${service} now comes from ${origin}`
  return `route ${place} leads to ${service}, before to ${serviceBefore} (${origin})`
}

/** The change as one line: `service web: +2 endpoints (9.8.0), -1 endpoint (9.7.0); weights 9.7.0=90 … -> …`. */
export function describeChange(change: TableChange): string {
  return change.kind === 'route' ? describeRoute(change) : describeService(change)
}
