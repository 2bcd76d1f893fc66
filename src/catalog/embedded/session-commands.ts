/**
 * Sessions: making one, and what follows when one ends: its locks are released, or the keys deleted, and each stays
 * closed for the lock-delay. Pure. A session ends when destroyed, when its time is up, when one of its checks turns
 * critical or goes, and with its node.
 */
import { SERF_HEALTH } from './agent-commands.ts'
import { asObject, Fields } from './decode.ts'
import { parseGoDuration } from './duration.ts'
import type { Change, SessionRecord } from './records.ts'
import { Refusal } from './reply.ts'
import type { CatalogState } from './state.ts'

const LOCK_DELAY_MS = 15_000
const TTL_MIN_MS = 10_000
const TTL_MAX_MS = 86_400_000
const FIELDS = [
  'ID',
  'Name',
  'Node',
  'LockDelay',
  'Behavior',
  'TTL',
  'Checks',
  'NodeChecks',
  'ServiceChecks',
  'Namespace',
]

/** Throws a Refusal if the definition is not valid or one of its checks is missing or critical. */
export function createSession(
  state: CatalogState,
  body: object,
  localNode: string,
  id: string,
  index: number,
): SessionRecord {
  // Consul takes fields here that it does not know.
  const known = Object.fromEntries(Object.entries(body).filter(([key]) => isKnown(key)))
  const fields = new Fields(known, FIELDS)
  const node = fields.string('Node') || localNode
  const behavior = fields.string('Behavior') || 'release'
  if (behavior !== 'release' && behavior !== 'delete') throw new Refusal(500, `Invalid Behavior setting '${behavior}'`)
  const entry = state.nodes.get(node)
  if (!entry) throw new Refusal(500, 'Missing node registration')
  const ttl = fields.string('TTL')
  sessionTtlMs(ttl)
  const named = [...fields.strings('Checks'), ...fields.strings('NodeChecks')]
  const nodeChecks = fields.has('Checks') || fields.has('NodeChecks') ? named : [SERF_HEALTH]
  const serviceChecks = fields.list('ServiceChecks').map(serviceCheckId)
  for (const checkId of [...nodeChecks, ...serviceChecks]) {
    const check = entry.checks.get(checkId)
    if (!check) throw new Refusal(500, `Missing check '${checkId}' registration`)
    if (check.status === 'critical') throw new Refusal(500, `Check '${checkId}' is in critical state`)
  }
  return {
    id,
    name: fields.string('Name'),
    node,
    lockDelayMs: lockDelay(fields),
    behavior,
    ttl,
    nodeChecks,
    serviceChecks,
    createIndex: index,
    modifyIndex: index,
  }
}

/** 0: no time limit. Throws a Refusal outside 10 s to 24 h. */
export function sessionTtlMs(ttl: string): number {
  if (ttl === '') return 0
  const ms = parseGoDuration(ttl)
  if (ms === undefined)
    throw new Refusal(500, `Session TTL '${ttl}' invalid: time: invalid duration ${JSON.stringify(ttl)}`)
  if (ms === 0) return 0
  if (ms < TTL_MIN_MS || ms > TTL_MAX_MS)
    throw new Refusal(500, `Invalid Session TTL '${String(Math.round(ms * 1e6))}', must be between [10s=24h0m0s]`)
  return ms
}

export function destroySession(state: CatalogState, id: string): Change[] {
  return state.sessions.has(id) ? [{ kind: 'session-gone', id, held: heldBy(state, id) }] : []
}

/** The sessions that end by these changes, and what becomes of all their locks. */
export function sessionConsequences(state: CatalogState, changes: readonly Change[], index: number): Change[] {
  if (state.sessions.size === 0) return []
  const result: Change[] = []
  for (const session of state.sessions.values()) {
    const explicit = changes.some((change) => change.kind === 'session-gone' && change.id === session.id)
    if (!explicit) {
      if (!changes.some((change) => endsSession(state, session, change))) continue
      result.push(...destroySession(state, session.id))
    }
    for (const key of heldBy(state, session.id)) result.push(releaseChange(state, session, key, index))
  }
  return result
}

function endsSession(state: CatalogState, session: SessionRecord, change: Change): boolean {
  const depends = (node: string, checkId: string): boolean =>
    node === session.node && (session.nodeChecks.includes(checkId) || session.serviceChecks.includes(checkId))
  switch (change.kind) {
    case 'check':
      return change.check.status === 'critical' && depends(change.check.node, change.check.id)
    case 'check-gone':
      return depends(change.node, change.id)
    case 'service-gone': {
      const checks = state.nodes.get(change.node)?.checksOf.get(change.id)?.keys() ?? []
      return [...checks].some((checkId) => depends(change.node, checkId))
    }
    case 'node-gone':
      return change.name === session.node
    default:
      return false
  }
}

function heldBy(state: CatalogState, id: string): string[] {
  const held: string[] = []
  for (const entry of state.kv.values()) if (entry.session === id) held.push(entry.key)
  return held
}

function releaseChange(state: CatalogState, session: SessionRecord, key: string, index: number): Change {
  const entry = state.kv.get(key)
  if (session.behavior === 'delete' || !entry) return { kind: 'kv-gone', key }
  return { kind: 'kv', entry: { ...entry, session: '', modifyIndex: index } }
}

/** A bare number is seconds if small, else nanoseconds; text is a Go duration. */
function lockDelay(fields: Fields): number {
  if (!fields.has('LockDelay')) return LOCK_DELAY_MS
  const ms = fields.duration('LockDelay')
  return ms > 0 && ms < 0.001 ? ms * 1e9 : ms
}

function serviceCheckId(item: unknown): string {
  return typeof item === 'string' ? item : new Fields(asObject(item, 'ServiceChecks'), ['ID', 'Namespace']).string('ID')
}

function isKnown(key: string): boolean {
  const wanted = key.replaceAll(/[_-]/g, '').toLowerCase()
  return FIELDS.some((field) => field.toLowerCase() === wanted)
}
