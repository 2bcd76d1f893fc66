/** The answers of `/v1/table` and `/v1/services/NAME`, checked, as far as `fairlead status` shows them. */
import { z } from 'zod'
import type { MirroringView, OwnWeightsView, SharesView } from '../../admin/shared-view.ts'
import type { SteeringView } from '../../admin/steering-view.ts'
import type { EndpointHealth, EndpointView, OrderView } from '../../admin/views.ts'

export interface EndpointStatus extends Pick<
  EndpointView,
  'handle' | 'address' | 'port' | 'status' | 'weight' | 'inFlight'
> {
  readonly health: Pick<EndpointHealth, 'state' | 'cause' | 'applied'> | null
  readonly order: Pick<OrderView, 'kind' | 'until' | 'by'> | null
  readonly pipeliningPause: string | null
}

interface BareService {
  readonly name: string
  readonly inFlight: number
  readonly steering: SteeringView
  readonly shared: readonly SharesView[]
  readonly ownWeights: readonly OwnWeightsView[]
  readonly mirrorings: readonly MirroringView[]
  readonly versions: readonly {
    readonly version: string
    readonly weight: number
    readonly share: number
    readonly endpoints: readonly EndpointStatus[]
  }[]
}

export interface ServiceStatus extends BareService {
  /** In order of precedence, such as `shop.example.com/cart`; `/` for any host. */
  readonly routes: readonly string[]
}

export interface TableStatus {
  readonly version: number
  readonly problems: number
  readonly routes: number
  readonly services: readonly ServiceStatus[]
}

const endpoint: z.ZodType<EndpointStatus> = z.object({
  handle: z.string(),
  address: z.string(),
  port: z.number(),
  status: z.string(),
  weight: z.number(),
  inFlight: z.number(),
  health: z.object({ state: z.string(), cause: z.string().nullable(), applied: z.boolean() }).nullable(),
  order: z.object({ kind: z.enum(['drain', 'eject']), until: z.string().nullable(), by: z.string() }).nullable(),
  pipeliningPause: z.string().nullable(),
})

const steering: z.ZodType<SteeringView> = z.object({
  weights: z.object({
    origin: z.string(),
    by: z.string().nullable(),
    revision: z.number().nullable(),
    over: z.array(z.string()),
  }),
  rules: z.number(),
  sticky: z.string().nullable(),
  fallback: z.enum(['others', 'none']),
})

const part = z.object({
  service: z.string(),
  version: z.string().nullable(),
  standby: z.boolean(),
  share: z.number(),
})

const bare = {
  name: z.string(),
  inFlight: z.number(),
  steering,
  shared: z.array(z.object({ routes: z.array(z.string()), parts: z.array(part), unanswered: z.number() })),
  ownWeights: z.array(
    z.object({
      routes: z.array(z.string()),
      versions: z.array(z.object({ version: z.string(), share: z.number() })),
    }),
  ),
  mirrorings: z.array(z.object({ routes: z.array(z.string()), version: z.string(), share: z.number() })),
  versions: z.array(
    z.object({ version: z.string(), weight: z.number(), share: z.number(), endpoints: z.array(endpoint) }),
  ),
}

export const serviceAnswer: z.ZodType<ServiceStatus> = z.object({ ...bare, routes: z.array(z.string()) })

const route = z.object({
  host: z.string(),
  path: z.string(),
  service: z.string(),
  split: z.array(z.object({ service: z.string() })).exactOptional(),
})

/** With each service's routes beside it. */
export const tableAnswer: z.ZodType<TableStatus> = z
  .object({
    version: z.number(),
    problems: z.number(),
    routes: z.array(route),
    services: z.array(z.object(bare)),
  })
  .transform(({ version, problems, routes, services }) => {
    const places = new Map<string, string[]>()
    for (const { host, path, service, split } of routes) {
      for (const name of split ? new Set(split.map((part) => part.service)) : [service]) {
        const known = places.get(name)
        if (known) known.push(`${host}${path}`)
        else places.set(name, [`${host}${path}`])
      }
    }
    return {
      version,
      problems,
      routes: routes.length,
      services: services.map((one) => ({ ...one, routes: places.get(one.name) ?? [] })),
    }
  })
