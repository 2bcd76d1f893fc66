/** A Map whose values are walked often and change seldom, also while somebody walks them. */

export class Roster<K, V> {
  readonly #map = new Map<K, V>()
  #list: readonly V[] | undefined

  get(key: K): V | undefined {
    return this.#map.get(key)
  }

  set(key: K, value: V): void {
    this.#map.set(key, value)
    this.#list = undefined
  }

  delete(key: K): void {
    if (this.#map.delete(key)) this.#list = undefined
  }

  clear(): void {
    this.#map.clear()
    this.#list = undefined
  }

  /**
   * The values in the order in which they came, as they are now: a list that never changes, made once after any number of
   * changes. Who walks it asks {@link get} whether one is still there.
   */
  get list(): readonly V[] {
    return (this.#list ??= [...this.#map.values()])
  }
}
