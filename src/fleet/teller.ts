/**
 * What a worker has to tell control, until it can: verdicts (the newest of each registration), events and troubles (so many,
 * then the oldest are given up and counted). It sends what came in one turn of the loop together, and nothing while control
 * does not keep up or is away; requests never wait for it.
 */
import type { Clock } from '../core/clock.ts'
import type { HealthEvent } from '../health/event.ts'
import type { Trouble } from '../proxy/options.ts'
import { keptTrouble } from './crossing.ts'
import type { Link } from './link.ts'
import type { ToControl, ToWorker, Word } from './messages.ts'

export const eventsMax = 10_000
/** Each may hold a whole head. */
export const troublesMax = 256

export class Teller {
  readonly #clock: Clock
  readonly #defer: (fn: () => void) => void
  #link: Link<ToWorker, ToControl> | undefined
  #words = new Map<string, Word>()
  #events: HealthEvent[] = []
  #troubles: Trouble[] = []
  #lost = 0
  #planned = false

  /** `defer` calls its argument once this turn of the loop is over. */
  constructor(clock: Clock, defer: (fn: () => void) => void = setImmediate) {
    this.#clock = clock
    this.#defer = defer
  }

  /** Messages that were given up. */
  get lost(): number {
    return this.#lost
  }

  /** Whom to tell; undefined: nobody now. Verdicts that nobody could be told are forgotten: all that stands is told to the next. */
  use(link: Link<ToWorker, ToControl> | undefined): void {
    this.#link = link
    this.#words = new Map()
    this.flush()
  }

  word(word: Word): void {
    if (!this.#link) return
    this.#words.set(word.key, word)
    this.#plan()
  }

  event(event: HealthEvent): void {
    this.#events.push(event)
    if (this.#events.length > eventsMax) this.#giveUp(this.#events)
    this.#plan()
  }

  trouble(trouble: Trouble): void {
    this.#troubles.push(keptTrouble(trouble))
    if (this.#troubles.length > troublesMax) this.#giveUp(this.#troubles)
    this.#plan()
  }

  /** Sends what there is, if it is taken. */
  flush(): void {
    const link = this.#link
    if (!link || link.pressed) return
    // An event before the verdict it belongs to: who found it out opens the entry of the ledger.
    if (this.#events.length > 0) link.send({ kind: 'events', nowMs: this.#clock.now(), events: this.#events })
    if (this.#words.size > 0) link.send({ kind: 'words', words: [...this.#words.values()] })
    if (this.#troubles.length > 0) link.send({ kind: 'troubles', troubles: this.#troubles })
    this.#events = []
    this.#words = new Map()
    this.#troubles = []
  }

  #giveUp(list: unknown[]): void {
    list.shift()
    this.#lost++
  }

  #plan(): void {
    if (this.#planned || !this.#link) return
    this.#planned = true
    this.#defer(() => {
      this.#planned = false
      this.flush()
    })
  }
}
