/** What `fairlead what-if` does: one question to the proxy, one text for whoever asked. */
import { z } from 'zod'
import type { NowAfter, WhatIfEndpoint, WhatIfView } from '../../admin/what-if.ts'
import type { Address } from '../../config/config.ts'
import { askAdmin } from '../admin-client.ts'
import { jsonText, knownAnswer } from '../known-answer.ts'
import { percent, routesText, safe, safeLong, serviceText } from '../table-text.ts'

export interface WhatIfOptions {
  readonly service: string
  readonly without: string | undefined
  readonly split: string | undefined
  readonly admin: Address
  readonly token: string | undefined
  readonly json: boolean
}

const both = { now: z.number(), after: z.number() }
const endpoint = z.object({ handle: z.string(), address: z.string(), version: z.string(), ...both })
const part = z.object({
  service: z.string(),
  version: z.string().nullable(),
  standby: z.boolean(),
  endpoints: z.array(endpoint),
  ...both,
})
const whatIfSchema: z.ZodType<WhatIfView> = z.object({
  service: z.string(),
  versions: z.array(z.object({ version: z.string(), ...both })),
  endpoints: z.array(endpoint),
  unanswered: z.object(both),
  shared: z.array(z.object({ routes: z.array(z.string()), parts: z.array(part), unanswered: z.object(both) })),
  warnings: z.array(z.string()),
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

/** A line for each version and below it for each of its endpoints; the same for the parts of routes that services share. Pure. */
export function whatIfText({ service, versions, endpoints, unanswered, shared, warnings }: WhatIfView): string {
  const own = versions.flatMap((one) => [
    changeLine(one, one.version === '' ? '(no version)' : safe(one.version)),
    ...endpointLines(endpoints.filter(({ version }) => version === one.version)),
  ])
  const others = shared.flatMap(({ routes, parts, unanswered: none }) => [
    `of those to ${routesText(routes)}, where others share with it or stand by:`,
    ...parts.flatMap((one) => [
      changeLine(
        one,
        `${serviceText({ service: one.service, version: one.version ?? '' })}${one.standby ? ' (stands by)' : ''}`,
      ),
      ...endpointLines(one.endpoints),
    ]),
    ...unansweredLines(none, 'answered 503'),
  ])
  const lines = [
    `${safe(service)}, of its requests that no rule decides, by weight`,
    ...own,
    ...unansweredLines(unanswered, shared.length > 0 ? 'nobody of it: see below' : 'answered 503'),
    ...others,
    ...warnings.map((warning) => `  warning: ${safeLong(warning)}`),
  ]
  return `${lines.join('\n')}\n`
}

function changeLine({ now, after }: NowAfter, what: string): string {
  return `  ${percent(now).padStart(7)} -> ${percent(after).padStart(7)}  ${what}`
}

function endpointLines(endpoints: readonly WhatIfEndpoint[]): readonly string[] {
  return endpoints.map((one) => changeLine(one, `  ${safe(one.handle)} ${safe(one.address)}`))
}

function unansweredLines(unanswered: NowAfter, what: string): readonly string[] {
  return unanswered.now > 0 || unanswered.after > 0 ? [changeLine(unanswered, what)] : []
}
