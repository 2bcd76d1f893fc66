/** The answer of `/v1/kills`, checked: what another version's proxy adds is passed over, what it lacks is noticed. */
import { z } from 'zod'
import type { KillsView } from '../../admin/kill-views.ts'

const count = z.number()

function countsByName(value: unknown): Readonly<Record<string, number>> {
  const counts: Record<string, number> = Object.create(null)
  if (typeof value !== 'object' || value === null) return counts
  for (const [name, many] of Object.entries(value)) if (typeof many === 'number') counts[name] = many
  return counts
}

const lostRequest = z.object({
  id: z.string(),
  method: z.string(),
  reason: z.string(),
  unsent: z.boolean(),
  afterMs: z.number(),
})

const kill = z.object({
  id: z.string(),
  at: z.string(),
  service: z.string(),
  version: z.string(),
  handle: z.string(),
  address: z.string(),
  port: z.number(),
  signal: z.string(),
  proven: z.boolean(),
  provenBy: z.object({ cause: z.string(), afterMs: z.number() }).nullable(),
  applied: z.boolean(),
  inFlight: count,
  rescued: count,
  retried: count,
  retriedUnsent: count,
  lost: z.object({
    total: count,
    // Not by zod's record, which leaves out `__proto__`: a method is any token.
    byMethod: z.unknown().transform(countsByName),
    requests: z.array(lostRequest),
  }),
  recovery: z.object({ kind: z.string(), afterMs: z.number() }).nullable(),
  consulKnewAfterMs: z.number().nullable(),
})

const stray = z.object({
  at: z.string(),
  service: z.string(),
  version: z.string(),
  handle: z.string(),
  id: z.string(),
  method: z.string(),
  reason: z.string(),
  unsent: z.boolean(),
})

/** Reads an answer; what it makes holds only what stands here. */
export const killsAnswer: z.ZodType<KillsView> = z.object({
  totals: z.object({
    deaths: count,
    observedDeaths: count,
    rescued: count,
    retried: count,
    retriedUnsent: count,
    lost: count,
    strayLost: count,
    strayRescued: count,
  }),
  strays: z.array(stray),
  kills: z.array(kill),
})
