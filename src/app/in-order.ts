/** Work that is done one piece after the other, in the order in which it was asked for. It knows not what the work is. */

/** Calls `work` when all that was asked for before has ended, well or not; settles as it does. */
export type InOrder = <T>(work: () => Promise<T>) => Promise<T>

export function createInOrder(): InOrder {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const done = last.then(work)
    last = done.catch(() => {})
    return done
  }
}
