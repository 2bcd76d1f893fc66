/**
 * Follows documents in Consul by one blocking query for each list (a KV folder, a kind of config entry), on the catalog's
 * watch loop, client and rules of belief: what vanishes is looked at again before it is believed gone, and what was known
 * last stands for as long as Consul is away. It reads no document's meaning and writes nothing.
 */
import { Belief, type Objection, union } from '../../catalog/consul/belief.ts'
import { Conduct } from '../../catalog/consul/conduct.ts'
import type { Answer, ConsulClient, ReadQuery } from '../../catalog/consul/consul-client.ts'
import { emptyHoldDefaultMs, waitDefaultMs } from '../../catalog/consul/options.ts'
import { Rests } from '../../catalog/consul/rests.ts'
import { type Doubt, watch } from '../../catalog/consul/watch.ts'
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import type {
  DocumentKnowledge,
  DocumentListener,
  DocumentSnapshot,
  DocumentSource,
  PolicyDocument,
} from './documents.ts'

export interface WatchDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface WatchSettings {
  /** How long a blocking query may wait, 1 s to 10 min; default 60 s. */
  readonly waitMs?: Milliseconds | undefined
  /** Blocking queries may be answered by any server, also without a leader. Default true. */
  readonly stale?: boolean | undefined
  /** How long a list that lost all or most of its documents after trouble must stay so before it is believed; default 10 s. */
  readonly emptyHoldMs?: Milliseconds | undefined
  /**
   * Reads what was saved; asked once. It stands in when Consul fails or is silent for {@link savedGraceMs}, and the first
   * answers are judged by it. Must not reject.
   */
  readonly saved?: (() => Promise<DocumentKnowledge | undefined>) | undefined
}

/** One list of documents at Consul. */
export interface DocumentList {
  /** For reasons and as key; documents' keys begin with it. */
  readonly name: string
  /** Answers with every document of the list; `undefined` as data: there is no such list, which is an empty one. */
  readonly read: (query: ReadQuery) => Promise<Answer<readonly PolicyDocument[] | undefined>>
  /** Whether this failure says that there is nothing of the kind at all, which is an empty list. Default: none does. */
  readonly isAbsent?: (error: unknown) => boolean
  /** Nothing hangs on it: the first snapshot does not wait for it, and that it cannot be read is not told. */
  readonly isAside?: boolean
  /** Why `missing`, which an answer does not have any more, may still be there; undefined: it is gone. */
  readonly look: (missing: PolicyDocument, query: ReadQuery) => Promise<Objection | undefined>
  /** Why an empty first answer may hide something; undefined: it is empty indeed. */
  readonly lookAtNothing: (query: ReadQuery) => Promise<Objection | undefined>
}

/** What Consul gets to answer in before a saved snapshot stands in for it. */
export const savedGraceMs: Milliseconds = 300
const rate = { refillMs: 20, refillMaxMs: 2_000 }
/** A list that failed this often does not keep the others from being published first. */
const attemptsBeforeFirst = 3

interface Followed {
  readonly list: DocumentList
  documents: readonly PolicyDocument[]
  /** Answered and believed at least once. */
  heard: boolean
}

export class DocumentWatch implements DocumentSource {
  readonly name: string
  readonly #settings: WatchSettings
  readonly #deps: WatchDeps
  readonly #client: ConsulClient
  readonly #followed: readonly Followed[]
  readonly #belief: Belief
  readonly #conduct: Conduct
  readonly #rests: Rests
  readonly #ended = new AbortController()
  readonly #holdMs: Milliseconds
  #listener: DocumentListener | undefined
  #grace: Timer | undefined
  #saved: DocumentKnowledge | undefined
  #savedStands = false
  #graceOver = false
  #snapshot: DocumentSnapshot | undefined
  #asOfMs = 0

