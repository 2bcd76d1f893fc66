/** A request that had trouble, for a person: what it was, where it was tried, what came of it. Pure. */
import type { RequestView } from '../../admin/request-view.ts'
import { counted } from '../../core/counted.ts'
import { showHostPort } from '../../core/host.ts'
import { gap, paintOn, safe, serviceText, tableLines, timeText, type Column, type Screen } from '../table-text.ts'

type Attempt = RequestView['attempts'][number]

const ms = (value: number): string => `${Math.round(value * 10) / 10} ms`

const columns: readonly Column<Attempt & { readonly index: number }>[] = [
  { title: '#', right: true, cell: ({ index }) => ({ text: String(index) }) },
  { title: 'ENDPOINT', cell: (attempt) => ({ text: endpoint(attempt) }) },
  { title: 'VERSION', cell: ({ version }) => ({ text: safe(version) }) },
  { title: 'FROM', right: true, cell: ({ startedMs }) => ({ text: ms(startedMs) }) },
  { title: 'TO', right: true, cell: ({ endedMs }) => ({ text: ms(endedMs) }) },
  { title: 'CONNECTION', cell: ({ reused }) => ({ text: reused ? 'reused' : 'new' }) },
  { title: 'OUTCOME', cell: (attempt) => ({ text: outcome(attempt), color: colorOf(attempt) }) },
]

const endpoint = ({ handle, address, port }: Attempt): string => `${safe(handle)} ${safe(showHostPort(address, port))}`

const colorOf = ({ outcome: what }: Attempt): 'red' | 'yellow' | undefined =>
  what === 'lost' ? 'red' : what === 'answered' ? undefined : 'yellow'

function outcome({ outcome: what, reason, unsent }: Attempt): string {
  const why = reason === '' ? '' : `: ${safe(reason)}`
  return `${safe(what)}${why}${unsent ? ' (nothing of it was sent)' : ''}`
}

/** Of other reasons the detail is but the system's word for the same. */
const explained: ReadonlySet<string> = new Set(['certificate', 'tls', 'invalid'])

/** The whole text, newline included. */
export function whyText(request: RequestView, screen: Screen): string {
  const { id, at, count, client, method, host, target, route, service, attempts, attemptsTotal } = request
  const paint = paintOn(screen)
  const lines = [
    `${paint(safe(id), 'bold')}${gap}${timeText(at)}${gap}from ${safe(client)}`,
    `  ${safe(method)} ${safe(host, 255)}${safe(target, 2_048)}`,
    service === ''
      ? '  no route'
      : `  route ${route === '' ? '(not known)' : safe(route, 512)} to ${serviceText(request)}`,
    `  ${end(request)}`,
  ]
  if (count > 1) lines.push(`  ${count} requests of this id had trouble; this is the last of them`)
  lines.push('')
  if (attempts.length === 0) lines.push('It was sent nowhere.')
  else {
    const rows = attempts.map((attempt, i) => ({ ...attempt, index: i + 1 }))
    lines.push(...(tableLines(rows, columns, screen) ?? rows.flatMap(blockLines)))
    for (const { index, reason, detail = '' } of rows)
      if (explained.has(reason) && detail !== '') lines.push(`${index}: ${safe(detail, 1_024)}`)
    const more = attemptsTotal - attempts.length
    if (more > 0) lines.push(`and ${counted(more, 'more attempt')}`)
  }
  return `${lines.join('\n')}\n`
}

function end({ status, origin, cause, durationMs }: RequestView): string {
  const after = `after ${ms(durationMs)}`
  const why = cause === '' ? '' : `: ${safe(cause)}`
  if (cause !== '' && (origin === 'upstream' || status === 0)) return `cut ${after}, status ${status}${why}`
  if (status === 499) return `the client left ${after} (499)`
  return `answered ${status} by ${origin === 'proxy' ? 'the proxy' : 'the service'} ${after}${why}`
}

function blockLines(attempt: Attempt & { readonly index: number }): readonly string[] {
  const { index, version, startedMs, endedMs, reused } = attempt
  return [
    `${index}. ${endpoint(attempt)}${version === '' ? '' : ` (${safe(version)})`}`,
    `   ${ms(startedMs)} to ${ms(endedMs)}, ${reused ? 'reused' : 'new'} connection`,
    `   ${outcome(attempt)}`,
  ]
}
