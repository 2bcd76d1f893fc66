/**
 * The side of the proxy that takes over: asks the running one's helper for listening sockets, and tells it at the end to go.
 * Its channel was given to this process when it was started. Whatever goes wrong before that end leaves the running one as it is.
 */
import { lookup } from 'node:dns/promises'
import { isIP, type Server } from 'node:net'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import { handoverProtocol, plainHost, type ToGiver, type ToTaker } from './messages.ts'

/** The running proxy as it has introduced itself. */
export interface Met {
  /** Names of its catalogs that did not answer it then. */
  readonly unseen: readonly string[]
}

export interface Taker {
  /** Resolves when the running proxy is there to hand its sockets over. Rejects with FL_LISTEN when it is not. */
  ready(): Promise<Met>
  /** False: it can no longer be heard. */
  isThere(): boolean
  /**
   * The running proxy's socket of this address, which accepts from the moment on at which it is had: listen on it in the same turn.
   * Undefined: it has none, or the channel was ended from here. Rejects with FL_LISTEN when it does not answer.
   */
  take(host: string, port: number): Promise<Server | undefined>
  /**
   * Tells it to go, and ends the channel when it does. False: it can no longer be heard, and did not say that it does. One that hangs
   * does not say anything for as long as it does; while this waits it keeps the order. Called once.
   */
  retire(): Promise<boolean>
  /** Ends the channel. Idempotent. */
  close(): void
}

export interface TakerOptions {
  readonly clock: Pick<Clock, 'setTimer'>
  /**
   * The running proxy has ended before it was told to go, and nothing of it is left: from now on it has no socket. Called once.
   * Absent: something of it may be left, so that nobody may go on without it.
   */
  readonly onEnd?: () => void
}

/** How long the helper may take to start and to answer, ms. */
const answerMs: Milliseconds = 10_000

interface Answer {
  readonly message: ToTaker | undefined
  readonly socket: Server | undefined
}

const silence: Answer = { message: undefined, socket: undefined }

/** Undefined: this process was started to take nothing over. */
export function createTaker(options: TakerOptions): Taker | undefined {
  return process.send === undefined ? undefined : new ChannelTaker(options)
}

class ChannelTaker implements Taker {
  readonly #options: TakerOptions
  readonly #hello: Promise<Met>
  #work: Promise<unknown> = Promise.resolve()
  #wait: ((answer: Answer) => void) | undefined
  #met = false
  /** Its end is ordered, or of no interest any more. */
  #closing = false
  #ended = false

  constructor(options: TakerOptions) {
    this.#options = options
    process.on('message', (message: ToTaker, socket) => this.#wait?.({ message, socket: socket as Server | undefined }))
    process.on('disconnect', () => {
      this.#lost()
      this.#wait?.(silence)
    })
    this.#hello = this.#meet()
    // Whoever waits for it is told.
    this.#hello.catch(() => {})
  }

  ready(): Promise<Met> {
    return this.#hello
  }

  isThere(): boolean {
    return process.connected
  }

  take(host: string, port: number): Promise<Server | undefined> {
    // One question at a time.
    const taken = this.#work.then(() => this.#take(host, port))
    this.#work = taken.catch(() => {})
    return taken
  }

  async retire(): Promise<boolean> {
    await this.#work
    this.#closing = true
    const { message } = await this.#ask({ kind: 'retire' })
    this.close()
    return this.#ended || message?.kind === 'retired'
  }

  close(): void {
    this.#closing = true
    if (process.connected) process.disconnect()
  }

  async #meet(): Promise<Met> {
    const { message } = await this.#answer(answerMs)
    if (message?.kind === 'hello' && message.protocol === handoverProtocol) {
      this.#met = true
      return { unseen: message.unseen }
    }
    const why = message
      ? 'is of a version that hands its sockets over in another way: stop it, then start this one'
      : process.connected
        ? 'does not answer: it hangs, or it is stopped. End it with KILL, then start this one'
        : 'does not hand its sockets over: it ends, or its helper has ended'
    throw new FairleadError('FL_LISTEN', `the running proxy ${why}`)
  }

  async #take(host: string, port: number): Promise<Server | undefined> {
    await this.#hello
    if (this.#closing) return undefined
    const address = isIP(host) === 0 ? (await lookup(host)).address : host
    const { message, socket } = await this.#ask({ kind: 'give', host: plainHost(address), port }, answerMs)
    if (message === undefined && !this.#ended)
      throw new FairleadError('FL_LISTEN', 'the running proxy stopped handing its sockets over')
    return message?.kind === 'given' ? socket : undefined
  }

  #ask(message: ToGiver, patienceMs?: Milliseconds): Promise<Answer> {
    if (!process.connected) return Promise.resolve(silence)
    const answer = this.#answer(patienceMs)
    // One that has just gone is told of by the end of the channel, and is no fault.
    process.send?.(message, undefined, undefined, () => {})
    return answer
  }

  #answer(patienceMs?: Milliseconds): Promise<Answer> {
    return new Promise((resolve) => {
      const done = (answer: Answer): void => {
        timer?.clear()
        this.#wait = undefined
        resolve(answer)
      }
      const timer: Timer | undefined =
        patienceMs === undefined ? undefined : this.#options.clock.setTimer(patienceMs, () => done(silence))
      this.#wait = done
    })
  }

  #lost(): void {
    const { onEnd } = this.#options
    if (this.#closing || this.#ended || !this.#met || !onEnd) return
    this.#ended = true
    onEnd()
  }
}
