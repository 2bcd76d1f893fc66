/**
 * One read for many who ask at the same time. Whoever asks gets an answer to a request that began after they asked.
 */
export class SharedRead<T> {
  readonly #read: () => Promise<T>
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<T> | undefined

  constructor(read: () => Promise<T>) {
    this.#read = read
  }

  run(): Promise<T> {
    this.#next ??= this.#after(this.#running)
    return this.#next
  }

  async #after(running: Promise<unknown>): Promise<T> {
    await running
    this.#next = undefined
    const mine = this.#read()
    this.#running = mine.catch(() => undefined)
    return await mine
  }
}
