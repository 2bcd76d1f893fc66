/** What `fairlead why` does: one question to the proxy, one text for whoever asked. */
import { z } from 'zod'
import type { RequestView } from '../../admin/request-view.ts'
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { screenOf } from '../table-text.ts'
import { whyText } from './text.ts'

export interface WhyOptions {
  readonly requestId: string
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

/** Reads an answer; what another version's proxy adds is passed over, what it lacks is noticed. */
export const requestAnswer: z.ZodType<RequestView> = z.object({
  id: z.string(),
  at: z.string(),
  count: z.number(),
  client: z.string(),
  method: z.string(),
  host: z.string(),
  target: z.string(),
  route: z.string(),
  service: z.string(),
  version: z.string(),
  status: z.number(),
  origin: z.string(),
  cause: z.string(),
  durationMs: z.number(),
  attemptsTotal: z.number(),
  attempts: z.array(
    z.object({
      handle: z.string(),
      address: z.string(),
      port: z.number(),
      version: z.string(),
      startedMs: z.number(),
      endedMs: z.number(),
      outcome: z.string(),
      reason: z.string(),
      detail: z.string().optional(),
      reused: z.boolean(),
      unsent: z.boolean(),
    }),
  ),
})

/** The whole output. Rejects with FL_ADMIN. */
export async function why({ requestId, admin, token, json }: WhyOptions): Promise<string> {
  const value = await askAdmin(admin, { path: `/v1/requests/${encodeURIComponent(requestId)}`, token })
  const answer = knownAnswer(requestAnswer, value)
  return json ? jsonText(value) : whyText(answer, screenOf())
}
