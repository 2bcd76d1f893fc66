/** What has happened to an endpoint without anybody telling: read from its state at each sweep. Pure. */
import type { Milliseconds } from '../core/clock.ts'
import { illnessCauses, probeEveryMs } from './condition.ts'
import type { Happening } from './machine.ts'
import { isPeriodic } from './probe-plan.ts'
import { isSilent, silentSinceMs } from './silence.ts'
import type { Subject } from './subject.ts'

/** Answers without a failure that end a probation. */
export const trialAnswers = 5

/** It is silent, or may have died: since when nothing was heard. */
export function doubt({ state }: Subject, nowMs: Milliseconds): Happening {
  return { kind: 'doubt', quietFromMs: Math.min(nowMs, silentSinceMs(state)) }
}

/**
 * True when time brings nothing: it is healthy, nobody waits there or for a proof, no answer is uncounted and no probe due.
 * Of ten thousand endpoints most are at rest at any moment, and this is all that a sweep asks of them.
 */
export function isAtRest(subject: Subject, nowMs: Milliseconds): boolean {
  const { state, condition, standing, waiters } = subject
  return (
    condition.state === 'healthy' &&
    state.attempts.length === 0 &&
    state.answers === subject.seenAnswers &&
    nowMs < subject.periodicAtMs &&
    nowMs < subject.learnAtMs &&
    waiters.length === 0 &&
    standing !== 'leaving'
  )
}

/** True when the next probe of a joining or ejected one is due: sooner than it planned, while nothing else is there. */
export function isSought({ condition, service, soughtMs }: Subject, nowMs: Milliseconds): boolean {
  if (nowMs >= condition.probeAtMs) return true
  if (service.available > 0 || nowMs - soughtMs < probeEveryMs) return false
  if (condition.state === 'joining') return true
  return (
    condition.probeAtMs < Infinity && nowMs - condition.sinceMs >= probeEveryMs && !illnessCauses.has(condition.cause)
  )
}

/**
 * True when one that was ejected for its failures has requests waiting that hear nothing of it: it may be frozen, and they
 * would wait in vain.
 */
export function isIllAndSilent({ condition, state }: Subject, nowMs: Milliseconds): boolean {
  return illnessCauses.has(condition.cause) && isSilent(state, nowMs)
}

/** Where another process asks those that join or are ejected, and nothing is heard of one, it is asked here this often, ms. */
export const otherWaitMs = 2_000

/** True when the other process has had its time: it may think otherwise of this endpoint, and has nothing to tell. */
export function isOverdue({ condition, soughtMs }: Subject, nowMs: Milliseconds): boolean {
  return nowMs - Math.max(soughtMs, condition.sinceMs) >= otherWaitMs
}

/** `taken`: whether a younger registration has its address. `late`: our own loop was held up until now. */
export function whatTimeBrings(
  subject: Subject,
  nowMs: Milliseconds,
  late: boolean,
  taken: () => boolean,
): Happening | undefined {
  const { state, condition } = subject
  const { settings } = subject.service
  const lived = state.lastLifeMs > condition.sinceMs
  switch (condition.state) {
    case 'joining':
      // Where probes are configured they decide, and nothing else.
      return lived && !isPeriodic(settings) && settings.identity === undefined ? { kind: 'life' } : undefined
    case 'suspect':
      return lived ? { kind: 'life' } : undefined
    case 'ejected':
      if (lived && (condition.cause === 'silence' || condition.cause === 'closed-unanswered')) return { kind: 'life' }
      return condition.cause === 'address-taken' && condition.probeAtMs === Infinity && !taken()
        ? { kind: 'seek' }
        : undefined
    case 'probation':
      if (state.answers - subject.trialAnswers >= trialAnswers || nowMs - condition.trialSinceMs >= settings.windowMs)
        return { kind: 'tried' }
      break
    case 'healthy':
      break
  }
  // After a delay of our own, what would have ended the silence may not have been read yet.
  return !late && isSilent(state, nowMs) ? doubt(subject, nowMs) : undefined
}
