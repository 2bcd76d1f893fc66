/**
 * Reads of single services for whoever wants to be sure, a few at a time however many are asked for, so that a whole catalog
 * in doubt is no storm for Consul. It takes nothing over and gives no reasons.
 */
import type { Instance } from '../snapshot.ts'
import { SharedRead } from './shared-read.ts'

const atOnceMax = 4

export class ConfirmingReads {
  readonly #read: (service: string) => Promise<readonly Instance[] | undefined>
  readonly #waiting: (() => void)[] = []
  readonly #shared = new Map<string, { readonly read: SharedRead<readonly Instance[] | undefined>; users: number }>()
  #running = 0

  /** `read` makes one read and ends; it may reject. */
  constructor(read: (service: string) => Promise<readonly Instance[] | undefined>) {
    this.#read = read
  }

  /** A read that begins after this call; undefined when it fails. Never rejects. */
  async read(service: string): Promise<readonly Instance[] | undefined> {
    let shared = this.#shared.get(service)
    if (!shared) {
      shared = { read: new SharedRead(async () => this.#inTurn(service)), users: 0 }
      this.#shared.set(service, shared)
    }
    shared.users++
    try {
      return await shared.read.run()
    } catch {
      return undefined
    } finally {
      if (--shared.users === 0) this.#shared.delete(service)
    }
  }

  async #inTurn(service: string): Promise<readonly Instance[] | undefined> {
    if (this.#running >= atOnceMax) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await this.#read(service)
    } finally {
      // The place goes on to the next in line, if there is one.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
