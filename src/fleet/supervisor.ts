/**
 * Keeps one control process and so many workers alive, and ends them: the state of each child, whether it still answers, when
 * the next one takes its place, and with what the whole ends. It carries no request, holds no table and opens no socket, so that there is next to
 * nothing in it that could fail. How a process is started is given to it.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'

export type Role = { readonly kind: 'control' } | { readonly kind: 'worker'; readonly slot: number }

/** A child that runs. */
export interface Child {
  readonly pid: number
  /**
   * `stop`: end gently. `reload`: read the configuration again. `beat`: answer with `onBeat`. A child whose supervisor has gone
   * takes that for `stop`.
   */
  tell(word: 'stop' | 'reload' | 'beat'): void
  /** Ends it at once. */
  kill(): void
}

export interface ChildEvents {
  /** Control has begun to serve: whatever ends it from now on is no fault of what it was started with. */
  readonly onReady: () => void
  /** It runs, or has answered a `beat`. */
  readonly onBeat: () => void
  /** Control has given its place to another proxy: all of this one is to end. */
  readonly onRetired: () => void
  /** Called once. `code` undefined: a signal ended it, or it could not be started. */
  readonly onEnd: (code: number | undefined, how: string) => void
}

export interface SupervisorOptions {
  readonly workers: number
  readonly clock: Clock
  readonly log: Logger
  readonly spawn: (role: Role, events: ChildEvents) => Child
  /** How long children may take to end after `stop`; then they are killed. */
  readonly endMs: Milliseconds
  /** All have ended. Called once, with the exit code of the whole. */
  readonly onEnd: (code: number) => void
}

/** Children are asked this often whether they are there, ms. */
export const beatMs: Milliseconds = 1_000
/** A worker that answers nothing for this long hangs, and so do its clients: it is ended; ms. */
export const workerHungMs: Milliseconds = 10_000
/** Control is given more, since workers serve without it; so is whoever has only just been started, ms. */
export const patienceMs: Milliseconds = 30_000
/** A beat that comes this late means that it was the supervisor that was held up, ms. */
const lateMs: Milliseconds = 3 * beatMs
/** A child that lived for this long did not die of being started. */
const livedMs: Milliseconds = 10_000
/** Wait before the third of a series that died of that; it doubles up to `againMaxMs`. The second is started at once. */
const againMs: Milliseconds = 100
const againMaxMs: Milliseconds = 5_000

interface Place {
  readonly role: Role
  readonly name: string
  child: Child | undefined
  startedMs: Milliseconds
  /** When it answered last, or was started, ms. */
  heardMs: Milliseconds
  /** How long it may say nothing, ms. */
  hungMs: Milliseconds
  /** Deaths in a row soon after the start. */
  quick: number
  again: Timer | undefined
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #places: readonly Place[]
  /** Control has served once. */
  #served = false
  #stopping = false
  #code = 0
  #end: Timer | undefined
  #watch: Timer | undefined
  #beatMs: Milliseconds = 0
  #over = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    const place = (role: Role, name: string): Place => ({
      role,
      name,
      child: undefined,
      startedMs: 0,
      heardMs: 0,
      hungMs: patienceMs,
      quick: 0,
      again: undefined,
    })
    this.#places = [
      place({ kind: 'control' }, 'the control process'),
      ...Array.from({ length: options.workers }, (_, slot) =>
        place({ kind: 'worker', slot }, `worker ${String(slot)}`),
      ),
    ]
  }

  start(): void {
    for (const place of this.#places) this.#spawn(place)
    this.#plan()
  }

  reload(): void {
    this.#places[0]?.child?.tell('reload')
  }

  /** Ends all gently. Idempotent. */
  stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#watch?.clear()
    for (const place of this.#places) {
      place.again?.clear()
      place.child?.tell('stop')
    }
    this.#end = this.#options.clock.setTimer(this.#options.endMs, () => this.#giveUp())
    this.#look()
  }

  /** Ends all at once. */
  kill(): void {
    for (const { child } of this.#places) child?.kill()
  }

  #plan(): void {
    const { clock } = this.#options
    this.#beatMs = clock.now()
    this.#watch = clock.setTimer(beatMs, () => {
      this.#beat()
      this.#plan()
    })
  }

  /** Whoever has not answered for too long is ended, and then replaced as any that died. */
  #beat(): void {
    const { clock, log } = this.#options
    const nowMs = clock.now()
    const isLate = nowMs - this.#beatMs > lateMs
    for (const place of this.#places) {
      const { child, name, heardMs, hungMs } = place
      if (!child) continue
      // What they said meanwhile may not have been read; and one that was ended once is gone soon.
      if (isLate || nowMs - heardMs > hungMs) place.heardMs = nowMs
      if (!isLate && nowMs - heardMs > hungMs) {
        log.error({ childPid: child.pid }, `${name} has said nothing for ${hungMs / 1_000} s: it is ended`)
        child.kill()
      } else child.tell('beat')
    }
  }

  #giveUp(): void {
    const { log } = this.#options
    for (const { child, name } of this.#places)
      if (child) log.error({ childPid: child.pid }, `${name} does not end: killed`)
    this.kill()
  }

  #spawn(place: Place): void {
    const { clock, spawn } = this.#options
    place.again = undefined
    place.startedMs = place.heardMs = clock.now()
    place.hungMs = patienceMs
    place.child = spawn(place.role, {
      onReady: () => {
        if (place.role.kind === 'control') this.#served = true
      },
      onBeat: () => {
        place.heardMs = clock.now()
        if (place.role.kind === 'worker') place.hungMs = workerHungMs
      },
      onRetired: () => this.stop(),
      onEnd: (code, how) => this.#ended(place, code, how),
    })
  }

  #ended(place: Place, code: number | undefined, how: string): void {
    const { clock, log } = this.#options
    const { role, name } = place
    place.child = undefined
    if (this.#stopping) return this.#look()
    if (role.kind === 'control' && !this.#served && code !== undefined) {
      // What keeps it from running, it has said; trying again would only say it again.
      this.#code = code === 0 ? 1 : code
      return this.stop()
    }
    place.quick = clock.now() - place.startedMs < livedMs ? place.quick + 1 : 0
    const waitMs = place.quick < 2 ? 0 : Math.min(againMaxMs, againMs * 2 ** (place.quick - 2))
    const meanwhile =
      role.kind === 'control'
        ? 'workers go on with what they know'
        : 'its connections are lost, the other workers take new ones'
    log.error({ how, waitMs }, `${name} has died (${how}); ${meanwhile} until another is there`)
    place.again = clock.setTimer(waitMs, () => this.#spawn(place))
  }

  #look(): void {
    if (this.#over || this.#places.some(({ child }) => child)) return
    this.#over = true
    this.#end?.clear()
    this.#options.onEnd(this.#code)
  }
}
