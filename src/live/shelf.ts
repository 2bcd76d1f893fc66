/**
 * Named values that are kept for a while after their name is gone, so that counters do not vanish at a deploy, but never
 * more of those than a bound: label sets stay bounded whatever comes and goes.
 */

export interface Shelf<V> {
  /** The value of `name`, made when there is none; it counts as present again. */
  present(name: string, make: () => V): V
  /** Says that `name` is gone. Beyond the bound, the one that has been gone longest is dropped. */
  absent(name: string): void
  all(): Iterable<V>
}

/** Makes an empty shelf that keeps at most `absentMax` values whose names are gone. */
export function createShelf<V>(absentMax: number): Shelf<V> {
  const values = new Map<string, V>()
  /** In the order of having gone. */
  const gone = new Set<string>()
  return {
    present(name, make) {
      gone.delete(name)
      let value = values.get(name)
      if (value === undefined) values.set(name, (value = make()))
      return value
    },
    absent(name) {
      if (!values.has(name)) return
      gone.delete(name)
      gone.add(name)
      if (gone.size <= absentMax) return
      for (const oldest of gone) {
        gone.delete(oldest)
        values.delete(oldest)
        return
      }
    },
    all: () => values.values(),
  }
}
