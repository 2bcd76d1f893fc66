/**
 * What control asks of workers and waits for: to listen, to count, to be there, to end. Each wait ends when it is answered,
 * when whoever was asked has gone, or with its time; none outlives `stop`.
 */
import type { Clock } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { ListenerAddress, ListenerOptions } from '../proxy/options.ts'
import type { Hub, Member } from './hub.ts'
import type { ToControl } from './messages.ts'

type Listening = Extract<ToControl, { kind: 'listening' }>

/** Whoever listened first, and where; with an error nobody does. */
export interface First {
  readonly member: Member
  readonly addresses: readonly ListenerAddress[]
  readonly error: string | undefined
}

interface Asked {
  readonly member: Member
  /** Undefined: it has gone, or was asked anew. */
  readonly done: (answer: Listening | undefined) => void
}

interface Count {
  readonly id: number
  readonly missing: Set<Member>
  readonly done: () => void
}

export class Asking {
  readonly #hub: Pick<Hub, 'members'>
  readonly #clock: Clock
  readonly #log: Logger
  readonly #listening = new Map<number, Asked>()
  readonly #late = new Map<Member, readonly ListenerOptions[]>()
  readonly #counts = new Set<Count>()
  /** Called whenever a worker comes or goes, and at the end. */
  readonly #watchers = new Set<() => void>()
  #id = 0
  #stopped = false

  constructor(hub: Pick<Hub, 'members'>, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#hub = hub
    this.#clock = clock
    this.#log = log
  }

  /** Resolves when `count` workers are there, or `waitMs` after there is one. */
  async all(count: number, waitMs: number): Promise<void> {
    await this.#until(() => this.#hub.members.size > 0 || this.#stopped)
    await this.#until(() => this.#hub.members.size >= count || this.#stopped, waitMs)
  }

  /** Resolves when none is there: true; or after `waitMs`. */
  async empty(waitMs: number): Promise<boolean> {
    await this.#until(() => this.#hub.members.size === 0, waitMs)
    return this.#hub.members.size === 0
  }

  /** Has one worker listen, whichever stays for long enough to say whether it does. */
  async first(listeners: readonly ListenerOptions[]): Promise<First> {
    for (;;) {
      await this.#until(() => this.#hub.members.size > 0 || this.#stopped)
      const [member] = this.#hub.members
      if (this.#stopped || !member)
        throw new FairleadError('FL_LISTEN', 'No worker is there to listen: the proxy ends.')
      const answer = await this.#listen(member, listeners)
      if (answer) return { member, addresses: answer.addresses, error: answer.error }
    }
  }

  /** Has all but `first` listen; returns why one does not, a sentence. */
  async others(first: Member | undefined, listeners: readonly ListenerOptions[]): Promise<string | undefined> {
    const members = [...this.#hub.members].filter((member) => member !== first)
    const answers = await Promise.all(members.map((member) => this.#listen(member, listeners)))
    return answers.find((answer) => answer?.error !== undefined)?.error
  }

  /** Has one that came later listen, as often as it takes. */
  late(member: Member, listeners: readonly ListenerOptions[]): void {
    void this.#listen(member, listeners).then((answer) => {
      if (answer?.error === undefined) return
      this.#log.error({ worker: member.slot }, `worker ${member.slot} does not listen yet: ${answer.error}`)
      this.#late.set(member, listeners)
    })
  }

  /** Asks those anew that could not. */
  again(): void {
    const late = [...this.#late]
    this.#late.clear()
    for (const [member, listeners] of late) this.late(member, listeners)
  }

  /** Resolves when all workers have sent fresh counts, or after `waitMs`. */
  async counts(waitMs: number): Promise<void> {
    const missing = new Set(this.#hub.members)
    if (missing.size === 0 || this.#stopped) return
    const id = ++this.#id
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(waitMs, () => count.done())
      const count: Count = {
        id,
        missing,
        done: () => {
          timer.clear()
          this.#counts.delete(count)
          resolve()
        },
      }
      this.#counts.add(count)
      for (const member of missing) member.say({ kind: 'report', id })
    })
  }

  counted(member: Member, id: number): void {
    for (const count of this.#counts) if (id >= count.id) this.#has(count, member)
  }

  answered(member: Member, answer: Listening): void {
    const asked = this.#listening.get(answer.id)
    if (asked?.member !== member) return
    this.#listening.delete(answer.id)
    asked.done(answer)
  }

  joined(): void {
    for (const watch of this.#watchers) watch()
  }

  left(member: Member): void {
    this.#late.delete(member)
    this.#giveUp(member)
    for (const count of this.#counts) this.#has(count, member)
    for (const watch of this.#watchers) watch()
  }

  /** Ends every wait but that for the workers' end. Idempotent. */
  stop(): void {
    this.#stopped = true
    this.#late.clear()
    for (const { member } of this.#listening.values()) this.#giveUp(member)
    for (const count of this.#counts) count.done()
    for (const watch of this.#watchers) watch()
  }

  #listen(member: Member, listeners: readonly ListenerOptions[]): Promise<Listening | undefined> {
    this.#giveUp(member)
    this.#late.delete(member)
    const id = ++this.#id
    return new Promise((done) => {
      this.#listening.set(id, { member, done })
      member.listen(id, listeners)
    })
  }

  #giveUp(member: Member): void {
    for (const [id, asked] of this.#listening) {
      if (asked.member !== member) continue
      this.#listening.delete(id)
      asked.done(undefined)
    }
  }

  #has(count: Count, member: Member): void {
    count.missing.delete(member)
    if (count.missing.size === 0) count.done()
  }

  #until(isSo: () => boolean, waitMs?: number): Promise<void> {
    if (isSo()) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        timer?.clear()
        this.#watchers.delete(look)
        resolve()
      }
      const look = (): void => {
        if (isSo()) done()
      }
      const timer = waitMs === undefined ? undefined : this.#clock.setTimer(waitMs, done)
      this.#watchers.add(look)
    })
  }
}
