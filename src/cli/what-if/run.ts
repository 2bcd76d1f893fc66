/** What `fairlead what-if` does: one question to the proxy, one text for whoever asked. */
import { z } from 'zod'
import type { WhatIfView } from '../../admin/what-if.ts'
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { percent, safe } from '../table-text.ts'

export interface WhatIfOptions {
  readonly service: string
  readonly without: string | undefined
  readonly split: string | undefined
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

const both = { now: z.number(), after: z.number() }
const whatIfSchema: z.ZodType<WhatIfView> = z.object({
  service: z.string(),
  versions: z.array(z.object({ version: z.string(), ...both })),
  endpoints: z.array(z.object({ handle: z.string(), address: z.string(), version: z.string(), ...both })),
  unanswered: z.object(both),
})

/** The whole output. Rejects with FL_ADMIN. */
export async function whatIf({ service, without, split, admin, token, json }: WhatIfOptions): Promise<string> {
  const query = new URLSearchParams({ service })
  if (without !== undefined) query.set('without', without)
  if (split !== undefined) query.set('split', split)
  const value = await askAdmin(admin, { path: `/v1/what-if?${query.toString()}`, token })
  const answer = knownAnswer(whatIfSchema, value)
  return json ? jsonText(value) : whatIfText(answer)
}

/** A line for each version and below it for each of its endpoints. Pure. */
export function whatIfText({ service, versions, endpoints, unanswered }: WhatIfView): string {
  const change = ({ now, after }: { readonly now: number; readonly after: number }): string =>
    `${percent(now).padStart(7)} -> ${percent(after).padStart(7)}`
  const lines = versions.flatMap((one) => [
    `  ${change(one)}  ${one.version === '' ? '(no version)' : safe(one.version)}`,
    ...endpoints
      .filter(({ version }) => version === one.version)
      .map((each) => `  ${change(each)}    ${safe(each.handle)} ${safe(each.address)}`),
  ])
  if (unanswered.now > 0 || unanswered.after > 0) lines.push(`  ${change(unanswered)}  answered 503`)
  return `${safe(service)}, of its requests that no rule decides, by weight\n${lines.join('\n')}\n`
}
