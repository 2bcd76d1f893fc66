/**
 * Memory for bytes on their way to a socket. Blocks are used again once their write is done: a fresh buffer per read would
 * make the collector run all the time (it counts memory outside its heap too), which cost more than all else at large
 * bodies. Bounded: what lies free here; what is in use its users bound. It writes nothing.
 */

/** A block holds one read of an upstream connection, bytes, with the head before it or a chunk's framing around it. */
const blockBytes = 65_536 + 4_096

/** Free blocks kept, the rest is left to the collector: some 2 MiB. */
const freeBlocksMax = 32

/** Shorter bytes share a block of Node's own; a whole one for them would be waste. */
const lengthMin = 4_096

export class BlockPool {
  readonly #free: Buffer[] = []

  /** Free blocks. */
  get free(): number {
    return this.#free.length
  }

  /** A block to write and to give back, or undefined where bytes of that length are better copied by themselves. */
  take(length: number): Buffer | undefined {
    if (length < lengthMin || length > blockBytes) return undefined
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes)
  }

  /** Nobody reads the block any more. The most recently used is taken first: it is in the processor's cache. */
  give(block: Buffer): void {
    if (this.#free.length < freeBlocksMax) this.#free.push(block)
  }
}
