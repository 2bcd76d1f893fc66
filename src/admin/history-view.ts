/** What the API shows of the history of tables, and how it is asked. */
import { isoTime } from '../core/clock.ts'
import type { History, HistoryReport } from '../control/history.ts'
import { entriesMax } from '../control/history.ts'
import type { HistoryEntry, RecordedCause, RecordedChange } from '../control/history-entry.ts'
import { unknownService } from './asked.ts'
import { json, type Answer } from './door.ts'
import { readQuery } from './query.ts'
import { jsonList } from './views.ts'

export interface HistoryEntryView {
  /** ISO 8601, UTC. */
  readonly at: string
  /** Version of the table; it begins anew with each process. */
  readonly table: number
  readonly causes: readonly RecordedCause[]
  readonly changes: readonly RecordedChange[]
  /** Changes beyond those. */
  readonly more: number
}

/** The answer of `/v1/history`. */
export interface HistoryView {
  /** Entries that are kept, of all services, and since when; null: there is none. */
  readonly kept: number
  readonly since: string | null
  /** Newest first. */
  readonly entries: readonly HistoryEntryView[]
}

const limitDefault = 100

function entryView({ atMs, ...rest }: HistoryEntry): HistoryEntryView {
  return { at: isoTime(atMs), ...rest }
}

/** `routed`: the services that routes lead to, by name. */
export function historyAnswer(
  history: Pick<History, 'read'>,
  routed: Pick<ReadonlyMap<string, unknown>, 'has' | 'keys'>,
  query: string,
): Answer {
  const asked = readQuery(query, ['service', 'limit'])
  if (typeof asked === 'string') return json(400, { error: asked })
  const service = asked.get('service')
  const limit = readLimit(asked.get('limit'))
  if (limit === undefined) return json(400, { error: `The parameter limit is a whole number from 1 to ${entriesMax}.` })
  const report = history.read(service, limit)
  // A slip of the pen must not read as a service that never changed.
  if (service !== undefined && report.entries.length === 0 && !routed.has(service))
    return json(404, { error: unknownService(service, routed.keys(), ', and no change of it is known') })
  return { status: 200, type: 'application/json; charset=utf-8', body: historyJson(report) }
}

function historyJson({ kept, sinceMs, entries }: HistoryReport): AsyncGenerator<string> {
  const since = sinceMs === undefined ? null : isoTime(sinceMs)
  return jsonList(`{"kept":${kept},"since":${JSON.stringify(since)},"entries":[`, entries, entryView, 8)
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return limitDefault
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= entriesMax ? limit : undefined
}
