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
import type { DocumentKnowledge, DocumentSource } from '../policy/documents/documents.ts'
import { createKvSource } from '../policy/kv/kv-source.ts'
import { createKvStore, type KvStore } from '../policy/kv/kv-store.ts'
import { type DocumentSettings, parseDocument } from '../policy/layers.ts'
import type { Deps } from './embedded-catalogs.ts'

/** How long the first table waits for policy: routing by half of it would send canaries what they must not get. */
export const policyGraceMs: Milliseconds = 2_000

export interface PolicySources {
  /** Watches what `config` says; what is watched already goes on. */
  use(config: Config, connection: (source: string) => ConsulConnection | undefined): void
  /** The name of the KV source, such as `kv:fairlead`; '' without one. */
  name(): string
  /** Undefined: nothing is known (yet). */
  documents(): DecodedDocuments<DocumentSettings> | undefined
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
  readonly store: KvStore
  state: SourceState
  documents: DecodedDocuments<DocumentSettings> | undefined
}

class WatchedPolicy implements PolicySources {
  readonly #options: PolicySourcesOptions
  #watched: Watched | undefined
  #ending: Promise<unknown> = Promise.resolve()
  #stopped = false
  readonly #first = Promise.withResolvers<void>()

  constructor(options: PolicySourcesOptions) {
    this.#options = options
  }

  use(config: Config, connection: (source: string) => ConsulConnection | undefined): void {
    if (this.#stopped) return
    const where = config.kv && connection(config.kv.source)
    const key = where ? JSON.stringify([config.kv, where]) : ''
    if (key === (this.#watched?.key ?? '') && (key !== '' || this.#watched === undefined)) {
      if (key === '') this.#first.resolve()
      return
    }
    this.#end()
    if (where && config.kv) this.#begin(key, { ...where, prefix: config.kv.prefix })
    else this.#first.resolve()
    this.#options.onChange([])
  }

  name(): string {
    return this.#watched?.source.name ?? ''
  }

  documents(): DecodedDocuments<DocumentSettings> | undefined {
    return this.#watched?.documents
  }

  store(): KvStore | undefined {
    return this.#watched?.store
  }

  settled(): Promise<void> {
    return this.#first.promise
  }

  problems(): readonly Problem[] {
    const watched = this.#watched
    if (!watched || watched.state.kind === 'current' || (watched.state.kind === 'waiting' && watched.state.fresh))
      return []
    const { name } = watched.source
    const stays = watched.documents ? 'what was known of it stays in force' : 'nothing of it is in force'
    const message = `policy in ${name} cannot be read: ${watched.state.reason}; ${stays}`
    return [Object.freeze({ code: 'policy-source', where: name, message })]
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#first.resolve()
    this.#end()
    await this.#ending
  }

  #end(): void {
    const watched = this.#watched
    this.#watched = undefined
    if (watched) this.#ending = Promise.all([this.#ending, watched.source.stop(), watched.store.stop()])
  }

  #begin(key: string, connection: ConsulConnection & { readonly prefix: string }): void {
    const { deps, saved, onChange, onKnowledge } = this.#options
    const source = createKvSource(
      { ...connection, saved: async () => (await saved())?.get(`kv:${connection.prefix}`) },
      deps,
    )
    const watched: Watched = {
      key,
      source,
      store: createKvStore(connection, deps),
      state: { kind: 'waiting', reason: 'not started', fresh: true },
      documents: undefined,
    }
    this.#watched = watched
    const grace = deps.clock.setTimer(policyGraceMs, () => this.#first.resolve())
    void this.#first.promise.then(() => grace.clear())
    source.start({
      onSnapshot: ({ documents }) => {
        if (this.#watched !== watched) return
        const before = watched.documents
        watched.documents = decodeDocuments(source.name, documents, parseDocument, before)
        this.#first.resolve()
        const knowledge = source.knowledge()
        if (knowledge) onKnowledge([knowledge])
        onChange(causesOf(source.name, before, watched.documents))
      },
      onState: (state) => this.#stateOf(watched, state),
    })
  }

  #stateOf(watched: Watched, state: SourceState): void {
    if (this.#watched !== watched) return
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
    if (state.kind === 'waiting') this.#first.resolve()
    if (before.kind === 'current' || before.kind !== state.kind || before.reason !== state.reason)
      log.warn({ source: name }, `policy in ${name} cannot be read: ${state.reason}`)
  }
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
  for (const key of before?.documents.keys() ?? [])
    if (!after.documents.has(key)) causes.push({ kind: 'policy', source, key })
  return causes
}

/** Nothing is watched before {@link PolicySources.use}. */
export function createPolicySources(options: PolicySourcesOptions): PolicySources {
  return new WatchedPolicy(options)
}
