/**
 * Keeps the latest requests that had trouble, for whoever asks what happened to one: two shelves, since retries and clients
 * that left are ordinary, and many, and must not push out what failed. Both are bounded in number and size and give up the
 * oldest. It listens only.
 */
import type { Clock } from '../core/clock.ts'
import type { AttemptRecord, Trouble } from '../proxy/options.ts'
import { ownCopy } from './kill-record.ts'

export interface TroubledRequest {
  readonly requestId: string
  /** Wall clock at its first byte, ms. */
  readonly atMs: number
  /** Requests of this id that had trouble and were seen in a row without the ring forgetting it; this is the last. */
  readonly count: number
  readonly clientAddress: string
  readonly method: string
  readonly host: string
  readonly target: string
  readonly route: string
  readonly status: number
  readonly origin: 'upstream' | 'proxy'
  readonly service: string
  readonly version: string
  readonly cause: string
  readonly durationMs: number
  /** All there were; {@link attempts} may lack the last ones. */
  readonly attemptsTotal: number
  readonly attempts: readonly AttemptRecord[]
}

export interface TroubleRingOptions {
  readonly clock: Pick<Clock, 'wall'>
  /** On each shelf; 1,000 by default. */
  readonly entriesMax?: number
  /** Characters on each shelf, about; a million by default. */
  readonly charsMax?: number
}

export interface TroubleRing {
  add(trouble: Trouble): void
  find(requestId: string): TroubledRequest | undefined
  /** How many are kept, and since when (wall clock, ms; undefined: none is). */
  kept(): { readonly requests: number; readonly sinceMs: number | undefined }
}

export function createTroubleRing(options: TroubleRingOptions): TroubleRing {
  return new Ring(options)
}

/** In the order of arrival. */
class Shelf {
  readonly entries = new Map<string, TroubledRequest>()
  readonly #entriesMax: number
  readonly #charsMax: number
  #chars = 0

  constructor(entriesMax: number, charsMax: number) {
    this.#entriesMax = entriesMax
    this.#charsMax = charsMax
  }

  put(entry: TroubledRequest): void {
    this.entries.set(entry.requestId, entry)
    this.#chars += charsOf(entry)
    for (const oldest of this.entries.values()) {
      if (this.entries.size <= this.#entriesMax && this.#chars <= this.#charsMax) return
      this.take(oldest.requestId)
    }
  }

  take(requestId: string): TroubledRequest | undefined {
    const entry = this.entries.get(requestId)
    if (!entry) return undefined
    this.entries.delete(requestId)
    this.#chars -= charsOf(entry)
    return entry
  }
}

class Ring implements TroubleRing {
  readonly #clock: TroubleRingOptions['clock']
  readonly #failed: Shelf
  readonly #ordinary: Shelf

  constructor({ clock, entriesMax = 1_000, charsMax = 1_000_000 }: TroubleRingOptions) {
    this.#clock = clock
    this.#failed = new Shelf(entriesMax, charsMax)
    this.#ordinary = new Shelf(entriesMax, charsMax)
  }

  add({ record, route, attempts }: Trouble): void {
    const { status, origin, service, version, durationMs } = record
    const requestId = ownCopy(record.requestId, 128)
    const before = this.#failed.take(requestId) ?? this.#ordinary.take(requestId)
    const { cause } = record
    const shelf = cause === '' || cause === 'client-gone' ? this.#ordinary : this.#failed
    shelf.put({
      requestId,
      atMs: this.#clock.wall() - durationMs,
      count: (before?.count ?? 0) + 1,
      clientAddress: record.clientAddress,
      method: ownCopy(record.method, 32),
      host: ownCopy(record.host, 255),
      target: ownCopy(record.target, 1_024),
      route: ownCopy(route, 512),
      status,
      origin,
      service,
      version,
      cause,
      durationMs,
      attemptsTotal: record.attempts,
      attempts,
    })
  }

  find(requestId: string): TroubledRequest | undefined {
    return this.#failed.entries.get(requestId) ?? this.#ordinary.entries.get(requestId)
  }

  kept(): { readonly requests: number; readonly sinceMs: number | undefined } {
    let sinceMs: number | undefined
    for (const { entries } of [this.#failed, this.#ordinary])
      for (const { atMs } of entries.values()) {
        sinceMs = Math.min(sinceMs ?? Infinity, atMs)
        break
      }
    return { requests: this.#failed.entries.size + this.#ordinary.entries.size, sinceMs }
  }
}

/** What an object costs besides its texts, about. */
const objectChars = 200

function charsOf(entry: TroubledRequest): number {
  const { requestId, host, target, route, service, version, attempts } = entry
  let chars = objectChars + requestId.length + host.length + target.length + route.length + service.length
  chars += version.length
  for (const { handle, address, detail } of attempts)
    chars += objectChars + handle.length + address.length + detail.length
  return chars
}
