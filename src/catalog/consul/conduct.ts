/**
 * What a source says of itself: waiting, current or stale, with the reason that matters most, said once. It keeps which
 * streams fail at the moment and when trouble was last; it does nothing about either. A service that cannot be read while all
 * else is well is that service's trouble and not the source's.
 */
import type { Clock, Milliseconds } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import type { SourceState } from '../source.ts'
import type { Failure } from './service-reader.ts'
import { UnreadableService } from './unreadable.ts'

/** The key of the stream that everything else stands on; its failure is the one to show. */
export const catalogKey = 'catalog'

export class Conduct {
  readonly #shown: string
  readonly #clock: Clock
  readonly #emit: (state: SourceState) => void
  readonly #failing = new Map<string, { readonly reason: string; readonly doubt: boolean }>()
  readonly #attempts = new Map<string, number>()
  /** Streams that fail by themselves: when last, and what was answered. */
  readonly #alone = new Map<string, { readonly atMs: Milliseconds; readonly reason: string }>()
  #said = ''
  #published = false
  #troubleMs: Milliseconds | undefined
  #successMs: Milliseconds | undefined

  /** `shown` is the address for people; `emit` is called on change only. */
  constructor(shown: string, clock: Clock, emit: (state: SourceState) => void) {
    this.#shown = shown
    this.#clock = clock
    this.#emit = emit
  }

  /** When a request last failed, on the injected clock, but for those that failed by themselves. */
  get troubleMs(): Milliseconds | undefined {
    return this.#troubleMs
  }

  /** As {@link troubleMs}, with what this stream alone had. */
  troubleMsOf(key: string): Milliseconds | undefined {
    const own = this.#alone.get(key)?.atMs
    return own === undefined || (this.#troubleMs ?? own) > own ? this.#troubleMs : own
  }

  /** Why this stream fails by itself, in words that stay the same from try to try; undefined: it does not. */
  aloneReason(key: string): string | undefined {
    return this.#failing.has(key) ? undefined : this.#alone.get(key)?.reason
  }

  get successMs(): Milliseconds | undefined {
    return this.#successMs
  }

  /** Failures and doubts in a row of this stream. */
  attempts(key: string): number {
    return this.#attempts.get(key) ?? 0
  }

  /** The reason why this stream fails now, if it does. */
  reason(key: string): string | undefined {
    return this.#failing.get(key)?.reason
  }

  failed(key: string, failure: Failure): void {
    this.#attempts.set(key, this.attempts(key) + 1)
    const what = `Consul at ${this.#shown}: ${errorText(failure.error)}`
    if (failure.error instanceof UnreadableService) {
      this.#failing.delete(key)
      this.#alone.set(key, { atMs: this.#clock.now(), reason: what })
      this.say()
      return
    }
    if (!failure.doubt) this.#troubleMs = this.#clock.now()
    const reason = `${what}; next try in ${(failure.retryMs / 1000).toFixed(1)} s`
    this.#failing.set(key, { reason, doubt: failure.doubt })
    this.say()
  }

  /** Returns whether this stream had failed until now. */
  succeeded(key: string): boolean {
    this.#successMs = this.#clock.now()
    const recovered = this.#failing.has(key)
    this.forget(key)
    return recovered
  }

  forget(key: string): void {
    this.#attempts.delete(key)
    this.#alone.delete(key)
    if (this.#failing.delete(key)) this.say()
  }

  /** From the first snapshot on, failing means stale and not waiting. */
  published(): void {
    this.#published = true
    this.say()
  }

  say(): void {
    const state = this.#state()
    const text = `${state.kind} ${'reason' in state ? state.reason : ''}`
    if (text === this.#said) return
    this.#said = text
    this.#emit(state)
  }

  #state(): SourceState {
    const first = this.#first()
    if (this.#published) {
      if (first === undefined) return { kind: 'current' }
      const { reason, doubt } = first
      return doubt ? { kind: 'stale', reason, cause: 'not-believed' } : { kind: 'stale', reason }
    }
    if (first !== undefined) return { kind: 'waiting', reason: first.reason }
    return { kind: 'waiting', reason: `Consul at ${this.#shown} has not answered yet`, fresh: true }
  }

  /** The one to show: an answer that is only not believed comes behind those that did not come. */
  #first(): { readonly reason: string; readonly doubt: boolean } | undefined {
    const catalog = this.#failing.get(catalogKey)
    if (catalog) return catalog
    let doubted: { readonly reason: string; readonly doubt: boolean } | undefined
    for (const failing of this.#failing.values()) {
      if (!failing.doubt) return failing
      doubted ??= failing
    }
    return doubted
  }
}
