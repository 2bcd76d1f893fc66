/**
 * What both ways of following services need from their source: to read one, to hand over what was read, to report how it
 * went. The port between the schemes and the source; it holds nothing.
 */
import type { Clock, Milliseconds } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { Answer } from './consul-client.ts'
import type { ParsedService } from './parse.ts'
import type { HealthState } from './parse-streams.ts'
import type { Doubt } from './watch.ts'

export interface Failure {
  readonly error: unknown
  /** The answer was good and is not believed. */
  readonly doubt: boolean
  readonly retryMs: Milliseconds
}

export interface ServiceReader {
  readonly clock: Clock
  readonly random: Random
  /** The wait of a stream after a failure: it ends early when another succeeds again. */
  rest(delayMs: Milliseconds, signal: AbortSignal): Promise<void>
  /** Waits for a change after `index`, or answers at once without one. */
  readService(name: string, index: bigint | undefined, signal: AbortSignal): Promise<Answer<ParsedService>>
  readHealthState(index: bigint | undefined, signal: AbortSignal): Promise<Answer<HealthState>>
  /** Judges and takes over; an answer that is not believed comes back as a doubt. */
  takeService(name: string, answer: Answer<ParsedService>): Promise<Doubt | undefined>
  /** The stream or read called `key` failed; it stands as failed until it succeeds or is forgotten. */
  failed(key: string, failure: Failure): void
  succeeded(key: string): void
  forget(key: string): void
  /** Services that have an instance on this node, as far as is known. */
  servicesOnNode(node: string): readonly string[]
}

/** A way of following services. Ends by {@link stop}; nothing is handed over afterwards. */
export interface Scheme {
  /** The services to follow from now on; each exists in the catalog. */
  follow(names: ReadonlySet<string>): void
  /** The catalog stream moved; `touched` are services that came, went or changed tags. */
  catalogMoved(touched: readonly string[]): void
  stop(): void
}

/** The key under which a service's failures are reported. */
export function serviceKey(name: string): string {
  return `service ${name}`
}

/** The key under which the health stream's failures are reported. */
export const streamKey = 'health stream'
