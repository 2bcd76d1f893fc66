/**
 * A Consul catalog as a source of snapshots. One stream tells which services exist; how the services that matter are
 * followed depends on their number (watch-each.ts, watch-streams.ts); what is taken away is judged (belief.ts) before it
 * is believed. It never gives up, and what it knew last stands for as long as Consul is away.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import { counted } from '../../core/counted.ts'
import type { Problem } from '../../core/problem.ts'
import type { Random } from '../../core/random.ts'
import type { Instance } from '../snapshot.ts'
import type { CatalogSource, Interest, SourceListener } from '../source.ts'
import { Belief, type Objection, union } from './belief.ts'
import { catalogKey, Conduct } from './conduct.ts'
import { type Answer, ConsulClient } from './consul-client.ts'
import { CatalogReader } from './catalog-reader.ts'
import { ConfirmingReads } from './confirming-reads.ts'
import { type ConsulOptions, emptyHoldDefaultMs, waitDefaultMs } from './options.ts'
import type { ParsedService } from './parse.ts'
import { type CatalogServices, touchedServices } from './parse-streams.ts'
import { RateBucket } from './rate.ts'
import { Rests } from './rests.ts'
import { type Failure, type Scheme, type ServiceReader, serviceKey, streamKey } from './service-reader.ts'
import { ServiceStore } from './store.ts'
import { unreadableText, UnreadableServices } from './unreadable.ts'
import { type Doubt, watch } from './watch.ts'
import { WatchEach } from './watch-each.ts'
import { WatchStreams } from './watch-streams.ts'

export interface ConsulSourceDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** The source of one Consul; throws `FL_CONFIG` when the address is none. See {@link ConsulOptions}. */
export function createConsulSource(options: ConsulOptions, deps: ConsulSourceDeps): CatalogSource {
  return new ConsulSource(options, deps)
}

const watchesMaxHttp1 = 100
const watchesMaxHttp2 = 600
/** Below this share of the limit the streams are left for single watches again. */
const returnShare = 0.8
const catalogRate = { refillMs: 50, refillMaxMs: 5_000 }
/** Short, so that a frozen agent is noticed soon; one cheap request. */
const catalogWaitMaxMs: Milliseconds = 20_000
/** The first changes after quiet go out at once; in a storm many share a snapshot. */
const publishRate = { refillMs: 10, refillMaxMs: 100, burst: 10 }
/** A service that failed this often does not keep the others from being published first. */
const attemptsBeforeFirst = 3
/** Services without an instance that only a tag once made matter; the oldest are forgotten. */
const emptiedMax = 1_000

/** What the catalog, read again, has against the end of all of a service's instances. */
const objections: Readonly<Record<'gone' | 'listed' | 'blind', Objection | undefined>> = {
  gone: undefined,
  listed: { reason: 'yet the catalog lists the service: the token may lack node:read', passes: true },
  blind: { reason: 'and so is the whole catalog: the token probably lost its rights', passes: false },
}

class ConsulSource implements CatalogSource, ServiceReader {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly #options: ConsulOptions
  readonly #log: Logger
  readonly #client: ConsulClient
  readonly #catalogReader: CatalogReader
  readonly #confirms: ConfirmingReads
  readonly #rests: Rests
  readonly #unreadable: UnreadableServices
  readonly #store = new ServiceStore()
  readonly #belief: Belief
  readonly #holdMs: Milliseconds
  readonly #ended = new AbortController()
  readonly #conduct: Conduct
  #listener: SourceListener | undefined
  #interest: Interest = { names: new Set(), tagPrefix: undefined }
  #catalog: CatalogServices | undefined
  #catalogIndex: bigint | undefined
  #wanted: ReadonlySet<string> = new Set()
  #scheme: { readonly kind: 'each' | 'streams'; readonly scheme: Scheme } | undefined
  #version = 0
  #changed = false
  /** Services that the last snapshot said could not be read. */
  #unread: ReadonlySet<string> = new Set()
  /** The latest index among the answers that changed something since the last snapshot. */
  #index: bigint | undefined
  #publishTimer: Timer | undefined
  readonly #publishPace: RateBucket

