/**
 * Carries out at this proxy the drains that documents order for all of them, and removes documents that are over. It
 * writes no new ones (`admin/endpoints.ts` does) and touches no order that was given at this proxy alone: such a one stands
 * above a document that was there before it, and below one that comes after it.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { EndpointState } from '../live/runtime.ts'
import type { DrainDocument } from '../policy/kv/drain-document.ts'
import type { DecodedDocument, DecodedDocuments } from '../policy/kv/decode-documents.ts'
import type { KvStore } from '../policy/kv/kv-store.ts'
import { documentKey } from '../policy/kv/keys.ts'
import type { DocumentSettings, OutsidePolicy } from '../policy/layers.ts'
import type { DataPlane } from '../proxy/options.ts'

/** Between two looks for documents that are over. */
export const cleanEveryMs: Milliseconds = 15_000
/** How long after its end a document stays: a clock that is ahead must not end a drain at the others. */
export const overForMs: Milliseconds = 60_000
/** How long its registration must be gone: a catalog may lose sight of what is still there. */
export const goneForMs: Milliseconds = 600_000
/** How long whoever wrote a document waits for it to come back by the watch. */
export const seenWithinMs: Milliseconds = 2_000

/** A drain in force: its document's name, and the ModifyIndex that it was read at. */
export interface SharedDrain extends DrainDocument {
  readonly name: string
  readonly modifyIndex: number
}

export interface SharedDrains {
  /** The source of documents, such as `kv:fairlead`; '' without one: then drains are one proxy's own. */
  source(): string
  /** For changes; undefined: there is nowhere to keep them. */
  store(): KvStore | undefined
  /** The drain of this registration that this proxy has seen. */
  find(key: string, life: number): SharedDrain | undefined
  /** The ModifyIndex at which the drain called `name` was read; undefined: there is none. */
  indexOf(name: string): number | undefined
  /** Documents, the table or an order changed: has done what they say when it returns. */
  reconcile(): void
  /** Whether the drain called `name` was read at another index than `modifyIndex` or is gone, within {@link seenWithinMs}. */
  changed(name: string, modifyIndex: number | undefined): Promise<boolean>
  /** Ends its timers; who waits is told no. Idempotent. */
  stop(): void
}

export interface SharedDrainsOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly plane: Pick<DataPlane, 'operate' | 'stateOf' | 'figures'>
  readonly policies: {
    outside(): Pick<OutsidePolicy, 'source' | 'documents'>
    store(): KvStore | undefined
  }
}

interface Known {
  readonly drain: SharedDrain
  readonly by: string
  readonly reason: string
  /** The state it was last given to; another one, or an order that ended, is given it anew. */
  given: EndpointState | undefined
  /** Monotonic ms; Infinity: its registration is here, or never was. */
  goneSinceMs: number
}

interface Waiter {
  readonly name: string
  readonly modifyIndex: number | undefined
  readonly done: (seen: boolean) => void
}

class DocumentDrains implements SharedDrains {
  readonly #options: SharedDrainsOptions
  readonly #known = new Map<string, Known>()
  readonly #waiters = new Set<Waiter>()
  #read: DecodedDocuments<DocumentSettings> | undefined
  #busy = false
  #timer: Timer | undefined
  /** Where the token has no right to delete; said once. */
  #refused = false
  #stopped = false

  constructor(options: SharedDrainsOptions) {
    this.#options = options
    this.#later()
  }

  source(): string {
    return this.#options.policies.outside().source
  }

  store(): KvStore | undefined {
    return this.#options.policies.store()
  }

