/**
 * Runs a piece of work for many calls that ask for it: soon after a quiet time, at most once per interval in a storm. The
 * work is in steps, each in a turn of its own. It knows not what the work is.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import type { InTurn, Steps } from '../core/turn.ts'

export interface Coalescer {
  /** Asks for the work. Begins it in a turn that comes when the last run is long enough ago, else when that is so. */
  request(): void
  /** Does at once what is left of the work under way, and what waits for its time; nothing when nothing does. */
  flush(): void
  /** Nothing runs afterwards. */
  stop(): void
}

/** Least time from one run to the next. */
export const spacingMinMs: Milliseconds = 100
/** No request waits longer than this, however long the work takes. */
export const spacingMaxMs: Milliseconds = 1_000

/**
 * `work` must not throw. Between two runs lie at least {@link spacingMinMs}, and nine times what the steps of the last run
 * took (so that a storm costs at most a tenth of the thread), but no more than {@link spacingMaxMs}.
 */
export function createCoalescer(clock: Clock, work: () => Steps<void>, inTurn: InTurn): Coalescer {
  let notBefore = -Infinity
  let timer: Timer | undefined
  /** The work under way. */
  let steps: Steps<void> | undefined
  let begun = false
  let tookMs: Milliseconds = 0
  /** One of its steps is on the stack: what it calls may lead back here. */
  let stepping = false
  let again = false
  let stopped = false

  /** Returns whether there was one to do. */
  const step = (): boolean => {
    if (!steps) return false
    begun = stepping = true
    const startMs = clock.now()
    const { done } = steps.next()
    const endMs = clock.now()
    stepping = false
    tookMs += endMs - startMs
    if (done !== true) return true
    steps = undefined
    notBefore = endMs + Math.min(spacingMaxMs, Math.max(spacingMinMs, tookMs * 9))
    if (again) {
      again = false
      request()
    }
    return true
  }

  const go = (of: Steps<void>): void =>
    inTurn(() => {
      // It was flushed meanwhile, or stopped.
      if (stopped || steps !== of) return
      step()
      if (steps === of) go(of)
    })

  const begin = (): Steps<void> => {
    timer = undefined
    begun = false
    tookMs = 0
    return (steps = work())
  }

  const request = (): void => {
    if (stopped || timer) return
    if (steps) {
      again ||= begun
      return
    }
    const wait = notBefore - clock.now()
    if (wait > 0) timer = clock.setTimer(wait, () => go(begin()))
    else go(begin())
  }

  return {
    request,
    flush() {
      if (stopped || stepping) return
      while (step());
      if (!timer) return
      timer.clear()
      begin()
      while (step());
    },
    stop() {
      stopped = true
      timer?.clear()
      timer = undefined
    },
  }
}