  constructor(options: ConsulOptions, deps: ConsulSourceDeps) {
    this.name = options.name ?? 'consul'
    this.#options = options
    this.clock = deps.clock
    this.random = deps.random
    this.#log = deps.log
    this.#client = new ConsulClient(options, deps)
    this.#catalogReader = new CatalogReader(this.#client, this.#ended.signal)
    this.#confirms = new ConfirmingReads(async (service) => this.#sureRead(service))
    this.#rests = new Rests(deps.clock, deps.random)
    this.#unreadable = new UnreadableServices(async () =>
      this.#client.get({ kind: 'json' }, '/health/service/consul', { signal: this.#ended.signal }),
    )
    this.#publishPace = new RateBucket(publishRate, deps.clock.now())
    this.#holdMs = options.emptyHoldMs ?? emptyHoldDefaultMs
    this.#belief = new Belief(this.#holdMs, 'instances')
    this.#conduct = new Conduct(this.#client.shown, deps.clock, (state) => {
      if (!this.#ended.signal.aborted) this.#listener?.onState(state)
    })
  }

  start(listener: SourceListener): void {
    this.#listener = listener
    this.#conduct.say()
    const waitMs = Math.min(catalogWaitMaxMs, this.#waitMs)
    void watch({
      clock: this.clock,
      random: this.random,
      rate: catalogRate,
      signal: this.#ended.signal,
      read: async (index, signal) =>
        this.#client.get({ kind: 'catalog-services' }, '/catalog/services', {
          index,
          waitMs,
          consistency: this.#consistency(catalogKey, index),
          signal,
        }),
      onAnswer: async (answer) => this.#tookCatalog(answer),
      rest: async (delayMs, signal) => this.rest(delayMs, signal),
      onFailure: (failure) => {
        this.#catalogIndex = undefined
        this.failed(catalogKey, failure)
      },
    })
  }

  setInterest(interest: Interest): void {
    this.#interest = interest
    if (this.#catalog) this.#reconcile()
  }

  /** Only looks: the watches alone say what is published, or an older answer could undo a newer one. */
  confirm(service: string): Promise<readonly Instance[] | undefined> {
    return this.#confirms.read(service)
  }

  lastSuccessMs(): number | undefined {
    return this.#conduct.successMs
  }

  async stop(): Promise<void> {
    this.#ended.abort()
    this.#publishTimer?.clear()
    this.#scheme?.scheme.stop()
    this.#listener = undefined
    await this.#client.destroy()
  }

  // === ServiceReader ===

  async rest(delayMs: Milliseconds, signal: AbortSignal): Promise<void> {
    await this.#rests.rest(delayMs, signal)
  }

  async readService(name: string, index: bigint | undefined, signal: AbortSignal): Promise<Answer<ParsedService>> {
    const kind = { kind: 'health-service', source: this.name, service: name } as const
    const following = this.#scheme?.kind === 'each'
    // A read that follows a stream must not be older than what woke the stream.
    const streamed = following ? this.#consistency(serviceKey(name), index) : 'default'
    const consistency = this.#belief.isHeld(name) ? 'consistent' : streamed
    const path = `/health/service/${encodeURIComponent(name)}`
    try {
      return await this.#client.get(kind, path, { index, waitMs: this.#waitMs, consistency, signal })
    } catch (error) {
      throw signal.aborted ? error : await this.#unreadable.judge(error)
    }
  }

  async readHealthState(index: bigint | undefined, signal: AbortSignal): ReturnType<ServiceReader['readHealthState']> {
    const query = { index, waitMs: this.#waitMs, consistency: this.#consistency(streamKey, index), signal }
    return await this.#client.get({ kind: 'health-state' }, '/health/state/any', query)
  }

  async takeService(name: string, answer: Answer<ParsedService>): Promise<Doubt | undefined> {
    const before = this.#store.get(name)?.instances ?? []
    const next = answer.data.instances
    if (next.length === 0 && before.length === 0 && answer.data.problems.length === 0 && this.#catalog?.has(name))
      if (!(await this.#emptyIsPlain(name))) return this.#doubt(blindText(name))
    const verdict = await this.#belief.judge(name, before, next, {
      nowMs: this.clock.now(),
      troubleMs: this.#conduct.troubleMsOf(serviceKey(name)),
      leader: answer.leader,
      filtered: answer.filtered,
      look: async () => objections[await this.#catalogReader.presence(name, this.#catalog)],
    })
    if (this.#ended.signal.aborted || !this.#wanted.has(name)) return undefined
    if (verdict.kind === 'hold') {
      this.#set(name, union(before, next), answer.data.problems, answer.index)
      return this.#doubt(verdict.reason)
    }
    this.#set(name, next, answer.data.problems, answer.index)
    if (next.length === 0) this.#reconcile()
    return undefined
  }

  failed(key: string, failure: Failure): void {
    if (this.#ended.signal.aborted) return
    const before = this.#conduct.aloneReason(key)
    this.#conduct.failed(key, failure)
    if (this.#conduct.aloneReason(key) !== before) this.#changed = true
    this.#publishSoon()
  }

  succeeded(key: string): void {
    if (this.#conduct.aloneReason(key) !== undefined) this.#changed = true
    if (this.#conduct.succeeded(key)) this.#rests.wakeAll()
    this.#publishSoon()
  }

  forget(key: string): void {
    this.#conduct.forget(key)
  }

  servicesOnNode(node: string): readonly string[] {
    return this.#store.onNode(node)
  }

  /** What the leader is sure of, as far as belief goes; undefined where it does not. */
  async #sureRead(name: string): Promise<readonly Instance[] | undefined> {
    const query = { consistency: 'consistent', signal: this.#ended.signal } as const
    const kind = { kind: 'health-service', source: this.name, service: name } as const
    const answer = await this.#client.get(kind, `/health/service/${encodeURIComponent(name)}`, query)
    const { instances } = answer.data
    if (!answer.leader || answer.filtered) return undefined
    // A token that has lost its rights sees nothing either.
    const blind = instances.length === 0 && (await this.#catalogReader.presence(name, this.#catalog)) === 'blind'
    return blind ? undefined : instances
  }

  // === The catalog stream ===

  async #tookCatalog(answer: Answer<CatalogServices>): Promise<Doubt | undefined> {
    const services = answer.data
    if (services.size === 0 && (await this.#catalogReader.isBlind(answer, this.#catalog)))
      return this.#doubt(
        'the catalog is empty, even of Consul itself: the token sees nothing (it needs service:read and node:read)',
      )
    const before = this.#catalog
    const moved = this.#catalogIndex === undefined || this.#catalogIndex !== answer.index
    this.#catalogIndex = answer.index
    this.#catalog = services
    this.#reconcile()
    if (moved && before) this.#scheme?.scheme.catalogMoved(touchedServices(before, services))
    this.succeeded(catalogKey)
    return undefined
  }

  /** A listed service without a visible instance: it was just deregistered, or the token may not see its nodes. */
  async #emptyIsPlain(name: string): Promise<boolean> {
    if (this.#store.get(name) !== undefined) return true
    return (await this.#catalogReader.presence(name, this.#catalog)) === 'gone'
  }

  // === What is followed ===

  #reconcile(): void {
    const catalog = this.#catalog
    if (!catalog || this.#ended.signal.aborted) return
    const { names, tagPrefix } = this.#interest
    const wanted = new Set<string>()
    const exists = (name: string): boolean => catalog.has(name) || (this.#store.get(name)?.instances.length ?? 0) > 0
    for (const name of names)
      if (exists(name)) wanted.add(name)
      else this.#set(name, [], [])
    if (tagPrefix !== undefined)
      for (const [name, tags] of catalog) if (tags.some((tag) => tag.startsWith(tagPrefix))) wanted.add(name)
    this.#forgetUnwanted(wanted)
    this.#wanted = wanted
    // What was said of one that is not wanted any more must go with it.
    if ([...this.#unread].some((name) => !wanted.has(name))) this.#changed = true
    this.#chooseScheme()
    this.#scheme?.scheme.follow(wanted)
    this.#publishSoon()
  }

  /** Drops services that no longer matter. One that its tag made matter stays, empty, when its last instance went. */
  #forgetUnwanted(wanted: Set<string>): void {
    const emptied: string[] = []
    for (const name of this.#store.names()) {
      if (wanted.has(name) || this.#interest.names.has(name)) continue
      const empty = this.#store.get(name)?.instances.length === 0
      if (this.#catalog?.has(name) === true || this.#interest.tagPrefix === undefined) this.#delete(name)
      else if (empty) emptied.push(name)
      else wanted.add(name)
    }
    for (const name of emptied.slice(0, Math.max(0, emptied.length - emptiedMax))) this.#delete(name)
  }

  #chooseScheme(): void {
    const ceiling = this.#client.multiplexed ? watchesMaxHttp2 : watchesMaxHttp1
    const limit = Math.min(ceiling, this.#options.watchesMax ?? ceiling)
    const { size } = this.#wanted
    const now = this.#scheme?.kind
    const kind = size > limit || (now === 'streams' && size > limit * returnShare) ? 'streams' : 'each'
    if (kind === now) return
    this.#scheme?.scheme.stop()
    this.#scheme = { kind, scheme: kind === 'each' ? new WatchEach(this) : new WatchStreams(this) }
    const how = kind === 'each' ? 'one watch for each service' : 'the catalog and health streams'
    this.#log.info(
      { source: this.name, services: size, scheme: kind },
      `following ${counted(size, 'service')} by ${how}`,
    )
  }

  // === Publishing ===

  #set(name: string, instances: ParsedService['instances'], problems: readonly Problem[], index?: bigint): void {
    if (!this.#store.set(name, instances, problems)) return
    this.#changed = true
    if (index !== undefined && !(this.#index !== undefined && this.#index > index)) this.#index = index
  }

  #delete(name: string): void {
    this.#belief.forget(name)
    if (this.#store.delete(name)) this.#changed = true
  }

  #publishSoon(): void {
    if (this.#publishTimer || !this.#listener) return
    if (this.#version > 0 ? !this.#changed : !this.#isComplete()) return
    this.#publishTimer = this.clock.setTimer(this.#publishPace.take(this.clock.now()), () => this.#publish())
  }

  /** Every service that matters was read or cannot be, or has failed often enough to be left out at first. */
  #isComplete(): boolean {
    if (!this.#catalog) return false
    let read = 0
    for (const name of this.#wanted)
      if (this.#store.get(name) !== undefined || this.#conduct.aloneReason(serviceKey(name)) !== undefined) read += 1
      else if (this.#conduct.attempts(serviceKey(name)) < attemptsBeforeFirst) return false
    return read > 0 || this.#wanted.size === 0
  }

  #publish(): void {
    this.#publishTimer = undefined
    this.#changed = false
    this.#version += 1
    const unread = this.#unreadProblems()
    this.#unread = new Set(unread.keys())
    const snapshot = this.#store.snapshot(this.#version, [...unread.values()], this.#index)
    this.#index = undefined
    try {
      this.#listener?.onSnapshot(snapshot)
    } catch (error) {
      // A listener's mistake must not cost the next update.
      this.#log.error({ source: this.name, err: error }, 'a snapshot was refused by its listener')
    }
    this.#conduct.published()
  }

  /** By service. One that was only just found is none of them. */
  #unreadProblems(): ReadonlyMap<string, Problem> {
    const problems = new Map<string, Problem>()
    for (const name of this.#wanted) {
      const key = serviceKey(name)
      const known = this.#store.get(name) !== undefined
      const alone = this.#conduct.aloneReason(key)
      const reason = alone ?? this.#conduct.reason(key)
      if (reason === undefined || (known && alone === undefined)) continue
      const message = alone === undefined ? reason : unreadableText(alone, name, known)
      problems.set(name, Object.freeze({ code: 'service-unread', where: `${this.name}:${name}`, message }))
    }
    return problems
  }

  #doubt(reason: string): Doubt {
    return { reason, retryMs: Math.min(2_000, Math.max(20, this.#holdMs / 4)) }
  }

  get #waitMs(): Milliseconds {
    return this.#options.waitMs ?? waitDefaultMs
  }

  /**
   * A whole read is asked of the leader first, so that a server that lags takes us back to nothing that was; where that
   * fails, and for waiting, any server will do.
   */
  #consistency(key: string, index: bigint | undefined): 'stale' | 'default' {
    if (!(this.#options.stale ?? true)) return 'default'
    return index === undefined && this.#conduct.attempts(key) % 2 === 0 ? 'default' : 'stale'
  }
}

function blindText(name: string): string {
  return `the catalog lists ${name} but shows none of its instances: the token may lack node:read`
}
