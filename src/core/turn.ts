/** Long work in pieces: between two of them whatever waits has its turn. */

/** Resolves in the next turn of the loop, after what has come meanwhile. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
