/** Long work in steps: between two of them whatever waits has its turn. */

/** Work that stops at each `yield`, where others may have their turn, and returns what came of it. */
export type Steps<T> = Generator<undefined, T>

/** Resolves in the next turn of the loop, after what has come meanwhile. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Does `steps`, one in each turn. Rejects with what they throw. */
export async function inTurns<T>(steps: Steps<T>, pause: () => Promise<void> = nextTurn): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    await pause()
  }
}

/** Does `steps` at once, for whoever need not share. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
