/**
 * The kill ledger for a person: a table where it fits, else a few short lines for each death; below each the requests it
 * cost. Pure. Nothing that a client or a registration chose reaches the terminal unescaped.
 */
import { counted } from '../../core/counted.ts'
import { showHostPort } from '../../core/host.ts'
import type { KillsView, KillView } from '../../admin/kill-views.ts'
import {
  gap,
  paintOn,
  safe,
  serviceText,
  tableLines,
  timeText,
  type Cell,
  type Column,
  type Paint,
  type Screen,
} from '../table-text.ts'

export interface TextOptions extends Screen {
  /** The service that was asked for; undefined: all. */
  readonly service: string | undefined
}

const columns: readonly Column<KillView>[] = [
  { title: 'ID', cell: ({ id }) => ({ text: safe(id) }) },
  { title: 'WHEN', cell: ({ at }) => ({ text: timeText(at) }) },
  { title: 'SERVICE', cell: (kill) => ({ text: serviceText(kill) }) },
  { title: 'ENDPOINT', cell: (kill) => ({ text: endpoint(kill) }) },
  { title: 'SIGNAL', cell: (kill) => ({ text: signal(kill) }) },
  { title: 'IN FLIGHT', right: true, cell: ({ inFlight }) => ({ text: String(inFlight) }) },
  { title: 'RESCUED', right: true, cell: ({ rescued }) => ({ text: String(rescued) }) },
  { title: 'RETRIED', right: true, cell: (kill) => ({ text: retried(kill) }) },
  { title: 'LOST', right: true, cell: lost },
  { title: 'BACK AFTER', right: true, cell: back },
  { title: 'CONSUL KNEW AFTER', right: true, cell: consul },
]

/** The whole text, newline included. */
export function killsText(answer: KillsView, options: TextOptions): string {
  const { kills, totals } = answer
  const paint = paintOn(options)
  const lines: string[] = []
  if (kills.length > 0) {
    const table = tableLines(kills, columns, options, lostLines)
    lines.push(...(table ?? kills.flatMap((kill) => blockLines(kill, paint))), '')
  }
  lines.push(summary(totals, kills.length, options.service), ...strayLines(answer, paint))
  return `${lines.join('\n')}\n`
}

function blockLines(kill: KillView, paint: Paint): readonly string[] {
  const painted = ({ text, color }: Cell): string => paint(text, color)
  return [
    `${paint(safe(kill.id), 'bold')}${gap}${timeText(kill.at)}${gap}${signal(kill)}`,
    `  ${serviceText(kill)}${gap}${endpoint(kill)}`,
    `  in flight ${kill.inFlight}, rescued ${kill.rescued}, retried ${retried(kill)}, lost ${painted(lost(kill))}`,
    `  back after: ${painted(back(kill))}, Consul knew after: ${painted(consul(kill))}`,
    ...lostLines(kill),
  ]
}

function lostLines(kill: KillView): readonly string[] {
  const { total, requests } = kill.lost
  const lines = requests.map(
    ({ method, id, reason, unsent }) =>
      `      lost ${safe(method)} ${safe(id)} ${safe(reason)}${unsent ? ' (nothing of it was sent)' : ''}`,
  )
  if (total > requests.length) lines.push(`      and ${total - requests.length} more`)
  return lines
}

function summary(totals: KillsView['totals'], listed: number, asked: string | undefined): string {
  const { deaths, observedDeaths, rescued, retried, retriedUnsent, lost, strayRescued } = totals
  const whose = asked === undefined ? '' : ` of ${safe(asked)}`
  if (deaths + observedDeaths === 0 && listed === 0) return `No instance${whose} has died since the proxy started.`
  const observed = observedDeaths === 0 ? '' : ` and ${observedDeaths} only observed`
  const all = deaths + observedDeaths
  const kept = all > listed ? ` (the latest ${listed} are listed)` : ''
  const retries = `${retried + retriedUnsent} retried${retriedUnsent === 0 ? '' : ` (${retriedUnsent} unsent)`}`
  const apart = strayRescued === 0 ? '' : `; ${strayRescued} rescued from instances that were only silent`
  return `${counted(deaths, 'death')}${whose}${observed} since the proxy started${kept}: ${rescued} rescued, ${retries}, ${lost} lost${apart}`
}

function strayLines({ totals, strays }: KillsView, paint: Paint): readonly string[] {
  const { strayLost } = totals
  if (strayLost === 0) return []
  const head = `${counted(strayLost, 'request')} lost at instances that were not found dead`
  const lines = strays.map(
    (stray) =>
      `      lost ${safe(stray.method)} ${safe(stray.id)} ${safe(stray.reason)} at ${serviceText(stray)} ${safe(stray.handle)}, ${timeText(stray.at)}`,
  )
  if (strayLost > strays.length) lines.push(`      and ${strayLost - strays.length} more`)
  return [paint(head, 'red'), ...lines]
}

// === Cells ===

const endpoint = ({ handle, address, port }: KillView): string => `${safe(handle)} ${safe(showHostPort(address, port))}`

/** What gave it away, and what proved it when that was something else. */
function signal({ signal: first, provenBy, applied }: KillView): string {
  const proof = provenBy && provenBy.cause !== first ? `, ${safe(provenBy.cause)}` : ''
  return `${safe(first)}${proof}${applied ? '' : ' (observed)'}`
}

const retried = ({ retried: sent, retriedUnsent: unsent }: KillView): string =>
  unsent === 0 ? String(sent) : `${sent + unsent} (${unsent} unsent)`

function lost({ lost: { total, byMethod } }: KillView): Cell {
  if (total === 0) return { text: '0' }
  const methods = Object.entries(byMethod).map(([method, count]) => `${count} ${safe(method)}`)
  return { text: methods.length === 1 ? (methods[0] ?? '') : `${total}: ${methods.join(', ')}`, color: 'red' }
}

function back({ recovery }: KillView): Cell {
  if (!recovery) return { text: 'not yet', color: 'yellow' }
  const after = duration(recovery.afterMs)
  return { text: recovery.kind === 'restored' ? after : `${safe(recovery.kind)} ${after}` }
}

function consul({ consulKnewAfterMs: afterMs, recovery }: KillView): Cell {
  if (afterMs === null) return { text: recovery ? 'never' : 'not yet' }
  return { text: afterMs < 0 ? `${duration(-afterMs)} before` : duration(afterMs) }
}

/** To three digits or so: `7 ms`, `1.2 s`, `48 s`, `12 min`. */
function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 119_500) return `${Math.round(ms / 1_000)} s`
  return ms < 7_170_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`
}
