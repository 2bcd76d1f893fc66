/**
 * Reads what every blocking endpoint has in its query string, and runs the blocking itself.
 * Source: Consul's blocking query rules as measured on 1.8: index absent or 0 answers at once, `wait` 0 means 300 s, cap 600 s,
 * plus up to a sixteenth by chance. One choice differs: an index above the current one answers at once (a restarted
 * catalog would else let its clients hang for a whole wait).
 */
import type { Random } from '../../core/random.ts'
import { parseGoDuration } from './duration.ts'
import { Refusal, type Reply } from './reply.ts'
import type { CatalogStore, Topic } from './store.ts'

const WAIT_DEFAULT_MS = 300_000
const WAIT_MAX_MS = 600_000
/** The greatest index a client may hold: an unsigned 64-bit integer. */
const INDEX_PATTERN = /^\d{1,20}$/

export interface BlockingOptions {
  /** 0: do not block. */
  readonly index: number
  readonly waitMs: number
  readonly consistency: 'leader' | 'stale' | 'consistent'
}

/** Throws a Refusal (400, or 500 for another datacenter) in Consul's words. */
export function parseBlocking(query: URLSearchParams, datacenter: string): BlockingOptions {
  const stale = query.has('stale')
  if (stale && query.has('consistent'))
    throw new Refusal(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')
  const wait = query.get('wait')
  const waitMs = wait ? parseGoDuration(wait) : 0
  if (waitMs === undefined) throw new Refusal(400, 'Invalid wait time')
  const index = query.get('index')
  if (index && !INDEX_PATTERN.test(index)) throw new Refusal(400, 'Invalid index')
  const dc = query.get('dc')
  if (dc && dc !== datacenter) throw new Refusal(500, 'No path to datacenter')
  if (query.get('filter'))
    throw new Refusal(400, 'The embedded catalog does not evaluate ?filter; filter the answer, or ask a Consul agent')
  return {
    index: Number(index ?? 0),
    waitMs: waitMs <= 0 ? WAIT_DEFAULT_MS : Math.min(waitMs, WAIT_MAX_MS),
    consistency: stale ? 'stale' : query.has('consistent') ? 'consistent' : 'leader',
  }
}

/** How many may wait at once; one more is answered 429, so that a client is never cut off without a word. */
export class BlockedGate {
  readonly #max: number
  #count = 0

  constructor(max: number) {
    this.#max = max
  }

  enter(): void {
    if (this.#count >= this.#max) throw new Refusal(429, 'Too many blocked queries')
    this.#count++
  }

  leave(): void {
    this.#count--
  }
}

export interface Blocker {
  readonly store: CatalogStore
  readonly gate: BlockedGate
  readonly random: Random
  readonly datacenter: string
}

/**
 * Waits as the query asks, then reads. `read` gives the reply without the index headers; they are added here, to a 404 too
 * (a client that found no index would ask again at once, for ever).
 */
export async function answerBlocking(
  blocker: Blocker,
  query: URLSearchParams,
  signal: AbortSignal,
  topic: Topic,
  read: () => Reply,
): Promise<Reply> {
  const options = parseBlocking(query, blocker.datacenter)
  if (options.index > 0 && topic.index() === options.index) {
    blocker.gate.enter()
    const waitMs = options.waitMs + (blocker.random() * options.waitMs) / 16
    await blocker.store.wait(topic, options.index, waitMs, signal).finally(() => blocker.gate.leave())
  }
  const reply = read()
  const consistency: Record<string, string> =
    topic.table === 'catalog' ? { 'X-Consul-Effective-Consistency': options.consistency } : {}
  return {
    ...reply,
    headers: {
      ...reply.headers,
      'X-Consul-Index': String(Math.max(1, topic.index())),
      'X-Consul-KnownLeader': 'true',
      'X-Consul-LastContact': '0',
      ...consistency,
    },
  }
}
