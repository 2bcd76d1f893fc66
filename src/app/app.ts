/** A proxy as whoever runs it has it, and what it is given. Types only. */
import type { Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import type { CopySocket } from '../core/inherit.ts'
import type { Random } from '../core/random.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { DataPlane, ListenerAddress } from '../proxy/options.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { AppLogger } from '../telemetry/log.ts'
import type { ConfigStanding } from './standing.ts'
import type { RunningProxy } from './take-over.ts'

export interface AppDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: AppLogger
  readonly accessLog: AccessLog
  /** Version of this program. */
  readonly version: string
  /** Requests run in other processes; absent: in this one. */
  readonly fleet?: FleetOfWorkers
  /** A proxy that runs, and that this one takes over from once it serves; absent: there is none. */
  readonly running?: RunningProxy | undefined
  /** Absent: each listener has its socket once. */
  readonly copySocket?: CopySocket
}

/** What the composition needs of worker processes. */
export type FleetOfWorkers = Pick<Fleet, 'createPlane' | 'open' | 'notReady' | 'refresh' | 'figures'>

export interface AppAddresses {
  readonly listeners: readonly ListenerAddress[]
  readonly status: string | undefined
  readonly admin: string | undefined
}

export interface App {
  /** Resolves when requests are taken, or when `stop` came first. Rejects with a FairleadError. Called once. */
  start(): Promise<void>
  /** Applies what changed without dropping a request. Rejects when it cannot, and then everything is as before. */
  reload(config: Config): Promise<void>
  /** To be told what of the configuration file is not in force, and asked for it; what `reload` does it knows. */
  readonly standing: Pick<ConfigStanding, 'refused' | 'restartFor'>
  addresses(): AppAddresses
  /** Why it is not ready, a sentence each; empty: it is. */
  notReady(): readonly string[]
  /** Names of catalogs that do not answer now, or have not yet. */
  unseen(): readonly string[]
  dataPlane(): DataPlane
  /**
   * Leaves what another process is to have: status and admin addresses, the state folder, the registration. Resolves when they
   * are free; `stop` is to follow.
   */
  retire(): Promise<void>
  /** Ends gently: lame duck, drain, the rest. Idempotent; resolves when all is closed. */
  stop(): Promise<void>
}
