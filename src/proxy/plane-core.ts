/** What an exchange needs of the data plane it runs in; types only, so that the two do not import each other. */
import type { Random } from '../core/random.ts'
import type { HealthEvent } from '../health/event.ts'
import type { HealthJudge } from '../health/port.ts'
import type { Registry } from '../live/registry.ts'
import type { BoundGroup, BoundService, BoundTable, EndpointState } from '../live/runtime.ts'
import type { Endpoint } from '../table/table.ts'
import type { Deadlines } from '../wire/deadlines.ts'
import type { Failure } from '../wire/failure.ts'
import type { WireLimits } from '../wire/limits.ts'
import type { ErrorPage } from './answers.ts'
import type { Mirrors } from './mirror.ts'
import type { DataPlaneObserver, Trouble } from './options.ts'
import type { ReplayAccount } from './replay-body.ts'
import type { Suspicion } from './suspicion.ts'
import type { Turns } from './turns.ts'

/** What became of a request at an endpoint; the rest of the event is the plane's to say. */
export type Outcome = Omit<Extract<HealthEvent, { kind: 'outcome' }>, 'kind' | 'endpoint' | 'nowMs'>

export interface PlaneCore {
  /** The table of this moment. */
  readonly bound: BoundTable
  readonly registry: Registry
  readonly random: Random
  readonly deadlines: Deadlines
  readonly limits: WireLimits
  readonly observer: DataPlaneObserver | undefined
  readonly health: HealthJudge
  readonly replay: ReplayAccount
  readonly mirrors: Mirrors
  readonly turns: Turns
  readonly errorPages: ReadonlyMap<number, ErrorPage>
  /** Unique among all processes, for all practical purposes. */
  nextRequestId(): string
  /** `Date: …` with its CRLF. */
  dateLine(): string
  /** An attempt failed and has let go of the endpoint: health is told, unless it was our own lack. */
  attemptFailed(state: EndpointState, failure: Failure): void
  /** Which of the requests that `state` held when it broke may be why it broke. */
  suspicion(state: EndpointState): Suspicion
  tellOutcome(endpoint: Endpoint, outcome: Outcome): void
  tellTrouble(trouble: Trouble): void
  /** Counts one finished request. */
  count(
    service: BoundService | undefined,
    group: BoundGroup | undefined,
    status: number,
    origin: 'upstream' | 'proxy',
    durationMs: number,
  ): void
}
