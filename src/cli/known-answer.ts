/** Reads what a proxy answered, as far as a command needs it. */
import type { z } from 'zod'
import { FairleadError } from '../core/errors.ts'
import { escapeJsonLine } from '../telemetry/escape.ts'

/** Rejects with FL_ADMIN where the answer lacks what the command knows. */
export function knownAnswer<T>(schema: z.ZodType<T>, value: unknown): T {
  const answer = schema.safeParse(value)
  if (answer.success) return answer.data
  throw new FairleadError(
    'FL_ADMIN',
    'the proxy answers in a form that this command does not know; is it another version?',
  )
}

/** What a proxy answered, for `--json`: the same JSON, with nothing in it that would steer a terminal. */
export const jsonText = (value: unknown): string => `${escapeJsonLine(JSON.stringify(value, undefined, 2))}\n`

/** The same on one line. */
export const jsonLine = (value: unknown): string => `${escapeJsonLine(JSON.stringify(value))}\n`
