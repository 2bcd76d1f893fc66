/**
 * The sessions' clocks: ends those that are not renewed in time (after twice their TTL, as Consul does, which promises no
 * more than "not before"), and starts the lock-delay of the keys a session lost. Owns these timers.
 * After a restart every session starts with its full time; lock-delays are not kept.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { errorText } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { LockDelays } from './lock-delays.ts'
import type { Change, SessionRecord } from './records.ts'
import { destroySession, sessionTtlMs } from './session-commands.ts'
import type { CatalogStore } from './store.ts'

const TTL_FACTOR = 2
/** When the end of a session cannot be written down. */
const RETRY_MS = 5_000

export class SessionRunner {
  readonly #store: CatalogStore
  readonly #delays: LockDelays
  readonly #clock: Clock
  readonly #log: Logger
  readonly #running = new Map<string, { readonly session: SessionRecord; timer: Timer | undefined }>()
  #unlisten: (() => void) | undefined

  constructor(store: CatalogStore, delays: LockDelays, deps: { clock: Clock; log: Logger }) {
    this.#store = store
    this.#delays = delays
    this.#clock = deps.clock
    this.#log = deps.log
  }

  start(): void {
    for (const session of this.#store.state.sessions.values()) this.#begin(session)
    this.#unlisten = this.#store.onCommit((changes) => this.#follow(changes))
  }

  stop(): void {
    this.#unlisten?.()
    for (const running of this.#running.values()) running.timer?.clear()
    this.#running.clear()
  }

  renew(id: string): void {
    const running = this.#running.get(id)
    if (running) this.#begin(running.session)
  }

  #follow(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'session') this.#begin(change.session)
      else if (change.kind === 'session-gone') {
        const running = this.#running.get(change.id)
        running?.timer?.clear()
        this.#running.delete(change.id)
        for (const key of change.held) this.#delays.start(key, running?.session.lockDelayMs ?? 0)
      }
    }
  }

  #begin(session: SessionRecord): void {
    this.#running.get(session.id)?.timer?.clear()
    const ttlMs = sessionTtlMs(session.ttl)
    this.#running.set(session.id, { session, timer: ttlMs > 0 ? this.#arm(session.id, ttlMs * TTL_FACTOR) : undefined })
  }

  #arm(id: string, delayMs: number): Timer {
    return this.#clock.setTimer(delayMs, () => {
      try {
        this.#log.info({ session: id }, 'a session was not renewed in time')
        this.#store.commit(() => destroySession(this.#store.state, id))
      } catch (error) {
        this.#log.error({ session: id, error: errorText(error) }, 'the end of a session could not be written')
        const running = this.#running.get(id)
        if (running) running.timer = this.#arm(id, RETRY_MS)
      }
    })
  }
}
