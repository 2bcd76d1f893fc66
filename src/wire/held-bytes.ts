/**
 * Bytes that are kept for later, in order, and in few buffers: a client that sends one byte at a time would else have us keep
 * some hundred for each. It knows no socket and no bound: whoever holds it stops adding when it is full.
 */

import { giveBack, keepEnd } from './direct-read.ts'

/** Neighbours that are together no longer than this are put together. */
const blockBytes = 4_096

export class HeldBytes {
  #parts: Buffer[] = []
  #bytes = 0
  /** Of the last read that is kept as it came, where nobody else has any of it. */
  #memory: ArrayBuffer | undefined
  /** The block that the last part lies in, if it is one of ours and not yet full. */
  #block: Buffer | undefined

  get size(): number {
    return this.#bytes
  }

  /** All of it. What is handed out stays as it is, whatever is added. */
  get parts(): readonly Buffer[] {
    return this.#parts
  }

  /** `bytes` are kept as they are, or copied where they are few. */
  add(bytes: Buffer): void {
    this.#bytes += bytes.length
    const last = this.#parts.at(-1)
    const together = last === undefined ? Infinity : last.length + bytes.length
    if (last === undefined || together > blockBytes) {
      this.#parts.push(bytes)
      this.#memory = keepEnd(bytes)
      this.#block = undefined
      return
    }
    if (this.#block === undefined) {
      this.#block = Buffer.allocUnsafeSlow(blockBytes)
      last.copy(this.#block)
    }
    bytes.copy(this.#block, last.length)
    this.#parts[this.#parts.length - 1] = this.#block.subarray(0, together)
  }

  /** All of it as one, and nothing is held any more; undefined when nothing was. */
  take(): Buffer | undefined {
    const parts = this.#parts
    this.clear()
    return parts.length > 1 ? Buffer.concat(parts) : parts[0]
  }

  /** As `clear`, where nobody reads any more what was handed out. */
  free(): void {
    if (this.#memory !== undefined) giveBack(this.#memory)
    this.clear()
  }

  clear(): void {
    if (this.#bytes === 0) return
    this.#memory = undefined
    this.#parts = []
    this.#bytes = 0
    this.#block = undefined
  }
}
