/**
 * The kill ledger against what really happened: each request that the client lost, by its id, and each death. Pure, but for
 * the shape of `GET /v1/kills`, which is read here and nowhere else.
 */
import type { Execution } from './backend-log.ts'
import type { Sent } from './client.ts'
import { hasFailed, runsById } from './figures.ts'

export interface LostRequest {
  readonly id: string
  readonly method: string
  readonly reason: string
  /** Nothing of it had been sent to a backend. */
  readonly unsent: boolean
}

/** A death as the ledger tells it. */
export interface Kill {
  readonly service: string
  readonly address: string
  readonly port: number
  /** What gave it away. */
  readonly signal: string
  readonly inFlight: number
  readonly rescued: number
  readonly retried: number
  readonly lost: number
  /** All of them, or the first so many, since the ledger is bounded. */
  readonly lostRequests: readonly LostRequest[]
  readonly consulKnewAfterMs: number | undefined
}

export interface Ledger {
  readonly kills: readonly Kill[]
  /** Lost without a death to it. */
  readonly strays: readonly LostRequest[]
  /** Rescued without one. */
  readonly strayRescued: number
}

type Json = Readonly<Record<string, unknown>>

function objectOf(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null) throw new Error(`GET /v1/kills: ${what} is ${JSON.stringify(value)}`)
  return value as Json
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`GET /v1/kills: ${what} is no list: ${JSON.stringify(value)}`)
  return value as unknown[]
}

function countOf(value: unknown, what: string): number {
  if (!Number.isInteger(value)) throw new Error(`GET /v1/kills: ${what} is no count: ${JSON.stringify(value)}`)
  return value as number
}

function requestsOf(value: unknown, what: string): readonly LostRequest[] {
  return listOf(value, what).map((entry) => {
    const { id, method, reason, unsent } = objectOf(entry, what)
    return { id: String(id), method: String(method), reason: String(reason), unsent: unsent === true }
  })
}

/** Reads the answer of `GET /v1/kills`. Throws when it is something else. */
export function parseLedger(json: unknown): Ledger {
  const { kills, strays, totals } = objectOf(json, 'it')
  return {
    strayRescued: countOf(objectOf(totals, 'totals')['strayRescued'], 'totals.strayRescued'),
    strays: requestsOf(strays, 'strays'),
    kills: listOf(kills, 'kills').map((one): Kill => {
      const kill = objectOf(one, 'a kill')
      const lost = objectOf(kill['lost'], 'lost')
      const knew = kill['consulKnewAfterMs']
      return {
        service: String(kill['service']),
        address: String(kill['address']),
        port: countOf(kill['port'], 'port'),
        signal: String(kill['signal']),
        inFlight: countOf(kill['inFlight'], 'inFlight'),
        rescued: countOf(kill['rescued'], 'rescued'),
        retried: countOf(kill['retried'], 'retried'),
        lost: countOf(lost['total'], 'lost.total'),
        lostRequests: requestsOf(lost['requests'], 'lost.requests'),
        consulKnewAfterMs: typeof knew === 'number' ? knew : undefined,
      }
    }),
  }
}

export interface LedgerFacts {
  readonly sent: readonly Sent[]
  readonly executions: readonly Execution[]
  /** What was killed or frozen for long, each of which had traffic. */
  readonly victims: readonly { readonly name: string; readonly host: string; readonly port: number }[]
  /** Failures that no death explains, such as answers of an application. */
  readonly exempt?: (sent: Sent) => boolean
  /** Entries for others than the victims that are let pass. Default 0. */
  readonly falseAlarmsMax?: number
  /**
   * Victims without an entry that are let pass: the catalog took them away in the same moment, so that what they
   * cost is told as lost without a death. Default 0.
   */
  readonly unseenMax?: number
}

