/**
 * Runs a piece of work for many calls that ask for it: at once after a quiet time, at most once per interval in a storm.
 * It knows not what the work is.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'

export interface Coalescer {
  /** Asks for the work. Runs it before returning when the last run is long enough ago, else when that is so. */
  request(): void
  /** Runs at once what waits for its time; nothing when nothing does. */
  flush(): void
  /** Nothing runs afterwards. */
  stop(): void
}

/** Least time from one run to the next. */
export const spacingMinMs: Milliseconds = 100
/** No request waits longer than this, however long the work takes. */
export const spacingMaxMs: Milliseconds = 1_000

/**
 * `work` must not throw. Between two runs lie at least {@link spacingMinMs}, and nine times what the last run took (so that
 * a storm costs at most a tenth of the thread), but no more than {@link spacingMaxMs}.
 */
export function createCoalescer(clock: Clock, work: () => void): Coalescer {
  let notBefore = -Infinity
  let timer: Timer | undefined
  let running = false
  let again = false
  let stopped = false

  const run = (): void => {
    timer = undefined
    if (stopped) return
    running = true
    const start = clock.now()
    work()
    const end = clock.now()
    running = false
    notBefore = end + Math.min(spacingMaxMs, Math.max(spacingMinMs, (end - start) * 9))
    if (!again) return
    again = false
    request()
  }

  const request = (): void => {
    if (stopped || timer) return
    if (running) {
      again = true
      return
    }
    const wait = notBefore - clock.now()
    if (wait > 0) timer = clock.setTimer(wait, run)
    else run()
  }

  return {
    request,
    flush() {
      if (stopped || !timer) return
      timer.clear()
      run()
    },
    stop() {
      stopped = true
      timer?.clear()
      timer = undefined
    },
  }
}
