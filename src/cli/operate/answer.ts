/** The answers of `/v1/endpoints/HANDLE`, checked, as far as the commands show them. */
import { z } from 'zod'
import type { OrderView } from '../../admin/views.ts'

const order: z.ZodType<OrderView> = z.object({
  kind: z.enum(['drain', 'eject']),
  since: z.string(),
  until: z.string().nullable(),
  reason: z.string(),
  by: z.string(),
  document: z.string().nullable(),
})

/** What the commands know of an endpoint. */
export interface Endpoint {
  readonly service: string
  readonly version: string
  readonly endpoint: {
    readonly handle: string
    readonly address: string
    readonly port: number
    readonly status: string
    readonly inFlight: number
    readonly health: { readonly state: string; readonly cause: string | null } | null
    readonly order: OrderView | null
  }
  readonly others: { readonly service: number; readonly version: number }
  /** Where drains that reach every proxy are kept; null: nowhere, and a drain is this proxy's own. */
  readonly everywhere: string | null
  readonly means?: string | undefined
  readonly warnings: readonly string[]
}

/** Reads an answer; what another version's proxy adds is passed over, what it lacks is noticed. */
export const endpointAnswer: z.ZodType<Endpoint> = z.object({
  service: z.string(),
  version: z.string(),
  endpoint: z.object({
    handle: z.string(),
    address: z.string(),
    port: z.number(),
    status: z.string(),
    inFlight: z.number(),
    health: z.object({ state: z.string(), cause: z.string().nullable() }).nullable(),
    order: order.nullable(),
  }),
  others: z.object({ service: z.number(), version: z.number() }),
  everywhere: z.string().nullable(),
  means: z.string().optional(),
  warnings: z.array(z.string()),
})
