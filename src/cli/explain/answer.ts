/** The answer of `/v1/explain`, checked, as far as the command shows it. */
import { z } from 'zod'
import type { ExplainAnswer } from '../../admin/explain.ts'

export const explainAnswer: z.ZodType<ExplainAnswer> = z.object({
  request: z.object({ method: z.string(), host: z.string(), path: z.string(), client: z.string() }),
  routes: z.array(
    z.object({ route: z.string(), origin: z.string(), leadsTo: z.string(), taken: z.boolean(), why: z.string() }),
  ),
  otherRoutes: z.number(),
  rules: z.array(
    z.object({
      leadsTo: z.string(),
      matches: z.boolean().nullable(),
      conditions: z.array(z.object({ text: z.string(), holds: z.boolean() })),
    }),
  ),
  service: z.string().nullable(),
  sticky: z.object({ by: z.string(), key: z.string(), isNew: z.boolean() }).nullable(),
  mirror: z.object({ version: z.string(), share: z.number(), applies: z.boolean(), why: z.string() }).nullable(),
  onward: z
    .object({ target: z.string(), host: z.string().nullable() })
    .nullish()
    .transform((one) => one ?? null),
  fallback: z.enum(['others', 'none']),
  balance: z.string().nullable(),
  instance: z.object({ by: z.string(), key: z.string(), handle: z.string() }).nullable(),
  versions: z.array(
    z.object({
      service: z.string(),
      version: z.string(),
      weight: z.number(),
      share: z.number(),
      chosen: z.boolean(),
      instance: z.object({
        handle: z.string().nullable(),
        tie: z.object({ by: z.string(), key: z.string() }).nullable(),
        why: z.string(),
      }),
      endpoints: z.array(
        z.object({
          handle: z.string(),
          address: z.string(),
          usable: z.boolean(),
          why: z.string(),
          weight: z.number(),
          inFlight: z.number(),
        }),
      ),
    }),
  ),
  result: z.string(),
  origins: z.array(z.string()),
})
