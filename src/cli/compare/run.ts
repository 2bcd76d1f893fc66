/** What `fairlead compare` does: ask fabio and the proxy, compare, print. */
import type { Address } from '../../config/config.ts'
import { counted } from '../../core/counted.ts'
import { FairleadError } from '../../core/errors.ts'
import { askAdmin } from '../admin-client.ts'
import { exchange, parsedJson, reasonOf } from '../exchange.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { paintOn, safe, screenOf, type Screen } from '../table-text.ts'
import { fabioAnswer, type FabioTarget, ownAnswer } from './answer.ts'
import { compareTables, type Comparison } from './compare.ts'

export interface CompareOptions {
  /** `http://host:port`, perhaps with a path in front of fabio's own. */
  readonly fabio: string
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

/** The whole output, and whether there is any difference. Rejects with FL_ADMIN. */
export async function compare({ fabio, admin, token, json }: CompareOptions): Promise<{
  readonly text: string
  readonly differs: boolean
}> {
  const [targets, value] = await Promise.all([askFabio(fabio), askAdmin(admin, { path: '/v1/table', token })])
  const comparison = compareTables(targets, knownAnswer(ownAnswer, value))
  const text = json ? jsonText(comparison) : comparisonText(comparison, screenOf())
  return { text, differs: comparison.differences.length > 0 }
}

async function askFabio(base: string): Promise<readonly FabioTarget[]> {
  const { origin, pathname } = new URL(base)
  const path = `${pathname === '/' ? '' : pathname}/api/routes`
  const { status, body } = await exchange({ origin, path }).catch((error: unknown) => {
    const reason = reasonOf(error, 'its admin address has port 9998 unless ui.addr says otherwise')
    throw new FairleadError('FL_ADMIN', `no fabio answers at ${base}: ${reason}`, { cause: error })
  })
  const known = status === 200 ? fabioAnswer.safeParse(parsedJson(body)) : undefined
  if (known?.success) return known.data
  throw new FairleadError('FL_ADMIN', `what answers at ${base} does not have fabio's /api/routes (status ${status})`)
}

/** A block for each place that differs. Pure. */
export function comparisonText({ places, differences }: Comparison, screen: Screen): string {
  const paint = paintOn(screen)
  const lines: string[] = []
  let last: string | undefined
  for (const { place, message } of differences) {
    if (place !== last) lines.push(paint(safe(place.startsWith('/') ? `*${place}` : place, 512), 'bold'))
    last = place
    lines.push(`  ${safe(message, 2_048)}`)
  }
  const compared = counted(places, 'place')
  if (lines.length === 0) return `No differences in ${compared}.\n`
  return `${lines.join('\n')}\n\n${counted(differences.length, 'difference')} in ${compared}\n`
}