  find(key: string, life: number): SharedDrain | undefined {
    for (const { drain } of this.#known.values()) if (drain.key === key && drain.life === life) return drain
    return undefined
  }

  indexOf(name: string): number | undefined {
    return this.#known.get(name)?.drain.modifyIndex
  }

  reconcile(): void {
    // What it does itself is told of as a change, too.
    if (this.#busy || this.#stopped) return
    this.#busy = true
    this.#readDocuments()
    for (const known of this.#known.values()) this.#carryOut(known)
    this.#busy = false
    for (const { name, modifyIndex, done } of this.#waiters) if (this.indexOf(name) !== modifyIndex) done(true)
  }

  changed(name: string, modifyIndex: number | undefined): Promise<boolean> {
    if (this.indexOf(name) !== modifyIndex) return Promise.resolve(true)
    if (this.#stopped) return Promise.resolve(false)
    return new Promise((resolve) => {
      const done = (seen: boolean): void => {
        timer.clear()
        this.#waiters.delete(waiter)
        resolve(seen)
      }
      const waiter = { name, modifyIndex, done }
      const timer = this.#options.clock.setTimer(seenWithinMs, () => done(false))
      this.#waiters.add(waiter)
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.clear()
    for (const { done } of this.#waiters) done(false)
  }

  /** Takes over what the documents say now; a source that has not answered yet says nothing, and what was known stays. */
  #readDocuments(): void {
    const { policies } = this.#options
    const { source, documents } = policies.outside()
    if (documents === this.#read || (documents === undefined && source !== '')) return
    this.#read = documents
    const names = new Set<string>()
    for (const document of documents?.documents.values() ?? []) {
      if (document.envelope.settings.of !== 'drains') continue
      names.add(document.name)
      const before = this.#known.get(document.name)
      if (before?.drain.modifyIndex === document.modifyIndex) continue
      if (before && !isSameTarget(before.drain, document.envelope.settings.settings)) this.#lift(before)
      this.#known.set(document.name, knownOf(document, document.envelope.settings.settings))
    }
    for (const [name, known] of this.#known) {
      if (names.has(name)) continue
      this.#known.delete(name)
      this.#lift(known)
    }
  }

  #carryOut(known: Known): void {
    const { clock, plane } = this.#options
    const { drain, by, reason } = known
    const state = plane.stateOf(drain.key, drain.life)
    if (!state) {
      if (known.given && known.goneSinceMs === Infinity) known.goneSinceMs = clock.now()
      return
    }
    known.goneSinceMs = Infinity
    if (known.given === state && state.order) return
    const forMs = drain.untilMs === undefined ? undefined : drain.untilMs - clock.wall()
    if (forMs !== undefined && forMs <= 0) return
    known.given = state
    plane.operate(drain.key, drain.life, { kind: 'drain', forMs, reason, by, document: this.#where(drain) })
  }

  /** Its document is gone: so is the order, unless somebody gave another one here. */
  #lift({ drain, by }: Known): void {
    const { plane } = this.#options
    if (plane.stateOf(drain.key, drain.life)?.order?.document === undefined) return
    plane.operate(drain.key, drain.life, { kind: 'restore', reason: 'its document is gone', by })
  }

  #where({ name }: SharedDrain): string {
    return `${this.source()}/${documentKey('drains', name)}`
  }

  // === Cleaning ===

  #later(): void {
    this.#timer = this.#options.clock.setTimer(cleanEveryMs, () => {
      this.#liftStrays()
      void this.#clean().finally(() => {
        if (!this.#stopped) this.#later()
      })
    })
  }

  /** Orders of documents that went while this process did not run, which worker processes that outlived it still had. */
  #liftStrays(): void {
    const { plane, policies } = this.#options
    const { source, documents } = policies.outside()
    if (documents === undefined && source !== '') return
    for (const { key, life, order } of plane.figures().endpoints) {
      if (order?.document === undefined || this.find(key, life)) continue
      plane.operate(key, life, { kind: 'restore', reason: 'its document is gone', by: order.by })
    }
  }

  async #clean(): Promise<void> {
    const { clock, log } = this.#options
    const store = this.store()
    if (!store || this.#refused) return
    for (const { drain, goneSinceMs } of this.#known.values()) {
      const isOver = drain.untilMs !== undefined && clock.wall() - drain.untilMs >= overForMs
      if (!isOver && clock.now() - goneSinceMs < goneForMs) continue
      try {
        const result = await store.delete(documentKey('drains', drain.name), { cas: drain.modifyIndex })
        // Another proxy was first, or Consul is away: the next look tells.
        if (result.kind !== 'refused') continue
        this.#refused = true
        log.warn({ document: this.#where(drain) }, `drains that are over cannot be removed: ${result.message}`)
        return
      } catch (error) {
        log.warn({ document: this.#where(drain) }, `a drain that is over cannot be removed: ${errorText(error)}`)
      }
    }
  }
}

function knownOf({ name, envelope, modifyIndex }: DecodedDocument<DocumentSettings>, settings: DrainDocument): Known {
  const { by, reason } = envelope
  return { drain: { ...settings, name, modifyIndex }, by, reason, given: undefined, goneSinceMs: Infinity }
}

function isSameTarget(a: DrainDocument, b: DrainDocument): boolean {
  return a.key === b.key && a.life === b.life
}

/** Nothing is carried out before the first {@link SharedDrains.reconcile}. */
export function createSharedDrains(options: SharedDrainsOptions): SharedDrains {
  return new DocumentDrains(options)
}
