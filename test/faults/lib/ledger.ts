/**
 * The kill ledger against what really happened: each request that the client lost, by its id, and each death. Pure, but for
 * the shape of `GET /v1/kills`, which is read here and nowhere else.
 */
import type { Execution } from './backend-log.ts'
import type { Sent } from './client.ts'
import { hasFailed, runsById } from './figures.ts'

export interface LostRequest {
  readonly requestId: string
  readonly method: string
  readonly reason: string
}

/** A death as the ledger tells it. */
export interface Kill {
  readonly service: string
  readonly address: string
  readonly port: number
  readonly cause: string
  readonly inFlight: number
  readonly rescued: number
  readonly retried: number
  /** All that were lost; `lost` may name fewer of them, since the ledger is bounded. */
  readonly lostCount: number
  readonly lost: readonly LostRequest[]
}

type Json = Readonly<Record<string, unknown>>

const objectOf = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : [])

/** Reads the answer of `GET /v1/kills`. Throws when it is something else. */
export function parseKills(json: unknown): Kill[] {
  const kills = objectOf(json)['kills']
  if (!Array.isArray(kills))
    throw new Error(`GET /v1/kills has no list of kills: ${JSON.stringify(json).slice(0, 200)}`)
  return kills.map((one: unknown) => {
    const kill = objectOf(one)
    const lost = listOf(kill['lost']).map((entry): LostRequest => {
      const { requestId, method, reason } = objectOf(entry)
      return { requestId: String(requestId), method: String(method), reason: String(reason) }
    })
    const endpoint = { ...objectOf(kill['endpoint']), ...kill }
    return {
      service: String(endpoint['service']),
      address: String(endpoint['address']),
      port: Number(endpoint['port']),
      cause: String(kill['cause'] ?? kill['signal']),
      inFlight: Number(kill['inFlight']),
      rescued: Number(kill['rescued']),
      retried: Number(kill['retried']),
      lostCount: Number(kill['lostCount'] ?? lost.length),
      lost,
    }
  })
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
}

/** What does not fit, a sentence each; empty: the ledger tells what happened. */
export function reconcile(kills: readonly Kill[], facts: LedgerFacts): string[] {
  const problems: string[] = []
  const { sent, victims, exempt = () => false, falseAlarmsMax = 0 } = facts
  const lostIn = new Map<string, number>()
  for (const { lost } of kills)
    for (const { requestId } of lost) lostIn.set(requestId, (lostIn.get(requestId) ?? 0) + 1)

  const byId = new Map(sent.map((one) => [one.id, one]))
  const failed = sent.filter((one) => hasFailed(one) && !exempt(one))
  const unknown = failed.filter(({ id }) => !lostIn.has(id))
  if (unknown.length > 0)
    problems.push(`${unknown.length} of ${failed.length} failed requests stand in no entry: ${ids(unknown)}`)
  const invented = [...lostIn.keys()].filter((id) => byId.get(id)?.outcome === 'good').map((id) => ({ id }))
  if (invented.length > 0) problems.push(`${invented.length} told as lost were answered well: ${ids(invented)}`)
  const stranger = [...lostIn.keys()].filter((id) => !byId.has(id)).map((id) => ({ id }))
  if (stranger.length > 0)
    problems.push(`${stranger.length} told as lost were never sent by this client: ${ids(stranger)}`)
  const doubled = [...lostIn].filter(([, count]) => count > 1).map(([id]) => ({ id }))
  if (doubled.length > 0) problems.push(`${doubled.length} are lost in two entries: ${ids(doubled)}`)
  for (const { requestId, method } of kills.flatMap(({ lost }) => lost)) {
    const one = byId.get(requestId)
    if (one && one.method !== method) problems.push(`${requestId} was a ${one.method}, and is told as a ${method}`)
  }

  const told = new Set(kills.map(({ address, port }) => `${address}:${port}`))
  for (const { name, host, port } of victims)
    if (!told.has(`${host}:${port}`)) problems.push(`the death of ${name} (${host}:${port}) has no entry`)
  const known = new Set(victims.map(({ host, port }) => `${host}:${port}`))
  const alarms = kills.filter(({ address, port }) => !known.has(`${address}:${port}`))
  if (alarms.length > falseAlarmsMax)
    problems.push(
      `${alarms.length} entries for endpoints that lived: ${alarms.map((one) => `${one.port} ${one.cause}`).join(', ')}`,
    )

  const twice = [...runsById(facts.executions)].filter(([id, runs]) => byId.has(id) && runs.length > 1).length
  const saved = kills.reduce((sum, { rescued, retried }) => sum + rescued + retried, 0)
  if (twice > saved)
    problems.push(`backends saw ${twice} requests twice, and the ledger knows of ${saved} that were repeated`)
  for (const { port, lost, lostCount } of kills)
    if (lost.length > lostCount) problems.push(`the entry of port ${port} names ${lost.length} lost of ${lostCount}`)
  return problems
}

const ids = (all: readonly { readonly id: string }[]): string =>
  all
    .slice(0, 5)
    .map(({ id }) => id)
    .join(', ') + (all.length > 5 ? ' …' : '')
