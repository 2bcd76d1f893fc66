/**
 * When waiting becomes suspicious, and how long a probe then may take. Pure. Silence alone proves nothing: it only leads to
 * a probe, since a long poll, an event stream and a slow answer are silent too.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { EndpointState } from '../live/runtime.ts'

/** Bounds of how long an endpoint may be silent before it is probed, ms. */
export const suspectAfterMinMs = 200
export const suspectAfterMaxMs = 1_000

/** Least time after which an endpoint with somebody waiting counts as quiet, ms. */
export const quietMinMs = 50

/** Bounds of a suspicion probe's deadline, ms. */
export const suspicionDeadlineMinMs = 400
export const suspicionDeadlineMaxMs = 2_000

/**
 * Least time from the beginning of a silence to an ejection for it, ms. A process that stops for 400 ms (garbage, a busy
 * machine) is alive; with the sweep's 50 ms this leaves room for both.
 */
export const silenceMinMs = 600

/** For how long it may be silent, by its usual time to a first byte (0: not known yet). */
export function suspectAfterMs(usualMs: Milliseconds): Milliseconds {
  return Math.min(suspectAfterMaxMs, Math.max(suspectAfterMinMs, 4 * usualMs))
}

/** Since when the endpoint has been silent with somebody waiting; Infinity: nobody waits. Walks its attempts. */
export function silentSinceMs(state: EndpointState): Milliseconds {
  let oldest = Infinity
  for (const { waitingSinceMs } of state.attempts) if (waitingSinceMs < oldest) oldest = waitingSinceMs
  return Math.max(state.lastLifeMs, oldest)
}

/**
 * True when somebody has waited there unheard for longer than is usual: too little to suspect it, and enough to send a request
 * that must not meet a second silence to another. Walks its attempts.
 */
export function isQuiet(state: EndpointState, nowMs: Milliseconds): boolean {
  const after = Math.max(quietMinMs, 4 * state.usualMs)
  return nowMs - state.lastLifeMs > after && nowMs - silentSinceMs(state) > after
}

/** True when its silence calls for a probe. Cheap where the endpoint gave a sign of life just now. */
export function isSilent(state: EndpointState, nowMs: Milliseconds): boolean {
  const after = suspectAfterMs(state.usualMs)
  if (state.attempts.length === 0 || nowMs - state.lastLifeMs <= after) return false
  return nowMs - silentSinceMs(state) > after
}

/**
 * How long the probe on suspicion may take: from `probeUsualMs`, what such probes usually took here (0: not known), and
 * never so short that a silence of which `quietMs` are over would end in less than {@link silenceMinMs}.
 */
export function suspicionDeadlineMs(probeUsualMs: Milliseconds, quietMs: Milliseconds): Milliseconds {
  const learned = Math.max(suspicionDeadlineMinMs, 3 * probeUsualMs, silenceMinMs - quietMs)
  return Math.min(suspicionDeadlineMaxMs, learned)
}