  /** Owns `client` from now on, and destroys it with itself. */
  constructor(
    name: string,
    lists: readonly DocumentList[],
    client: ConsulClient,
    settings: WatchSettings,
    deps: WatchDeps,
  ) {
    this.name = name
    this.#settings = settings
    this.#deps = deps
    this.#client = client
    this.#holdMs = settings.emptyHoldMs ?? emptyHoldDefaultMs
    this.#followed = lists.map((list) => ({ list, documents: [], heard: false }))
    this.#belief = new Belief(this.#holdMs, 'documents')
    this.#rests = new Rests(deps.clock, deps.random)
    this.#conduct = new Conduct(client.shown, deps.clock, (state) => {
      if (!this.#ended.signal.aborted) this.#listener?.onState(state)
    })
  }

  start(listener: DocumentListener): void {
    this.#listener = listener
    this.#conduct.say()
    void this.#readSaved()
    for (const followed of this.#followed) this.#follow(followed)
  }

  knowledge(): DocumentKnowledge | undefined {
    if (!this.#snapshot) return this.#saved
    return { source: this.name, documents: this.#snapshot.documents, asOfMs: this.#asOfMs }
  }

  savedAtMs(): number | undefined {
    return this.#savedStands ? this.#asOfMs : undefined
  }

  lastSuccessMs(): number | undefined {
    return this.#conduct.successMs
  }

  async stop(): Promise<void> {
    this.#ended.abort()
    this.#grace?.clear()
    this.#listener = undefined
    await this.#client.destroy()
  }

  // === Following ===

  #follow(followed: Followed): void {
    const { clock, random } = this.#deps
    const { list } = followed
    void watch({
      clock,
      random,
      rate,
      signal: this.#ended.signal,
      read: async (index, signal) => list.read(this.#query(list.name, index, signal)),
      onAnswer: async (answer) => this.#take(followed, answer),
      rest: async (delayMs, signal) => this.#rests.rest(delayMs, signal),
      onFailure: (failure) => {
        if (this.#ended.signal.aborted || list.isAside) return
        if (this.#isPlainlyAbsent(followed, failure.error)) {
          followed.heard = true
          this.#conduct.succeeded(list.name)
        } else {
          this.#conduct.failed(list.name, failure)
          this.#standIn()
        }
        this.#publish()
      },
    })
  }

  /** What was there does not end because another program answers at that address. */
  #isPlainlyAbsent({ list, heard, documents }: Followed, error: unknown): boolean {
    const known = heard ? documents : this.#savedOf(list.name)
    return known.length === 0 && list.isAbsent?.(error) === true
  }

  /** A whole read is asked of the leader first; where that fails, and for waiting, any server will do. */
  #query(name: string, index: bigint | undefined, signal: AbortSignal): ReadQuery {
    const whole = index === undefined && this.#conduct.attempts(name) % 2 === 0
    const stale = (this.#settings.stale ?? true) && !whole
    const consistency = this.#belief.isHeld(name) ? 'consistent' : stale ? 'stale' : 'default'
    return { index, waitMs: this.#settings.waitMs ?? waitDefaultMs, consistency, signal }
  }

  async #take(followed: Followed, answer: Answer<readonly PolicyDocument[] | undefined>): Promise<Doubt | undefined> {
    const { list } = followed
    const { signal } = this.#ended
    const before = followed.heard ? followed.documents : this.#savedOf(list.name)
    const next = answer.data ?? []
    const sure: ReadQuery = { consistency: 'consistent', signal }
    if (!followed.heard && next.length === 0 && before.length === 0) {
      const objection = await list.lookAtNothing(sure)
      if (objection) return this.#doubt(`${list.name}: ${objection.reason}`)
    }
    const keys = new Set(next.map(({ key }) => key))
    const missing = before.find(({ key }) => !keys.has(key))
    const verdict = await this.#belief.judge(list.name, before, next, {
      nowMs: this.#deps.clock.now(),
      troubleMs: this.#conduct.troubleMs,
      leader: answer.leader,
      filtered: answer.filtered,
      look: async () => (missing ? list.look(missing, sure) : undefined),
      looksAlways: true,
    })
    if (signal.aborted) return undefined
    const held = verdict.kind === 'hold'
    // A first answer that is not believed is none yet: what was saved stands in for it, or nothing does.
    if (held && !followed.heard) return this.#doubt(verdict.reason)
    followed.documents = keepSame(before, held ? union(before, next) : next)
    followed.heard = true
    if (!held && !list.isAside && this.#conduct.succeeded(list.name)) this.#rests.wakeAll()
    this.#publish()
    return held ? this.#doubt(verdict.reason) : undefined
  }

  #doubt(reason: string): Doubt {
    return { reason, retryMs: Math.min(2_000, Math.max(20, this.#holdMs / 4)) }
  }

  // === What was saved ===

  async #readSaved(): Promise<void> {
    const { saved } = this.#settings
    if (!saved) return
    this.#grace = this.#deps.clock.setTimer(savedGraceMs, () => {
      this.#graceOver = true
      this.#standIn()
    })
    this.#saved = await saved()
    this.#standIn()
  }

  /** Lets what was saved stand in, once Consul has had its time or has failed. */
  #standIn(): void {
    const saved = this.#saved
    if (!saved || this.#snapshot || this.#ended.signal.aborted) return
    const failed = this.#followed.some(({ list }) => this.#conduct.attempts(list.name) > 0)
    if (!failed && !this.#graceOver) return
    this.#savedStands = true
    this.#send([...saved.documents.values()], saved.asOfMs)
    this.#deps.log.warn({ source: this.name }, `${this.name}: what was saved stands in until Consul answers`)
  }

  #savedOf(list: string): readonly PolicyDocument[] {
    return [...(this.#saved?.documents.values() ?? [])].filter(({ key }) => key.startsWith(`${list}/`))
  }

  // === Publishing ===

  /** Whether every list was heard, or failed often enough to be left out at first. */
  #isComplete(): boolean {
    const some = this.#followed.some(({ list, heard }) => heard && !list.isAside)
    const patient = (name: string): boolean => this.#conduct.attempts(name) < attemptsBeforeFirst
    return some && this.#followed.every(({ list, heard }) => heard || list.isAside || !patient(list.name))
  }

  #publish(): void {
    if (this.#ended.signal.aborted || !this.#isComplete()) return
    const lists = this.#followed.map(({ list, heard, documents }) => (heard ? documents : this.#savedOf(list.name)))
    this.#savedStands = false
    this.#send(lists.flat(), this.#deps.clock.wall())
    this.#conduct.published()
  }

  #send(documents: readonly PolicyDocument[], asOfMs: number): void {
    const before = this.#snapshot
    this.#asOfMs = asOfMs
    const sorted = documents.toSorted((a, b) => (a.key < b.key ? -1 : 1))
    const known = [...(before?.documents.values() ?? [])]
    if (before && sorted.length === known.length && sorted.every((one, at) => isSame(one, known[at]))) return
    const byKey = new Map(sorted.map((one) => [one.key, one]))
    this.#snapshot = Object.freeze({ version: (before?.version ?? 0) + 1, documents: byKey })
    try {
      this.#listener?.onSnapshot(this.#snapshot)
    } catch (error) {
      // A listener's mistake must not cost the next update.
      this.#deps.log.error({ source: this.name, err: error }, 'a snapshot was refused by its listener')
    }
  }
}

/** `next`, with the objects of `before` where nothing changed. */
function keepSame(before: readonly PolicyDocument[], next: readonly PolicyDocument[]): readonly PolicyDocument[] {
  const known = new Map(before.map((one) => [one.key, one]))
  return next.map((one) => {
    const old = known.get(one.key)
    return old && isSame(old, one) ? old : Object.freeze(one)
  })
}

function isSame(a: PolicyDocument, b: PolicyDocument | undefined): boolean {
  return a.key === b?.key && a.text === b.text && a.modifyIndex === b.modifyIndex && a.flaw === b.flaw
}
