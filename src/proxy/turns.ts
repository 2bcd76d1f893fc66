/**
 * In which order requests are executed for the second, and last, time. One of them may be why their first endpoint broke, and
 * breaks the next one too: whatever was sent there beside it for its own last time is lost. So each endpoint gets one such
 * request, and as many again as have begun to be answered: one, then two, then four. The others wait, for a
 * bounded time. It chooses no endpoint and knows no requests: who waits is woken, and asks again.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { EndpointState } from '../live/runtime.ts'
import type { Deadlines, Watched } from '../wire/deadlines.ts'

/** The longest that a request waits for its turn, ms. What is then left goes all the same. */
export const turnWaitMaxMs = 250

/** So many may wait in one service; more go at once. */
export const turnsWaitingMax = 1_024

/** So many that cannot go are asked each time that somebody might: the first may have nowhere to go where a later one has. */
const refusalsMax = 8

interface Place {
  /** Sent there for the second time, and not a byte has come. */
  running: number
  /** Of those: what is likelier than the rest to be the cause, and has the place for itself. */
  suspects: number
  /** How many may be. */
  allowed: number
}

interface Waiter {
  readonly dueMs: Milliseconds
  wake: (due: boolean) => void
  /** It was woken, and waits on. */
  stays: boolean
}

/** Says how it ended: an answer began, or not. Once. */
export type Turn = (answered: boolean) => void

export class Turns implements Watched {
  slot = -1
  readonly #deadlines: Deadlines
  readonly #places = new Map<EndpointState, Place>()
  /** By service, in the order in which they came. */
  readonly #waiting = new Map<string, Map<unknown, Waiter>>()
  #asking = false
  #askAgain = false

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines
  }

  /**
   * The endpoints that may get no more just now: of `suspect` ones, or of the others; of those that are `due`, only where one kind
   * would meet the other.
   */
  taken(suspect: boolean, due = false): readonly EndpointState[] {
    const found: EndpointState[] = []
    for (const [state, { running, suspects, allowed }] of this.#places)
      if (suspect ? running > (due ? suspects : 0) : suspects > 0 || (!due && running >= allowed)) found.push(state)
    return found
  }

  /** A request is sent to `state` for the second time. */
  begin(state: EndpointState, suspect: boolean): Turn {
    const place = this.#places.get(state) ?? { running: 0, suspects: 0, allowed: 1 }
    this.#places.set(state, place)
    place.running++
    if (suspect) place.suspects++
    return (answered) => {
      place.running--
      if (suspect) place.suspects--
      if (answered) place.allowed++
      this.#ask(state.service)
      if (place.running === 0) this.#places.delete(state)
    }
  }

  /** False: so many wait that one more must not. */
  hasRoom(service: string): boolean {
    return (this.#waiting.get(service)?.size ?? 0) < turnsWaitingMax
  }

  /**
   * `wake` is called when an endpoint may be free, and with `due` when it has waited for long enough. Called again from there it
   * keeps its place; else it has gone. `key`: who waits.
   */
  wait(service: string, key: unknown, wake: (due: boolean) => void): void {
    const queue = this.#waiting.get(service) ?? new Map<unknown, Waiter>()
    const known = queue.get(key)
    if (known) {
      known.wake = wake
      known.stays = true
      return
    }
    if (this.#waiting.size === 0) this.#deadlines.add(this)
    this.#waiting.set(service, queue)
    queue.set(key, { dueMs: this.#deadlines.now() + turnWaitMaxMs, wake, stays: true })
  }

  /** It waits no longer: its client is gone, or it has its answer. */
  leave(service: string, key: unknown): void {
    const queue = this.#waiting.get(service)
    if (queue?.delete(key) !== true || queue.size > 0) return
    this.#waiting.delete(service)
    if (this.#waiting.size === 0) this.#deadlines.remove(this)
  }

  /** Of all services. */
  get waiting(): number {
    let count = 0
    for (const queue of this.#waiting.values()) count += queue.size
    return count
  }

  onSweep(nowMs: Milliseconds): void {
    for (const [service, queue] of this.#waiting) {
      for (const [key, waiter] of queue) {
        if (nowMs < waiter.dueMs) break
        this.leave(service, key)
        waiter.wake(true)
      }
      // One that was quiet may have been heard, or another one have come.
      this.#ask(service)
    }
  }

  #ask(service: string): void {
    // One that goes may free a place on the spot.
    this.#askAgain = this.#asking
    if (this.#asking) return
    this.#asking = true
    do {
      this.#askAgain = false
      this.#askEach(service)
    } while (this.#askAgain)
    this.#asking = false
  }

  #askEach(service: string): void {
    let refusals = 0
    for (const [key, waiter] of this.#waiting.get(service) ?? []) {
      waiter.stays = false
      waiter.wake(false)
      if (!waiter.stays) this.leave(service, key)
      else if (++refusals >= refusalsMax) return
    }
  }
}
