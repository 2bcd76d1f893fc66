/**
 * Counts failures per endpoint and says when they are too many: in a row, or as a share of its answers, and in either case
 * clearly more than the rest of its service has. Writes `EndpointState.streak`, and nothing else outside health.
 */
import type { Milliseconds } from '../core/clock.ts'
import { isClearlyWorse, isTooHigh, rate } from './failure-window.ts'
import type { Subject, Totals, WatchedService } from './subject.ts'
import type { EjectionCause } from './verdict.ts'

/** Least time between two comparisons of one endpoint with the rest of its service, which walk all of them. */
const compareEveryMs = 50

/** Takes over what the data plane has counted since the last call. */
export function sample(subject: Subject, nowMs: Milliseconds): void {
  const more = subject.state.answers - subject.seenAnswers
  if (more <= 0) return
  subject.seenAnswers += more
  count(subject, nowMs, more, 0)
}

function count(subject: Subject, nowMs: Milliseconds, answers: number, failures: number): void {
  subject.window.add(nowMs, answers, failures)
  for (const totals of [subject.totals, subject.service.totals]) {
    totals.answers += answers
    totals.failures += failures
  }
}

function sampleAll(service: WatchedService, nowMs: Milliseconds): void {
  for (const subject of service.subjects) sample(subject, nowMs)
}

/** Totals of the service without `subject`. */
function others({ service, totals }: Subject): Totals {
  return {
    answers: service.totals.answers - totals.answers,
    failures: service.totals.failures - totals.failures,
  }
}

function isWorseInWindow(subject: Subject, nowMs: Milliseconds): boolean {
  let total = 0
  let failures = 0
  for (const other of subject.service.subjects) {
    if (other === subject) continue
    const counts = other.window.counts(nowMs)
    total += counts.total
    failures += counts.failures
  }
  return isClearlyWorse(rate(subject.window.counts(nowMs)), rate({ total, failures }))
}

/**
 * While all of its own fail: what the others have done since that began is the fairest comparison, since a fault of the
 * whole application reaches all of them within the same moments.
 */
function isWorseInStreak(subject: Subject, nowMs: Milliseconds): boolean {
  sampleAll(subject.service, nowMs)
  const mark = subject.streakMark
  const now = others(subject)
  const since = mark && { total: now.answers - mark.answers, failures: now.failures - mark.failures }
  return since && since.total > 0 ? isClearlyWorse(1, rate(since)) : isWorseInWindow(subject, nowMs)
}

/**
 * Counts one failure; `answered`: it came with an answer that the data plane has counted. The cause to eject for, if there
 * are too many now.
 */
export function countFailure(subject: Subject, nowMs: Milliseconds, answered: boolean): EjectionCause | undefined {
  const { state, service, window } = subject
  const { consecutiveFailures, failureRate, requestVolume } = service.settings
  sample(subject, nowMs)
  if (state.streak === 0) {
    sampleAll(service, nowMs)
    subject.streakMark = others(subject)
  }
  state.streak++
  count(subject, nowMs, answered ? 0 : 1, 1)
  // Looked at again after as many more, and not at each: it walks the whole service.
  const row = consecutiveFailures > 0 && state.streak % consecutiveFailures === 0
  if (row && isWorseInStreak(subject, nowMs)) return 'consecutive-failures'
  if (nowMs - subject.comparedMs < compareEveryMs) return undefined
  if (!isTooHigh(window.counts(nowMs), failureRate, requestVolume)) return undefined
  subject.comparedMs = nowMs
  sampleAll(service, nowMs)
  return isWorseInWindow(subject, nowMs) ? 'failure-rate' : undefined
}

/** An answer was none: the row is broken. */
export function endStreak(subject: Subject): void {
  subject.state.streak = 0
  subject.streakMark = undefined
}

/** Begins anew: what it did before it was ejected is paid for. */
export function forgetFailures(subject: Subject, nowMs: Milliseconds): void {
  sample(subject, nowMs)
  endStreak(subject)
  subject.window.clear()
}
