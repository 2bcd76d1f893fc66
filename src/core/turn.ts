/**
 * Long work in steps: between two of them whatever waits has its turn. Pieces of work that each ask for a turn of the loop
 * get one for themselves, in the order in which they asked, so that two that are bounded do not make one that is not.
 */

/** Work that stops at each `yield`, where others may have their turn, and returns what came of it. */
export type Steps<T> = Generator<undefined, T>

/** Calls `work` in a turn of the loop that it shares with no other work of that kind; in the order of the calls. */
export type InTurn = (work: () => void) => void

/** `plan` calls its argument in the next turn of the loop. */
export function createTurns(plan: (fn: () => void) => void): InTurn {
  let waiting: (() => void)[] = []
  let next = 0
  let planned = false
  const run = (): void => {
    const work = waiting[next++]
    if (next < waiting.length) plan(run)
    else {
      waiting = []
      next = 0
      planned = false
    }
    work?.()
  }
  return (work) => {
    waiting.push(work)
    if (planned) return
    planned = true
    plan(run)
  }
}

/** The turns of this thread. */
export const inOwnTurn: InTurn = createTurns((fn) => void setImmediate(fn))

/** Resolves in a turn of its own, after what has come meanwhile. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => inOwnTurn(resolve))
}

/** Does `steps`, one in each turn. Rejects with what they throw. */
export async function inTurns<T>(steps: Steps<T>, pause: () => Promise<void> = nextTurn): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    await pause()
  }
}

/** Does the first of `steps` at once and each other one in a turn of its own. */
export function stepwise(steps: Steps<void>, inTurn: InTurn): void {
  if (steps.next().done !== true) inTurn(() => stepwise(steps, inTurn))
}

/** Does `each` with all `items`, so many in a step; those that come meanwhile are some of them where `items` says so. */
export function* inGroups<T>(items: Iterable<T>, perStep: number, each: (item: T) => void): Steps<void> {
  let done = 0
  for (const item of items) {
    if (done > 0 && done % perStep === 0) yield
    done++
    each(item)
  }
}

/** What begins steps as {@link stepwise} does, unless those that it began before are still under way. */
export function createRounds(inTurn: InTurn): (steps: () => Steps<void>) => void {
  let underWay = false
  function* round(steps: Steps<void>): Steps<void> {
    yield* steps
    underWay = false
  }
  return (steps) => {
    if (underWay) return
    underWay = true
    stepwise(round(steps()), inTurn)
  }
}

/** Does `steps` at once, for whoever need not share. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
