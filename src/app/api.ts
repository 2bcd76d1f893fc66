/** What the status and admin addresses answer, put together from the parts of a proxy. It decides nothing and opens nothing. */
import type { Access } from '../admin/access.ts'
import { endpointActions } from '../admin/endpoints.ts'
import type { ExplainSources } from '../admin/explain.ts'
import { policyActions, type PolicyPlane } from '../admin/policy.ts'
import { type AdminSources, adminRouter, statusAddressRouter } from '../admin/routes.ts'
import type { Clock } from '../core/clock.ts'
import type { Inherit } from '../core/inherit.ts'
import type { Logger } from '../core/log.ts'
import type { DataPlane } from '../proxy/options.ts'
import { createDoors, type Doors } from './doors.ts'
import type { SharedDrains } from './shared-drains.ts'

type Passed = 'metrics' | 'notReady' | 'problems' | 'kills' | 'history' | 'troubles'

export interface ApiOptions extends Pick<AdminSources, Passed> {
  readonly clock: Clock
  readonly log: Logger
  /** Asked first for the sockets; absent: they are new. */
  readonly inherit?: Inherit | undefined
  readonly plane: DataPlane
  readonly access: Access
  readonly drains: SharedDrains
  /** What is in force, for whoever asks about it or changes it. */
  readonly inForce: ExplainSources & PolicyPlane
}

export function createApi(options: ApiOptions): Doors {
  const { clock, log, plane, access, drains, inForce, inherit } = options
  const sources = {
    ...options,
    dataPlane: plane,
    explain: inForce,
    policy: inForce,
    sharing: { drains, clock },
    health: {
      now: () => clock.now(),
      stateOf: plane.healthOf.bind(plane),
      find: ({ key, life }) => plane.stateOf(key, life),
    },
  } satisfies AdminSources
  const endpoints = endpointActions(plane, sources.health, sources.sharing)
  const policies = policyActions(inForce)
  const actions = (path: string): ReturnType<typeof endpoints> => endpoints(path) ?? policies(path)
  return createDoors(
    { status: statusAddressRouter(sources), admin: adminRouter(sources), actions, access, inherit },
    log,
  )
}
