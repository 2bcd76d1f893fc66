/**
 * Whether an answer that takes instances away is believed. A catalog fails too: a lost token, a server without a leader and
 * an agent that came back empty all look like mass death. Pure but for what it remembers of held services; the reads
 * that confirm are its caller's.
 */
import type { Milliseconds } from '../../core/clock.ts'
import type { Instance } from '../snapshot.ts'

export interface Evidence {
  /** Monotonic, in ms. */
  readonly nowMs: Milliseconds
  /** When a request to this Consul last failed; undefined: never. */
  readonly troubleMs: Milliseconds | undefined
  readonly leader: boolean
  readonly filtered: boolean
  /** What a catalog read after the answer says of the service; asked only when all instances are gone. */
  readonly catalog: () => Promise<'gone' | 'listed' | 'blind'>
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
  readonly #held = new Map<string, Held>()

  constructor(holdMs: Milliseconds) {
    this.#holdMs = holdMs
  }

  /** Services whose last answer was not believed: their next read asks the leader to be sure. */
  isHeld(name: string): boolean {
    return this.#held.has(name)
  }

  get heldCount(): number {
    return this.#held.size
  }

  forget(name: string): void {
    this.#held.delete(name)
  }

  /** `next` is what Consul now says of a service of which `before` was believed. */
  async judge(
    name: string,
    before: readonly Instance[],
    next: readonly Instance[],
    evidence: Evidence,
  ): Promise<Verdict> {
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
    const what = `${String(left)} of ${String(before)} instances are gone`
    if (!evidence.leader) return `${what}, says a Consul that has no leader`
    const held = this.#held.get(name)
    const confirmed = held !== undefined && evidence.nowMs - held.sinceMs >= this.#holdMs
    const troubled = evidence.troubleMs !== undefined && evidence.nowMs - evidence.troubleMs < this.#holdMs
    if (next > 0) {
      // After trouble most may be missing because the rest has not come back yet.
      const most = left >= 2 && left * 2 > before
      return troubled && most && !confirmed ? `${what} after Consul was away` : undefined
    }
    if (evidence.filtered) return `${what}, and Consul says that the token hides some`
    if (troubled && !confirmed) return `${what} after Consul was away`
    const listed = await evidence.catalog()
    if (listed === 'gone') return undefined
    if (listed === 'blind') return `${what}, and so is the whole catalog: the token probably lost its rights`
    return confirmed ? undefined : `${what}, yet the catalog lists the service: the token may lack node:read`
  }
}

/** The instances to go on with while an answer is held: all of `next`, and of `before` what `next` does not have. */
export function union(before: readonly Instance[], next: readonly Instance[]): readonly Instance[] {
  const keys = new Set(next.map((instance) => instance.key))
  const kept = before.filter((instance) => !keys.has(instance.key))
  return [...next, ...kept].sort((a, b) => (a.key < b.key ? -1 : 1))
}

function countLeft(before: readonly Instance[], next: readonly Instance[]): number {
  if (before.length === 0) return 0
  const keys = new Set(next.map((instance) => instance.key))
  return before.reduce((left, instance) => (keys.has(instance.key) ? left : left + 1), 0)
}
