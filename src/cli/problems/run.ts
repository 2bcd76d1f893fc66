/** What `fairlead problems` does: one question to the proxy, one text for whoever asked. */
import { z } from 'zod'
import type { Address } from '../../config/config.ts'
import { counted } from '../../core/counted.ts'
import { type Problem, problemCount } from '../../core/problem.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { paintOn, safe, screenOf, type Screen } from '../table-text.ts'

export interface ProblemsOptions {
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

const problemsAnswer: z.ZodType<{ readonly problems: readonly Problem[] }> = z.object({
  problems: z.array(
    z.object({ code: z.string(), where: z.string(), message: z.string(), notice: z.literal(true).optional() }),
  ),
})

/** The whole output, and how many there are. Rejects with FL_ADMIN. */
export async function problems(options: ProblemsOptions): Promise<{ readonly text: string; readonly count: number }> {
  const { admin, token, json } = options
  const value = await askAdmin(admin, { path: '/v1/problems', token })
  const found = knownAnswer(problemsAnswer, value).problems
  return { text: json ? jsonText(value) : problemsText(found, screenOf()), count: problemCount(found) }
}

/** A block for each: its code, where it is, and below what it is. Pure. */
export function problemsText(found: readonly Problem[], screen: Screen): string {
  if (found.length === 0) return 'No problems.\n'
  const paint = paintOn(screen)
  const blocks = found.map(
    ({ code, where, message, notice }) =>
      `${notice ? `notice ${safe(code)}` : paint(safe(code), 'yellow')}  ${safe(where, 512)}\n  ${safe(message, 2_048)}\n`,
  )
  return `${blocks.join('')}\n${counted(problemCount(found), 'problem')}\n`
}
