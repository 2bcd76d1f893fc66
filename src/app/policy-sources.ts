/**
 * The policy that is kept elsewhere than in the configuration file: watches it, reads it, writes it, through changes of
 * configuration and of the catalog sources it lies in. It merges nothing into a table and applies no order.
 */
import type { ConsulConnection } from '../catalog/consul/options.ts'
import type { SourceState } from '../catalog/source.ts'
import type { Config } from '../config/config.ts'
import type { Cause } from '../control/cause.ts'
import type { Milliseconds } from '../core/clock.ts'
import type { Problem } from '../core/problem.ts'
import { type DecodedDocuments, decodeDocuments } from '../policy/kv/decode-documents.ts'
import { createEntriesSource, type EntriesSource } from '../policy/consul-entries/entries-source.ts'
import type { Translation } from '../policy/consul-entries/result.ts'
import { type EntrySettings, entrySettings } from '../policy/consul-entries/settings.ts'
import { translateEntries } from '../policy/consul-entries/translate.ts'
import type {
  DocumentKnowledge,
  DocumentListener,
  DocumentSource,
  PolicyDocument,
} from '../policy/documents/documents.ts'
import { createKvSource } from '../policy/kv/kv-source.ts'
import { createKvStore, type KvStore } from '../policy/kv/kv-store.ts'
import { type DocumentSettings, type OutsidePolicy, parseDocument } from '../policy/layers.ts'
import type { Deps } from './embedded-catalogs.ts'
import { LastGood } from './last-good-policy.ts'

/** How long the first table waits for policy: routing by half of it would send canaries what they must not get. */
export const policyGraceMs: Milliseconds = 2_000

export interface PolicySources {
  /** Watches what `config` says; what is watched already goes on. */
  use(config: Config, connection: (source: string) => ConsulConnection | undefined): void
  /** All that is known (yet), with the configuration's names of versions. */
  outside(config: Config): OutsidePolicy
  /** For changes of policy; undefined: there is nowhere to keep them. */
  store(): KvStore | undefined
  /** Resolves when the first answer is there, or it is clear that none will come soon. */
  settled(): Promise<void>
  /** What keeps a source from being current, one each. */
  problems(): readonly Problem[]
  /** Idempotent. */
  stop(): Promise<void>
}

export interface PolicySourcesOptions {
  readonly deps: Deps
  /** What was saved, by source. */
  readonly saved: () => Promise<ReadonlyMap<string, DocumentKnowledge> | undefined>
  /** Policy is other than before; which documents made it so. */
  readonly onChange: (causes: readonly Cause[]) => void
  readonly onKnowledge: (policies: readonly DocumentKnowledge[]) => void
}

interface Watched {
  readonly key: string
  readonly source: DocumentSource
  readonly store: KvStore | undefined
  readonly reader: Reader
  readonly good: LastGood
  state: SourceState
  heard: boolean
  settled: boolean
}

/** Reads the documents of one place. */
interface Reader {
  /** What was good before this start: the last good form of what has become bad since. It is not in force. */
  recall(documents: ReadonlyMap<string, PolicyDocument>): void
  /** Puts a snapshot in force; says what is other than before. */
  read(documents: ReadonlyMap<string, PolicyDocument>): Reading
}

interface Reading {
  readonly causes: readonly Cause[]
  readonly problems: readonly Problem[]
}

type Place = 'kv' | 'entries'

class WatchedPolicy implements PolicySources {
  readonly #options: PolicySourcesOptions
  readonly #watched = new Map<Place, Watched>()
  #documents: DecodedDocuments<DocumentSettings> | undefined
  #translation: Translation | undefined
  #entries: EntrySettings | undefined
  /** The services that the configuration's own routes lead to. */
  #names: readonly string[] = []
  #hidden: EntriesSource['hidden'] | undefined
  #ending: Promise<unknown> = Promise.resolve()
  #stopped = false
  readonly #first = Promise.withResolvers<void>()

  constructor(options: PolicySourcesOptions) {
    this.#options = options
  }

