/**
 * Mirroring: a request that is under way is sent to another version as well, whose answer is read, dropped, compared and
 * counted. Owns what it sends and how it is bounded. It must not do anything that the client's request could wait for or
 * fail by, and judges nothing: no outcome here reaches health, the kill ledger, retry budgets, the access log or the version's
 * own counts. A version in trial may fail as it likes, and its good answers must not outweigh failures that clients met.
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import type { Random } from '../core/random.ts'
import {
  type BoundEndpoint,
  type BoundGroup,
  type BoundService,
  differenceBucketsMs,
  type EndpointState,
  type MirrorOutcome,
  type MirrorStats,
} from '../live/runtime.ts'
import type { MirrorPolicy } from '../policy/traffic.ts'
import { headerValue } from '../table/request-text.ts'
import type { ClientConnection } from '../wire/client-connection.ts'
import type { ClientExchange, UpstreamTimeouts } from '../wire/client-exchange.ts'
import type { Deadlines, Watched } from '../wire/deadlines.ts'
import type { Failure } from '../wire/failure.ts'
import type { WireLimits } from '../wire/limits.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { ResponseHead } from '../wire/response-head.ts'
import { isSafe } from './retry.ts'
import type { ForwardingFacts } from './upstream-head.ts'
import { asksForWebSocket } from './websocket.ts'

/** Marks a mirrored request; whoever meets it mirrors it no further. In lower case. */
export const mirrorHeader = 'fairlead-mirror'
const mirrorLine = 'Fairlead-Mirror: 1\r\n'

/** Of an answer's content no more than this is read, bytes: then its connection is ended, and the answer counts as it is. */
export const answerBytesMax = 1_048_576

/** The whole of it has one deadline, which is kept here. */
const untimed: UpstreamTimeouts = { connectMs: Infinity, firstByteMs: Infinity, idleMs: Infinity }

const untried: readonly EndpointState[] = []

/** What it needs of the plane it works for. */
export interface MirrorHost {
  readonly random: Random
  readonly deadlines: Deadlines
  readonly limits: WireLimits
}

/** The request under way, as its course has it. */
export interface MirrorSource {
  readonly service: BoundService | undefined
  /** The version that it went to. */
  readonly group: BoundGroup | undefined
  upstreamHead(head: RequestHead, forwarding: ForwardingFacts, id: string, upgrade: boolean, to: BoundEndpoint): string
}

/** Why this request is never mirrored; '': it may be. */
export function whyNotMirrored(head: RequestHead): string {
  if (!isSafe(head.method)) return `${head.method} is not mirrored`
  if (head.overridesMethod) return 'a request whose method is overridden is not mirrored'
  if (head.hasBody) return 'a request with a body is not mirrored'
  if (asksForWebSocket(head)) return 'a WebSocket is not mirrored'
  if (headerValue(head.lines, mirrorHeader) !== undefined) return 'it is mirrored already: it has Fairlead-Mirror'
  return ''
}

/** All that one data plane has mirrored and that is still under way. */
export class Mirrors {
  readonly #host: MirrorHost
  readonly #underWay = new Set<Mirrored>()

  constructor(host: MirrorHost) {
    this.#host = host
  }

