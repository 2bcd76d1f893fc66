/** What fabio and a proxy answer about their tables, checked, as far as a comparison reads it. */
import { z } from 'zod'
import type { PartView, RouteOptions, RouteView } from '../../admin/route-view.ts'

/** One target of one route of fabio's (`admin/api/routes.go`). */
export interface FabioTarget {
  readonly service: string
  readonly host: string
  readonly path: string
  /** `http://10.0.0.5:8080/`; where a redirect leads. */
  readonly dst: string
  /** `NAME=VALUE` with blanks between, in no order. */
  readonly opts: string
  /** Its share of the route, 0 to 1. */
  readonly weight: number
}

export interface OwnTable {
  readonly routes: readonly Pick<RouteView, 'host' | 'path' | 'service' | 'origin' | 'options' | 'weights' | 'split'>[]
  readonly services: readonly {
    readonly name: string
    readonly versions: readonly {
      readonly version: string
      readonly weight: number
      readonly endpoints: readonly { readonly address: string; readonly port: number; readonly weight: number }[]
    }[]
  }[]
}

/** A table without routes is `null`. */
export const fabioAnswer: z.ZodType<readonly FabioTarget[]> = z
  .array(
    z.object({
      service: z.string(),
      host: z.string(),
      path: z.string(),
      dst: z.string(),
      opts: z.string().default(''),
      weight: z.number(),
    }),
  )
  .nullable()
  .transform((targets) => targets ?? [])

/** Compared as it comes; which of them there are is the proxy's business. */
const options = z.record(z.string(), z.unknown()) as unknown as z.ZodType<RouteOptions>

const part: z.ZodType<PartView> = z.object({
  service: z.string(),
  version: z.string().nullable(),
  weight: z.number(),
  share: z.number(),
  standby: z.literal(true).exactOptional(),
  options: options.exactOptional(),
  instances: z.record(z.string(), z.number()).exactOptional(),
})

export const ownAnswer: z.ZodType<OwnTable> = z.object({
  routes: z.array(
    z.object({
      host: z.string(),
      path: z.string(),
      service: z.string(),
      origin: z.string(),
      options: options.exactOptional(),
      weights: z.record(z.string(), z.number()).exactOptional(),
      split: z.array(part).exactOptional(),
    }),
  ),
  services: z.array(
    z.object({
      name: z.string(),
      versions: z.array(
        z.object({
          version: z.string(),
          weight: z.number(),
          endpoints: z.array(z.object({ address: z.string(), port: z.number(), weight: z.number() })),
        }),
      ),
    }),
  ),
})