  use(config: Config, connection: (source: string) => ConsulConnection | undefined): void {
    if (this.#stopped) return
    const { kv, consulEntries, routes } = config
    this.#names = [...new Set(routes.flatMap(({ service }) => (service === '' ? [] : [service])))]
    const kvAt = kv && connection(kv.source)
    const entriesAt = consulEntries === undefined ? undefined : connection(consulEntries)
    const isKv = this.#replace('kv', kvAt && kv && JSON.stringify([kv, kvAt]), (key) => {
      if (kvAt && kv) this.#beginKv(key, { ...kvAt, prefix: kv.prefix })
    })
    const isEntries = this.#replace('entries', entriesAt && JSON.stringify(entriesAt), (key) => {
      if (entriesAt) this.#beginEntries(key, entriesAt)
    })
    this.#settle()
    if (isKv || isEntries) this.#options.onChange([{ kind: 'config', what: 'file' }])
  }

  outside({ versionFrom }: Config): OutsidePolicy {
    this.#entries = this.#translation && entrySettings(this.#translation, versionFrom, this.#entries)
    return { source: this.#watched.get('kv')?.source.name ?? '', documents: this.#documents, entries: this.#entries }
  }

  store(): KvStore | undefined {
    return this.#watched.get('kv')?.store
  }

  settled(): Promise<void> {
    return this.#first.promise
  }

  problems(): readonly Problem[] {
    const troubles = [...this.#watched.values()].flatMap(({ state, source: { name }, heard }) => {
      if (state.kind === 'current' || (state.kind === 'waiting' && state.fresh)) return []
      const stays = heard ? 'what was known of it stays in force' : 'nothing of it is in force'
      const message = `policy in ${name} cannot be read: ${state.reason}; ${stays}`
      return [Object.freeze({ code: 'policy-source', where: name, message })]
    })
    return [...troubles, ...hiddenProblems(this.#hidden?.())]
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#first.resolve()
    this.#end('kv')
    this.#end('entries')
    await this.#ending
  }

  /** Whether anything else is watched now; undefined as `key`: nothing is to be. */
  #replace(place: Place, key: string | undefined, begin: (key: string) => void): boolean {
    if (this.#watched.get(place)?.key === key) return false
    this.#end(place)
    if (key !== undefined) begin(key)
    return true
  }

  #end(place: Place): void {
    const watched = this.#watched.get(place)
    this.#watched.delete(place)
    if (place === 'kv') this.#documents = undefined
    else this.#translation = this.#entries = this.#hidden = undefined
    if (watched) this.#ending = Promise.all([this.#ending, watched.source.stop(), watched.store?.stop()])
  }

  #beginKv(key: string, connection: ConsulConnection & { readonly prefix: string }): void {
    const { deps, saved } = this.#options
    const name = `kv:${connection.prefix}`
    const source = createKvSource({ ...connection, saved: async () => (await saved())?.get(name) }, deps)
    let recalled: DecodedDocuments<DocumentSettings> | undefined
    this.#begin('kv', key, source, createKvStore(connection, deps), {
      recall: (documents) => {
        recalled = decodeDocuments(source.name, documents, parseDocument, undefined)
      },
      read: (documents) => {
        const before = this.#documents
        this.#documents = decodeDocuments(source.name, documents, parseDocument, before ?? recalled)
        return { causes: causesOf(source.name, before, this.#documents), problems: this.#documents.problems }
      },
    })
  }

  #beginEntries(key: string, connection: ConsulConnection): void {
    const { deps, saved } = this.#options
    const source = createEntriesSource(
      { ...connection, saved: async () => (await saved())?.get('config-entries'), names: () => this.#names },
      deps,
    )
    this.#hidden = () => source.hidden()
    let before: ReadonlyMap<string, PolicyDocument> = new Map()
    let recalled: Translation | undefined
    this.#begin('entries', key, source, undefined, {
      recall: (documents) => {
        recalled = translateEntries(documents)
      },
      read: (documents) => {
        const causes = entryCauses(source.name, before, documents)
        before = documents
        this.#translation = translateEntries(documents, this.#translation ?? recalled)
        return { causes, problems: this.#translation.problems }
      },
    })
  }

  #begin(place: Place, key: string, source: DocumentSource, store: KvStore | undefined, reader: Reader): void {
    const { deps, saved, onChange, onKnowledge } = this.#options
    const state = { kind: 'waiting', reason: 'not started', fresh: true } as const
    const good = new LastGood(source.name)
    const watched: Watched = { key, source, store, reader, good, state, heard: false, settled: false }
    this.#watched.set(place, watched)
    const grace = deps.clock.setTimer(policyGraceMs, () => this.#first.resolve())
    void this.#first.promise.then(() => grace.clear())
    const listener: DocumentListener = {
      onSnapshot: ({ documents }) => {
        if (this.#watched.get(place) !== watched) return
        const { causes, problems } = reader.read(documents)
        good.note(documents, problems)
        watched.heard = watched.settled = true
        this.#settle()
        onKnowledge([...this.#watched.values()].flatMap(knowledgeOf))
        onChange(causes)
      },
      onState: (next) => {
        if (this.#watched.get(place) === watched) this.#stateOf(watched, next)
      },
    }
    void saved().then((all) => {
      if (this.#watched.get(place) !== watched) return
      reader.recall(good.recall(all))
      source.start(listener)
    })
  }

  /** The first table waits for all of them. */
  #settle(): void {
    if ([...this.#watched.values()].every(({ settled }) => settled)) this.#first.resolve()
  }

  #stateOf(watched: Watched, state: SourceState): void {
    const before = watched.state
    watched.state = state
    const { log } = this.#options.deps
    const { name } = watched.source
    if (state.kind === 'current') {
      if (before.kind !== 'current') log.info({ source: name }, `policy in ${name} is read`)
      return
    }
    if (state.kind === 'waiting' && state.fresh === true) return
    // Who cannot be asked now may answer later; meanwhile traffic must flow.
    if (state.kind === 'waiting') {
      watched.settled = true
      this.#settle()
    }
    if (before.kind === 'current' || before.kind !== state.kind || before.reason !== state.reason)
      log.warn({ source: name }, `policy in ${name} cannot be read: ${state.reason}`)
  }
}

const hiddenNamedMax = 8

function hiddenProblems(hidden: ReturnType<EntriesSource['hidden']> | undefined): readonly Problem[] {
  if (!hidden || (hidden.names.length === 0 && !hidden.some)) return []
  const { names } = hidden
  const more = names.length > hiddenNamedMax ? ` and ${String(names.length - hiddenNamedMax)} more` : ''
  const whose = names.length === 0 ? 'of some services' : `of ${names.slice(0, hiddenNamedMax).join(', ')}${more}`
  const message =
    `the token may not read config entries ${whose}: if there are any, they have no effect here; ` +
    'give it service:read for them, or set policy.consulEntries: false'
  return [Object.freeze({ code: 'config-entries-hidden', where: 'config-entries', message })]
}

/** All that is worth saving of one place. */
function knowledgeOf({ source, good }: Watched): readonly DocumentKnowledge[] {
  const known = source.knowledge()
  return known ? [known, ...good.knowledge(known.asOfMs)] : []
}

function entryCauses(
  source: string,
  before: ReadonlyMap<string, PolicyDocument>,
  after: ReadonlyMap<string, PolicyDocument>,
): readonly Cause[] {
  const changed = [...after.values()].filter((one) => before.get(one.key) !== one)
  const gone = [...before.keys()].filter((key) => !after.has(key))
  return [
    ...changed.map(({ key, modifyIndex }): Cause => ({ kind: 'policy', source, key, index: String(modifyIndex) })),
    ...gone.map((key): Cause => ({ kind: 'policy', source, key, removed: true })),
  ]
}

/** One for each document that is other than before, or gone. */
function causesOf(
  source: string,
  before: DecodedDocuments<DocumentSettings> | undefined,
  after: DecodedDocuments<DocumentSettings>,
): readonly Cause[] {
  const causes: Cause[] = []
  for (const [key, { envelope, modifyIndex }] of after.documents) {
    if (before?.documents.get(key)?.modifyIndex === modifyIndex) continue
    const { revision, by, reason } = envelope
    causes.push({
      kind: 'policy',
      source,
      key,
      index: String(modifyIndex),
      revision,
      by,
      ...(reason === '' ? {} : { reason }),
    })
  }
  for (const [key, { envelope }] of before?.documents ?? []) {
    const { revision, by } = envelope
    if (!after.documents.has(key)) causes.push({ kind: 'policy', source, key, removed: true, revision, by })
  }
  return causes
}

/** Nothing is watched before {@link PolicySources.use}. */
export function createPolicySources(options: PolicySourcesOptions): PolicySources {
  return new WatchedPolicy(options)
}
