/**
 * The frugal scheme, for any number of services: two streams over the whole catalog tell which services changed, and only
 * those are read. What the streams cannot show (a change of Meta alone wakes them with identical bodies) is found by a
 * sweep: all services read again, at a bounded pace and not too often.
 */
import type { Milliseconds, Timer } from '../../core/clock.ts'
import { backoffMs } from './backoff.ts'
import type { HealthState } from './parse-streams.ts'
import { ReadQueue } from './read-queue.ts'
import { type Scheme, type ServiceReader, serviceKey, streamKey } from './service-reader.ts'
import { watch } from './watch.ts'

const streamRate = { refillMs: 100, refillMaxMs: 15_000 }
/** Together with the streams far below what Consul allows one client. */
const readsAtOnce = 12
const sweepPaceMs: Milliseconds = 4
/** Between two sweeps: this, and five times what the last one took. */
const sweepGapMs: Milliseconds = 1_000
const sweepShare = 5

export class WatchStreams implements Scheme {
  readonly #reader: ServiceReader
  readonly #queue: ReadQueue
  readonly #ended = new AbortController()
  readonly #failures = new Map<string, number>()
  #names: ReadonlySet<string> = new Set()
  #state: HealthState | undefined
  /** Nothing is read before the stream has an index: a change between would be missed, or all be read twice. */
  #begun = false
  #sweepTimer: Timer | undefined
  #sweepDueMs = Infinity
  #sweepStartedMs: Milliseconds | undefined
  #nextSweepMs: Milliseconds = 0

  constructor(reader: ServiceReader) {
    this.#reader = reader
    this.#queue = new ReadQueue({
      clock: reader.clock,
      concurrency: readsAtOnce,
      paceMs: sweepPaceMs,
      read: async (name) => this.#read(name),
      onIdle: () => this.#sweepEnded(),
    })
    void watch({
      clock: reader.clock,
      random: reader.random,
      rate: streamRate,
      signal: this.#ended.signal,
      read: async (index, signal) => reader.readHealthState(index, signal),
      onAnswer: (answer) => {
        this.#tookState(answer.data)
        reader.succeeded(streamKey)
        return undefined
      },
      rest: async (delayMs, signal) => reader.rest(delayMs, signal),
      onFailure: (failure) => {
        reader.failed(streamKey, failure)
        this.#begin()
      },
    })
  }

  follow(names: ReadonlySet<string>): void {
    const before = this.#names
    this.#names = names
    for (const name of before)
      if (!names.has(name)) {
        this.#queue.drop(name)
        this.#failures.delete(name)
        this.#reader.forget(serviceKey(name))
      }
    if (this.#begun) for (const name of names) if (!before.has(name)) this.#queue.push(name, 'urgent')
  }

  catalogMoved(touched: readonly string[]): void {
    this.#readIfFollowed(touched)
    // One wake may carry several changes, so a visible one does not rule out another that is not.
    const nowMs = this.#reader.clock.now()
    this.#planSweep(Math.max(this.#nextSweepMs, touched.length === 0 ? nowMs : nowMs + sweepGapMs))
  }

  stop(): void {
    this.#ended.abort()
    this.#sweepTimer?.clear()
    this.#queue.stop()
    this.#reader.forget(streamKey)
    for (const name of this.#names) this.#reader.forget(serviceKey(name))
  }

  #readIfFollowed(names: Iterable<string>): void {
    for (const name of names) if (this.#names.has(name)) this.#queue.push(name, 'urgent')
  }

  #begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.#readIfFollowed(this.#names)
  }

  #tookState(state: HealthState): void {
    const before = this.#state
    this.#state = state
    if (before === undefined) {
      this.#begun = true
      return this.#readIfFollowed(this.#names)
    }
    this.#readIfFollowed(differing(before.services, state.services))
    for (const node of differing(before.nodes, state.nodes)) this.#readIfFollowed(this.#reader.servicesOnNode(node))
  }

  async #read(name: string): Promise<Milliseconds | undefined> {
    const reader = this.#reader
    const { signal } = this.#ended
    try {
      const answer = await reader.readService(name, undefined, signal)
      if (!this.#isFollowed(name)) return undefined
      const doubt = await reader.takeService(name, answer)
      this.#failures.delete(name)
      if (!this.#isFollowed(name)) return undefined
      if (doubt === undefined) {
        reader.succeeded(serviceKey(name))
        return undefined
      }
      reader.failed(serviceKey(name), { error: new Error(doubt.reason), doubt: true, retryMs: doubt.retryMs })
      return doubt.retryMs
    } catch (error) {
      if (!this.#isFollowed(name)) return undefined
      const failures = (this.#failures.get(name) ?? 0) + 1
      this.#failures.set(name, failures)
      const retryMs = backoffMs(failures, reader.random)
      reader.failed(serviceKey(name), { error, doubt: false, retryMs })
      return retryMs
    }
  }

  #isFollowed(name: string): boolean {
    return !this.#ended.signal.aborted && this.#names.has(name)
  }

  #planSweep(dueMs: Milliseconds): void {
    if (dueMs >= this.#sweepDueMs) return
    this.#sweepDueMs = dueMs
    this.#sweepTimer?.clear()
    const { clock } = this.#reader
    this.#sweepTimer = clock.setTimer(Math.max(0, dueMs - clock.now()), () => this.#sweep())
  }

  #sweep(): void {
    this.#sweepDueMs = Infinity
    const nowMs = this.#reader.clock.now()
    this.#sweepStartedMs = nowMs
    // While this one runs, the next may begin no earlier than it could at best.
    this.#nextSweepMs = nowMs + sweepGapMs + this.#names.size * sweepPaceMs * sweepShare
    for (const name of this.#names) this.#queue.push(name, 'calm')
  }

  #sweepEnded(): void {
    if (this.#sweepStartedMs === undefined) return
    const nowMs = this.#reader.clock.now()
    this.#nextSweepMs = nowMs + Math.max(sweepGapMs, (nowMs - this.#sweepStartedMs) * sweepShare)
    this.#sweepStartedMs = undefined
  }
}

function differing(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Set<string> {
  const names = new Set<string>()
  for (const [name, value] of after) if (before.get(name) !== value) names.add(name)
  for (const name of before.keys()) if (!after.has(name)) names.add(name)
  return names
}
