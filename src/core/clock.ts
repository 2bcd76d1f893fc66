/**
 * Time as an argument. Everything that measures or waits takes a {@link Clock}; only this file touches the real one.
 * It must not know what anybody waits for.
 */

/** A length of time in milliseconds. */
export type Milliseconds = number

/** A timer that was set; opaque to its owner. */
export interface Timer {
  readonly clear: () => void
}

export interface Clock {
  /** Monotonic time in milliseconds since an arbitrary point; never goes back, has fractions. */
  now(): Milliseconds
  /** Wall-clock time in milliseconds since 1970, for logs and headers only, never for arithmetic on durations. */
  wall(): Milliseconds
  /** Calls `fn` once after `delayMs`. The timer does not keep the process alive. */
  setTimer(delayMs: Milliseconds, fn: () => void): Timer
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimer(delayMs, fn) {
    const timeout = setTimeout(fn, delayMs)
    timeout.unref()
    return { clear: () => clearTimeout(timeout) }
  },
}

/** Resolves after `delayMs` on `clock`, or as soon as `signal` aborts; never rejects, so callers check the signal. */
export function sleep(clock: Clock, delayMs: Milliseconds, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = (): void => {
      timer.clear()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.setTimer(delayMs, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** `wallMs` as the Date header has it (RFC 9110 section 5.6.7). */
export function httpDate(wallMs: Milliseconds): string {
  return new Date(wallMs).toUTCString()
}

/** Wall-clock ms of an ISO 8601 time; undefined for anything else. */
export function parseIsoTime(text: string): Milliseconds | undefined {
  const ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

/** `wallMs` as ISO 8601 in UTC with milliseconds, for logs. */
export function isoTime(wallMs: Milliseconds): string {
  return new Date(wallMs).toISOString()
}
