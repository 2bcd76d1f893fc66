/** The answers to `split` and `rollback`, checked, as far as the commands show them. */
import { z } from 'zod'
import type { RollbackView } from '../../admin/rollback-view.ts'
import type { SharedChange } from '../../admin/shared-then.ts'

export interface Share {
  readonly version: string
  readonly weight: number
  readonly share: number
  readonly instances: number
}

export interface PolicyChange {
  readonly service: string
  readonly before: readonly Share[]
  readonly after: readonly Share[]
  /** A proxy of an earlier release does not say it. */
  readonly shared?: readonly SharedChange[] | undefined
  readonly weightsBefore: Readonly<Record<string, number>> | null
  readonly modifyIndex: number
  readonly written?:
    { readonly revision: number; readonly by: string; readonly undo?: number | null | undefined } | undefined
  /** Whom it concerns and whom not, a sentence each. */
  readonly affected: readonly string[]
  /** Settings besides the weights that it changes, as JSON; null: unset. */
  readonly changes: readonly { readonly key: string; readonly before: string | null; readonly after: string | null }[]
  readonly warnings: readonly string[]
  /** A proxy of an earlier release does not say it. */
  readonly rollback?: RollbackView | undefined
}

const share: z.ZodType<Share> = z.object({
  version: z.string(),
  weight: z.number(),
  share: z.number(),
  instances: z.number(),
})

const revision = { revision: z.number(), by: z.string(), at: z.string(), reason: z.string() }
const rollback: z.ZodType<RollbackView> = z.object({
  reapplies: z.object(revision).nullable(),
  undoes: z.object({ ...revision, wentBackTo: z.number().nullable() }).nullable(),
  earlier: z.array(z.object(revision)),
})

export const policyAnswer: z.ZodType<PolicyChange> = z.object({
  service: z.string(),
  before: z.array(share),
  after: z.array(share),
  shared: z
    .array(
      z.object({
        routes: z.array(z.string()),
        shares: z.array(
          z.object({ service: z.string(), version: z.string().nullable(), now: z.number(), after: z.number() }),
        ),
        unanswered: z.object({ now: z.number(), after: z.number() }),
      }),
    )
    .optional(),
  weightsBefore: z.record(z.string(), z.number()).nullable(),
  modifyIndex: z.number(),
  written: z.object({ revision: z.number(), by: z.string(), undo: z.number().nullish() }).optional(),
  affected: z.array(z.string()),
  changes: z.array(z.object({ key: z.string(), before: z.string().nullable(), after: z.string().nullable() })),
  warnings: z.array(z.string()),
  rollback: rollback.optional(),
})
