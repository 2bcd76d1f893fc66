/**
 * What every handler is given: the store, who we are, and one request. Types only.
 */
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import type { CheckRunner } from './check-runner.ts'
import type { LockDelays } from './lock-delays.ts'
import type { BlockedGate } from './query.ts'
import type { Reply } from './reply.ts'
import type { SessionRunner } from './session-runner.ts'
import type { CatalogStore, Topic } from './store.ts'

export interface Parts {
  readonly store: CatalogStore
  readonly runner: CheckRunner
  readonly sessions: SessionRunner
  readonly delays: LockDelays
  readonly gate: BlockedGate
  readonly nodeName: string
  readonly datacenter: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Where we listen, `host:port`. */
  readonly address: string
}

export interface CatalogRequest {
  readonly method: string
  /** What follows the route's prefix, percent-decoded. */
  readonly rest: string
  readonly query: URLSearchParams
  readonly body: Buffer
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
  /** Waits as the query string asks and answers with the index headers. */
  readonly blocking: (topic: Topic, read: () => Reply) => Promise<Reply>
}

export interface Route {
  /** A prefix if it ends in `/`, else the whole path. */
  readonly path: string
  readonly methods: Readonly<Record<string, (request: CatalogRequest) => Reply | Promise<Reply>>>
}
