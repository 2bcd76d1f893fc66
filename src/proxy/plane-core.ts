/** What an exchange needs of the data plane it runs in; types only, so that the two do not import each other. */
import type { Random } from '../core/random.ts'
import type { Registry } from '../live/registry.ts'
import type { BoundGroup, BoundService, BoundTable } from '../live/runtime.ts'
import type { Deadlines } from '../wire/deadlines.ts'
import type { ErrorPage } from './answers.ts'
import type { DataPlaneObserver } from './options.ts'

export interface PlaneCore {
  /** The table of this moment. */
  readonly bound: BoundTable
  readonly registry: Registry
  readonly random: Random
  readonly deadlines: Deadlines
  readonly observer: DataPlaneObserver | undefined
  readonly errorPages: ReadonlyMap<number, ErrorPage>
  /** Unique among all processes, for all practical purposes. */
  nextRequestId(): string
  /** `Date: …` with its CRLF. */
  dateLine(): string
  /** Counts one finished request. */
  count(
    service: BoundService | undefined,
    group: BoundGroup | undefined,
    status: number,
    origin: 'upstream' | 'proxy',
    durationMs: number,
  ): void
}