/** What does not fit, a sentence each; empty: the ledger tells what happened. */
export function reconcile({ kills, strays, strayRescued }: Ledger, facts: LedgerFacts): string[] {
  const problems: string[] = []
  const { sent, exempt = () => false } = facts
  const named = kills.flatMap(({ lostRequests }) => lostRequests)
  const byId = new Map(sent.map((one) => [one.id, one]))
  const lostIds = new Set(named.map(({ id }) => id))

  const failed = sent.filter((one) => hasFailed(one) && !exempt(one))
  // Of a death that was not seen as one, the losses are strays.
  const told = new Set([...lostIds, ...((facts.unseenMax ?? 0) > 0 ? strays.map(({ id }) => id) : [])])
  const missing = failed.filter(({ id }) => !told.has(id))
  const unnamed = kills.reduce((sum, { lost, lostRequests }) => sum + lost - lostRequests.length, 0)
  if (missing.length > unnamed)
    problems.push(`${missing.length} of ${failed.length} failed requests stand in no entry: ${ids(missing)}`)
  const lost = kills.reduce((sum, kill) => sum + kill.lost, 0)
  const counted = sent.filter((one) => hasFailed(one) || one.outcome === 'abandoned').length
  if (lost > counted) problems.push(`${lost} are told as lost, and ${counted} did not end well`)
  const invented = [...named, ...strays].filter(({ id }) => byId.get(id)?.outcome === 'good')
  if (invented.length > 0) problems.push(`${invented.length} told as lost were answered well: ${ids(invented)}`)
  const strangers = [...named, ...strays].filter(({ id }) => !byId.has(id))
  if (strangers.length > 0) problems.push(`${strangers.length} told as lost were never sent: ${ids(strangers)}`)
  if (lostIds.size < named.length)
    problems.push(`${named.length - lostIds.size} are lost in two entries, or twice in one`)
  for (const { id, method } of [...named, ...strays]) {
    const one = byId.get(id)
    if (one && one.method !== method) problems.push(`${id} was a ${one.method}, and is told as a ${method}`)
  }
  for (const { port, lost: total, lostRequests } of kills)
    if (lostRequests.length > total)
      problems.push(`the entry of port ${port} names ${lostRequests.length} lost of ${total}`)
  const seen = runsById(facts.executions)
  const untrue = [...named, ...strays].filter(({ id, unsent }) => unsent && seen.has(id))
  if (untrue.length > 0) problems.push(`${untrue.length} told as never sent were seen by backends: ${ids(untrue)}`)
  return [...problems, ...deaths(kills, facts), ...repeats(kills, strayRescued, facts, byId)]
}

function deaths(kills: readonly Kill[], { victims, falseAlarmsMax = 0, unseenMax = 0 }: LedgerFacts): string[] {
  const problems: string[] = []
  const told = new Set(kills.map(({ address, port }) => `${address}:${port}`))
  const unseen = victims.filter(({ host, port }) => !told.has(`${host}:${port}`))
  if (unseen.length > unseenMax)
    for (const { name, host, port } of unseen) problems.push(`the death of ${name} (${host}:${port}) has no entry`)
  const known = new Set(victims.map(({ host, port }) => `${host}:${port}`))
  const alarms = kills.filter(({ address, port }) => !known.has(`${address}:${port}`))
  const each = alarms.map(({ port, signal }) => `${port} ${signal}`).join(', ')
  if (alarms.length > falseAlarmsMax) problems.push(`${alarms.length} entries for endpoints that lived: ${each}`)
  return problems
}

function repeats(
  kills: readonly Kill[],
  strayRescued: number,
  { executions }: LedgerFacts,
  byId: ReadonlyMap<string, Sent>,
): string[] {
  const twice = [...runsById(executions)].filter(([id, runs]) => byId.has(id) && runs.length > 1).length
  const repeated = kills.reduce((sum, { rescued, retried }) => sum + rescued + retried, strayRescued)
  return twice > repeated ? [`backends saw ${twice} requests twice, and the ledger knows of ${repeated} repeated`] : []
}

/** A line for people about each death. */
export function ledgerText({ kills, strays }: Ledger): string {
  const each = kills.map((one) => {
    const knew =
      one.consulKnewAfterMs === undefined ? 'Consul does not know' : `Consul knew ${one.consulKnewAfterMs} ms later`
    return `${one.port} ${one.signal}: ${one.inFlight} in flight, ${one.rescued} rescued, ${one.retried} retried, ${one.lost} lost, ${knew}`
  })
  return `${each.join('; ') || 'no deaths'}${strays.length > 0 ? `; ${strays.length} lost without a death` : ''}`
}

const ids = (all: readonly { readonly id: string }[]): string =>
  all
    .slice(0, 5)
    .map(({ id }) => id)
    .join(', ') + (all.length > 5 ? ' …' : '')
