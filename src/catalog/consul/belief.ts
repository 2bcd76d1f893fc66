/**
 * Whether an answer that takes something away (instances, documents) is believed. Consul fails too: a lost token, a server
 * without a leader and an agent that came back empty all look like mass death. Pure but for what it remembers of held
 * lists; the reads that confirm are its caller's.
 */
import type { Milliseconds } from '../../core/clock.ts'

/** What is judged: one thing of a list, by its identity. */
interface Thing {
  readonly key: string
}

/** What a second look found against an answer. */
export interface Objection {
  readonly reason: string
  /** Whether the answer is believed all the same once it has stayed so for long enough. */
  readonly passes: boolean
}

export interface Evidence {
  /** Monotonic, in ms. */
  readonly nowMs: Milliseconds
  /** When a request to this Consul last failed; undefined: never. */
  readonly troubleMs: Milliseconds | undefined
  readonly leader: boolean
  readonly filtered: boolean
  /** Looks again, after the answer; undefined: what is missing is gone indeed. */
  readonly look: () => Promise<Objection | undefined>
  /** Whether it takes a look also when some are left; else only when all are gone. */
  readonly looksAlways?: boolean | undefined
}

export type Verdict =
  | { readonly kind: 'believe' }
  /** Keep what would be taken away, take over the rest, ask again. */
  | { readonly kind: 'hold'; readonly reason: string }

interface Held {
  readonly sinceMs: Milliseconds
}

const believe: Verdict = Object.freeze({ kind: 'believe' })

export class Belief {
  readonly #holdMs: Milliseconds
  readonly #things: string
  readonly #held = new Map<string, Held>()

  /** `things` is what the lists hold, in the plural, for people. */
  constructor(holdMs: Milliseconds, things: string) {
    this.#holdMs = holdMs
    this.#things = things
  }

  /** Lists whose last answer was not believed: their next read asks the leader to be sure. */
  isHeld(name: string): boolean {
    return this.#held.has(name)
  }

  get heldCount(): number {
    return this.#held.size
  }

  forget(name: string): void {
    this.#held.delete(name)
  }

  /** `next` is what Consul now says of a list of which `before` was believed. */
  async judge(name: string, before: readonly Thing[], next: readonly Thing[], evidence: Evidence): Promise<Verdict> {
    const left = countLeft(before, next)
    const reason = left === 0 ? undefined : await this.#suspicion(name, before.length, left, next.length, evidence)
    if (reason === undefined) {
      this.#held.delete(name)
      return believe
    }
    if (!this.#held.has(name)) this.#held.set(name, { sinceMs: evidence.nowMs })
    return { kind: 'hold', reason: `${name}: ${reason}` }
  }

  async #suspicion(
    name: string,
    before: number,
    left: number,
    next: number,
    evidence: Evidence,
  ): Promise<string | undefined> {
    const what = `${String(left)} of ${String(before)} ${this.#things} are gone`
    if (!evidence.leader) return `${what}, says a Consul that has no leader`
    const held = this.#held.get(name)
    const confirmed = held !== undefined && evidence.nowMs - held.sinceMs >= this.#holdMs
    const troubled = evidence.troubleMs !== undefined && evidence.nowMs - evidence.troubleMs < this.#holdMs
    if (next > 0) {
      // After trouble most may be missing because the rest has not come back yet.
      const most = left >= 2 && left * 2 > before
      if (troubled && most && !confirmed) return `${what} after Consul was away`
      if (evidence.looksAlways !== true) return undefined
    }
    if (evidence.filtered) return `${what}, and Consul says that the token hides some`
    if (next === 0 && troubled && !confirmed) return `${what} after Consul was away`
    const objection = await evidence.look()
    return objection === undefined || (objection.passes && confirmed) ? undefined : `${what}, ${objection.reason}`
  }
}

/** What to go on with while an answer is held: all of `next`, and of `before` what `next` does not have. */
export function union<T extends Thing>(before: readonly T[], next: readonly T[]): readonly T[] {
  const keys = new Set(next.map((thing) => thing.key))
  const kept = before.filter((thing) => !keys.has(thing.key))
  return [...next, ...kept].sort((a, b) => (a.key < b.key ? -1 : 1))
}

function countLeft(before: readonly Thing[], next: readonly Thing[]): number {
  if (before.length === 0) return 0
  const keys = new Set(next.map((thing) => thing.key))
  return before.reduce((left, thing) => (keys.has(thing.key) ? left : left + 1), 0)
}
