/** Bytes of later requests, kept until their turn. It knows no socket: whoever holds it stops reading when it is full. */
export class HeldBytes {
  #parts: Buffer[] = []
  #bytes = 0

  get size(): number {
    return this.#bytes
  }

  add(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#bytes += bytes.length
  }

  /** All of it as one, and nothing is held any more; undefined when nothing was. */
  take(): Buffer | undefined {
    const parts = this.#parts
    this.clear()
    return parts.length > 1 ? Buffer.concat(parts) : parts[0]
  }

  clear(): void {
    this.#parts = []
    this.#bytes = 0
  }
}