  /**
   * Mirrors the request, if it may be and chance says so. Call it once the request itself has been handed to its own version.
   * Undefined: it is not, or not any more; what was to be counted has been.
   */
  send(
    policy: MirrorPolicy,
    source: MirrorSource,
    head: RequestHead,
    forwarding: ForwardingFacts,
    id: string,
  ): Mirrored | undefined {
    const { deadlines, limits, random } = this.#host
    if (random() >= policy.share || whyNotMirrored(head) !== '') return undefined
    const { service } = source
    const group = service?.groups.find(({ version }) => version === policy.version)
    // Without a service the request is over already; a version that nobody registered is on the list of problems.
    if (!service || !group || group.version === source.group?.version) return undefined
    const stats = (group.stats.mirrored ??= newMirrorStats())
    if (stats.inFlight >= policy.concurrency) return count(stats, 'overflow')
    const endpoint = pickEndpoint(group, random, untried, service.table.policy)
    if (endpoint === undefined) return count(stats, 'no-instance')
    const { pool } = endpoint.state
    // Half of the connections that an instance may have stay with its clients.
    const isCrowded = (pool.open - pool.idle + 1) * 2 > limits.connectionsPerEndpoint
    const connection = isCrowded ? undefined : pool.acquire(Infinity)
    if (connection === undefined) return count(stats, 'overflow')
    const text = source.upstreamHead(head, forwarding, id, false, endpoint).slice(0, -2) + mirrorLine + '\r\n'
    const mirrored = new Mirrored(connection, stats, policy, deadlines, this.#underWay)
    mirrored.begin(text, head.method === 'HEAD')
    return mirrored
  }

  /** Ends everything at once, uncounted. */
  destroy(): void {
    for (const mirrored of this.#underWay) mirrored.destroy()
  }
}

/** One mirrored request. It is compared once both sides have ended, in whichever order they do. */
export class Mirrored implements ClientExchange, Watched {
  slot = -1
  readonly #connection: ClientConnection
  readonly #stats: MirrorStats
  readonly #version: string
  readonly #deadlines: Deadlines
  readonly #underWay: Set<Mirrored>
  readonly #deadlineMs: number
  #text = ''
  #ended = false
  /** Of the version's answer; 0: there is none, yet or at all. */
  #status = 0
  #headMs = 0
  #bytes = 0
  /** Of what the client got; 0: nothing yet. */
  #clientStatus = 0
  /** When its head came from upstream; Infinity: it did not. */
  #clientHeadMs = Infinity
  #comparable = true

  constructor(
    connection: ClientConnection,
    stats: MirrorStats,
    policy: MirrorPolicy,
    deadlines: Deadlines,
    underWay: Set<Mirrored>,
  ) {
    this.#connection = connection
    this.#stats = stats
    this.#version = policy.version
    this.#deadlines = deadlines
    this.#underWay = underWay
    this.#deadlineMs = deadlines.recentMs + policy.timeoutMs
  }

  begin(text: string, isHead: boolean): void {
    this.#text = text
    this.#stats.inFlight++
    this.#underWay.add(this)
    this.#deadlines.add(this)
    const ready = this.#connection.isReady
    this.#connection.begin(this, isHead, false, untimed)
    if (ready) this.onConnected()
  }

  /** The client's answer has begun, from an instance of `version`. */
  clientAnswered(status: number, version: string | undefined): void {
    this.#clientStatus = status
    this.#clientHeadMs = this.#deadlines.recentMs
    // It was tried again there.
    this.#comparable = version !== this.#version
    this.#compare()
  }

  /** The client's request is over; `status` is what it was sent, or 499 or 0 where it was sent nothing. */
  clientEnded(status: number): void {
    if (this.#clientStatus !== 0) return
    this.#clientStatus = status === 0 ? 499 : status
    this.#comparable = this.#clientStatus !== 499
    this.#compare()
  }

  /** Ends it, uncounted. */
  destroy(): void {
    if (this.#leave()) this.#connection.cancel()
  }

  onSweep(now: number): void {
    if (now < this.#deadlineMs) return
    this.#connection.cancel()
    if (this.#status === 0) this.#fail('timeout')
    else this.#end()
  }

  // === From the connection ===

  onConnected(): void {
    this.#connection.requestDone()
    this.#connection.write(this.#text)
    this.#text = ''
  }

  onHead(head: ResponseHead, _body: string, complete: boolean): void {
    this.#status = head.status
    this.#headMs = this.#deadlines.recentMs
    if (complete) this.#end()
  }

  onBody(bytes: Buffer): void {
    this.#bytes += bytes.length
    if (this.#bytes <= answerBytesMax) return
    this.#connection.cancel()
    this.#end()
  }

  onComplete(): void {
    this.#end()
  }

  onFailure(failure: Failure): void {
    // A pooled connection that had ended meanwhile says nothing of the version.
    const isStale = failure.reused && !failure.received && (failure.kind === 'closed' || failure.kind === 'reset')
    this.#fail(isStale ? 'stale' : failure.kind)
  }

  onInformational(): void {}
  onReadEnd(): void {}
  onWritable(): void {}
  // It asks for no upgrade, and what comes unasked is a failure.
  onUpgrade(): void {}
  onTunnelData(): void {}
  onTunnelEnd(): void {}

  // === Its end ===

  /** False: it had ended before. */
  #leave(): boolean {
    if (this.#ended) return false
    this.#ended = true
    this.#stats.inFlight--
    this.#underWay.delete(this)
    this.#deadlines.remove(this)
    return true
  }

  #end(): void {
    if (this.#leave()) this.#compare()
  }

  #fail(reason: string): void {
    if (!this.#leave()) return
    // Half of an answer is none.
    this.#status = 0
    const { failures } = this.#stats
    failures.set(reason, (failures.get(reason) ?? 0) + 1)
    count(this.#stats, 'failed')
  }

  #compare(): void {
    if (!this.#ended || this.#status === 0 || this.#clientStatus === 0) return
    const stats = this.#stats
    if (!this.#comparable) return count(stats, 'uncompared')
    const ours = Math.floor(this.#clientStatus / 100)
    const theirs = Math.floor(this.#status / 100)
    count(stats, ours === theirs ? 'same' : 'different')
    const pair = ours * 10 + theirs
    stats.classes.set(pair, (stats.classes.get(pair) ?? 0) + 1)
    if (this.#clientHeadMs !== Infinity) noteDifference(stats, this.#headMs - this.#clientHeadMs)
  }
}

/** The two classes of a key of {@link MirrorStats.classes}, such as `2xx` and `5xx`. */
export function classesOf(pair: number): { readonly client: string; readonly mirror: string } {
  return { client: `${String(Math.floor(pair / 10))}xx`, mirror: `${String(pair % 10)}xx` }
}

/** Counts of a version to which nothing was mirrored yet. */
export function newMirrorStats(): MirrorStats {
  return {
    inFlight: 0,
    outcomes: new Map(),
    failures: new Map(),
    classes: new Map(),
    differenceCounts: Array.from({ length: differenceBucketsMs.length + 1 }, () => 0),
    differenceSumMs: 0,
  }
}

function count({ outcomes }: MirrorStats, outcome: MirrorOutcome): undefined {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
}

function noteDifference(stats: MirrorStats, differenceMs: number): void {
  let bucket = 0
  while (bucket < differenceBucketsMs.length && differenceMs > (differenceBucketsMs[bucket] ?? Infinity)) bucket++
  stats.differenceCounts[bucket] = (stats.differenceCounts[bucket] ?? 0) + 1
  stats.differenceSumMs += differenceMs
}
