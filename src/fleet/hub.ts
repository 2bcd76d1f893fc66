/**
 * Control's end of the seam: the socket that workers come to, and what each of them still has to be told. A worker that does
 * not keep up gets the newest of everything once it does, and nothing of what lies between: settings, table and verdicts are
 * kept as what is wanted, not as a queue. It decides nothing and knows no request.
 */
import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { errorText, FairleadError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { type InTurn, inOwnTurn } from '../core/turn.ts'
import type { ListenerAddress, ListenerOptions } from '../proxy/options.ts'
import type { RouteTable } from '../table/table.ts'
import { Link } from './link.ts'
import { protocol, type SentOrder, type ToControl, type ToWorker, type Word, type WorkerSettings } from './messages.ts'
import { tableDelta } from './table-delta.ts'

/** Control says this often that it is there, ms. */
export const beatMs: Milliseconds = 500

/** Orders that wait for one worker; they are few, and each is one person's word. */
const ordersMax = 10_000

type Hello = Extract<ToControl, { kind: 'hello' }>
export type Told = Exclude<ToControl, Hello>

/** One worker, for as long as its connection lasts. */
export class Member {
  readonly slot: number
  readonly epoch: string
  readonly pid: number
  /** What it listened on when it came. */
  readonly listeners: readonly ListenerAddress[]
  readonly #link: Link<ToControl, ToWorker>
  readonly #inTurn: InTurn
  #planned = false
  #settings: WorkerSettings | undefined
  #table: RouteTable | undefined
  /** What it has. */
  #sent: RouteTable | undefined
  #words = new Map<string, Word>()
  #orders: SentOrder[] = []
  #allOrders = false
  #listen: Extract<ToWorker, { kind: 'listen' }> | undefined

  /** What is wanted of it in one turn of the loop is sent together, in a later one. */
  constructor({ slot, epoch, pid, listeners }: Hello, link: Link<ToControl, ToWorker>, inTurn: InTurn = inOwnTurn) {
    this.slot = slot
    this.epoch = epoch
    this.pid = pid
    this.listeners = listeners
    this.#link = link
    this.#inTurn = inTurn
  }

  /** It is to have these settings. */
  settings(settings: WorkerSettings): void {
    this.#settings = settings
    this.#plan()
  }

  /** It is to have this table. */
  table(table: RouteTable): void {
    this.#table = table
    this.#plan()
  }

  /** A later verdict on the same registration takes the place of one that was not sent yet. */
  words(words: Iterable<Word>): void {
    for (const word of words) this.#words.set(word.key, word)
    this.#plan()
  }

  /** `all`: there are no others. */
  orders(orders: readonly SentOrder[], all: boolean): void {
    if (all) this.#orders = []
    this.#allOrders ||= all
    this.#orders.push(...orders.slice(0, ordersMax - this.#orders.length))
    this.#plan()
  }

  /** What is small, and of no use later: not sent to one that does not keep up. */
  say(message: Extract<ToWorker, { kind: 'beat' | 'report' }>): void {
    if (!this.#link.pressed) this.#link.send(message)
  }

  /** It is to listen on these, once it has a table. */
  listen(id: number, listeners: readonly ListenerOptions[]): void {
    this.#listen = { kind: 'listen', id, listeners }
    this.#plan()
  }

  leave(): void {
    this.flush()
    this.#link.send({ kind: 'leave' })
  }

  drain(deadlineMs: number): void {
    this.flush()
    this.#link.send({ kind: 'drain', deadlineMs })
  }

  /** Sends what it is to have, in the order in which it needs it, as far as it keeps up. */
  flush(): void {
    const link = this.#link
    if (link.pressed) return
    if (this.#settings) link.send({ kind: 'settings', settings: this.#settings })
    this.#settings = undefined
    if (this.#table && this.#table !== this.#sent) {
      link.send({ kind: 'table', delta: tableDelta(this.#sent, this.#table) })
      this.#sent = this.#table
    }
    // Before the first table it would not know of whom they speak.
    if (!this.#sent) return
    if (this.#orders.length > 0 || this.#allOrders)
      link.send({ kind: 'orders', all: this.#allOrders, orders: this.#orders })
    this.#orders = []
    this.#allOrders = false
    if (this.#words.size > 0) link.send({ kind: 'words', words: [...this.#words.values()] })
    this.#words = new Map()
    if (this.#listen) link.send(this.#listen)
    this.#listen = undefined
  }

  close(): void {
    this.flush()
    this.#link.end()
  }

  #plan(): void {
    if (this.#planned) return
    this.#planned = true
    this.#inTurn(() => {
      this.#planned = false
      this.flush()
    })
  }
}

export interface HubOptions {
  /** Path of the Unix socket. */
  readonly path: string
  /** Version of this program; workers of another one are turned away. */
  readonly version: string
  /** Names this life of control. */
  readonly epoch: string
  readonly clock: Clock
  readonly log: Logger
  readonly onJoin: (member: Member) => void
  readonly onMessage: (member: Member, message: Told) => void
  readonly onLeave: (member: Member) => void
  /** Twice a second. */
  readonly onBeat: () => void
}

export class Hub {
  readonly #options: HubOptions
  readonly #server: Server
  readonly #members = new Set<Member>()
  readonly #sockets = new Set<Socket>()
  #beat: Timer | undefined
  #closed = false

  constructor(options: HubOptions) {
    this.#options = options
    this.#server = createServer((socket) => this.#accept(socket))
  }

  get members(): ReadonlySet<Member> {
    return this.#members
  }

  /** Opens the socket. Rejects with FL_LISTEN. Whoever makes its folder says who may come. */
  open(): Promise<void> {
    const { path } = this.#options
    // What control before this one left when it was killed.
    rmSync(path, { force: true })
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(
          new FairleadError('FL_LISTEN', `the socket for workers, ${path}, cannot be opened: ${errorText(error)}`, {
            cause: error,
          }),
        ),
      )
      this.#server.listen(path, () => {
        this.#plan()
        resolve()
      })
    })
  }

  /** Lets go of all workers, which go on by themselves. Idempotent. */
  close(): void {
    this.#closed = true
    this.#beat?.clear()
    this.#server.close()
    for (const member of this.#members) member.close()
    for (const socket of this.#sockets) socket.unref()
  }

  #plan(): void {
    if (this.#closed) return
    this.#beat = this.#options.clock.setTimer(beatMs, () => {
      for (const member of this.#members) member.say({ kind: 'beat' })
      this.#options.onBeat()
      this.#plan()
    })
  }

  #accept(socket: Socket): void {
    const { onMessage, onLeave, log } = this.#options
    this.#sockets.add(socket)
    let member: Member | undefined
    const link = new Link<ToControl, ToWorker>(socket, {
      onMessage: (message) => {
        if (message.kind !== 'hello') {
          if (member) onMessage(member, message)
        } else if (!member) member = this.#greet(message, link)
      },
      onRelief: () => member?.flush(),
      onClose: (error) => {
        this.#sockets.delete(socket)
        if (!member) return
        if (error) log.warn({ worker: member.slot }, `the connection to worker ${member.slot} broke: ${error.message}`)
        this.#members.delete(member)
        onLeave(member)
      },
    })
  }

  #greet(hello: Hello, link: Link<ToControl, ToWorker>): Member | undefined {
    const { version, epoch, log, onJoin } = this.#options
    if (hello.protocol !== protocol || hello.version !== version) {
      log.error(
        { worker: hello.slot, version: hello.version },
        `worker ${hello.slot} runs version ${hello.version} and this is ${version}: start all of Fairlead anew`,
      )
      link.close()
      return undefined
    }
    const member = new Member(hello, link)
    this.#members.add(member)
    link.send({ kind: 'welcome', epoch })
    onJoin(member)
    return member
  }
}
