/** What `fairlead history` does: one question to the proxy, one text for whoever asked. */
import { z } from 'zod'
import type { HistoryView } from '../../admin/history-view.ts'
import type { Address } from '../../config/config.ts'
import { counted } from '../../core/counted.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { paintOn, safe, screenOf, timeText, type Screen } from '../table-text.ts'

export interface HistoryOptions {
  readonly service: string | undefined
  /** 1 to 1,000 tables. */
  readonly limit: number
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

/** Reads an answer; what another version's proxy adds is passed over, what it lacks is noticed. */
export const historyAnswer: z.ZodType<HistoryView> = z.object({
  kept: z.number(),
  since: z.string().nullable(),
  entries: z.array(
    z.object({
      at: z.string(),
      table: z.number(),
      causes: z.array(z.object({ kind: z.string(), text: z.string() })),
      changes: z.array(z.object({ services: z.array(z.string()), text: z.string() })),
      more: z.number(),
    }),
  ),
})

/** The whole output. Rejects with FL_ADMIN. */
export async function history({ service, limit, admin, token, json }: HistoryOptions): Promise<string> {
  const named = service === undefined ? '' : `&service=${encodeURIComponent(service)}`
  const value = await askAdmin(admin, { path: `/v1/history?limit=${limit}${named}`, token })
  const answer = knownAnswer(historyAnswer, value)
  return json ? jsonText(value) : historyText(answer, service, screenOf())
}

/** Changes of one table that are printed; `--json` has all that are kept. */
const changesMax = 20

/** A block for each table, newest first: when, why, what. Pure. */
export function historyText(answer: HistoryView, service: string | undefined, screen: Screen): string {
  const { entries, kept, since } = answer
  const of = service === undefined ? '' : ` of ${safe(service)}`
  if (entries.length === 0) return `No change${of} is known.\n`
  const paint = paintOn(screen)
  const blocks = entries.map(({ at, table, causes, changes, more }) => {
    const why = causes.length === 0 ? 'no cause was told' : causes.map(({ text }) => safe(text, 1_024)).join('; ')
    const lines = changes.slice(0, changesMax).map(({ text }) => `    ${safe(text, 2_048)}`)
    const rest = more + Math.max(0, changes.length - changesMax)
    if (rest > 0) lines.push(`    and ${counted(rest, 'more change')}`)
    return [`${paint(timeText(at), 'bold')}  table ${table}`, `  ${why}`, ...lines, ''].join('\n')
  })
  const listed = `${counted(entries.length, 'table')}${of} listed`
  return `${blocks.join('\n')}\n${listed}; ${kept} kept${since === null ? '' : ` since ${timeText(since)}`}\n`
}
