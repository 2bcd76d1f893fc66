/**
 * The side of the proxy that takes over: asks the running one's helper for listening sockets, and tells it at the end to go.
 * Its channel was given to this process when it was started. Whatever goes wrong before that end leaves the running one as it is.
 */
import { lookup } from 'node:dns/promises'
import { isIP, type Server } from 'node:net'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { FairleadError } from '../core/errors.ts'
import { handoverProtocol, plainHost, type ToGiver, type ToTaker } from './messages.ts'

export interface Taker {
  /**
   * The running proxy's socket of this address, which accepts from the moment on at which it is had: listen on it in the same turn.
   * Undefined: it has none. Rejects with FL_LISTEN when it does not answer.
   */
  take(host: string, port: number): Promise<Server | undefined>
  /** Tells it to go, and ends the channel. False: it did not say that it does. Called once. */
  retire(): Promise<boolean>
  /** Ends the channel. Idempotent. */
  close(): void
}

/** How long the helper may take to start and to answer, and the running proxy to close its doors, ms. */
const answerMs: Milliseconds = 15_000

interface Answer {
  readonly message: ToTaker | undefined
  readonly socket: Server | undefined
}

/** Undefined: this process was started to take nothing over. */
export function createTaker(clock: Pick<Clock, 'setTimer'>): Taker | undefined {
  return process.send === undefined ? undefined : new ChannelTaker(clock)
}

class ChannelTaker implements Taker {
  readonly #clock: Pick<Clock, 'setTimer'>
  readonly #hello: Promise<Answer>
  #work: Promise<unknown> = Promise.resolve()
  #wait: ((answer: Answer) => void) | undefined

  constructor(clock: Pick<Clock, 'setTimer'>) {
    this.#clock = clock
    this.#hello = this.#answer()
    process.on('message', (message: ToTaker, socket) => this.#wait?.({ message, socket: socket as Server | undefined }))
    process.on('disconnect', () => this.#wait?.({ message: undefined, socket: undefined }))
  }

  take(host: string, port: number): Promise<Server | undefined> {
    // One question at a time.
    const taken = this.#work.then(() => this.#take(host, port))
    this.#work = taken.catch(() => {})
    return taken
  }

  async retire(): Promise<boolean> {
    await this.#work
    const { message } = await this.#ask({ kind: 'retire' })
    this.close()
    return message?.kind === 'retired'
  }

  close(): void {
    if (process.connected) process.disconnect()
  }

  async #take(host: string, port: number): Promise<Server | undefined> {
    const { message: hello } = await this.#hello
    if (hello?.kind !== 'hello' || hello.protocol !== handoverProtocol)
      throw new FairleadError(
        'FL_LISTEN',
        hello
          ? 'the running proxy is of a version that hands its sockets over in another way: stop it, then start this one'
          : 'the running proxy does not hand its sockets over: another one is taking over from it, or it is ending',
      )
    const address = isIP(host) === 0 ? (await lookup(host)).address : host
    const { message, socket } = await this.#ask({ kind: 'give', host: plainHost(address), port })
    if (message === undefined)
      throw new FairleadError('FL_LISTEN', 'the running proxy stopped handing its sockets over')
    return message.kind === 'given' ? socket : undefined
  }

  #ask(message: ToGiver): Promise<Answer> {
    if (!process.connected) return Promise.resolve({ message: undefined, socket: undefined })
    const answer = this.#answer()
    process.send?.(message)
    return answer
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve) => {
      const done = (answer: Answer): void => {
        timer.clear()
        this.#wait = undefined
        resolve(answer)
      }
      const timer: Timer = this.#clock.setTimer(answerMs, () => done({ message: undefined, socket: undefined }))
      this.#wait = done
    })
  }
}
