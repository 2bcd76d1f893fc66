/**
 * What good probes usually take at an endpoint, from the last few of them; and whether that is still to be learned. A first
 * probe meets an application that has just started, so that one slow answer alone must not set for how long a frozen one is
 * waited for. Sends nothing.
 */
import type { Milliseconds } from '../core/clock.ts'
import { suspicionDeadlineMaxMs, suspicionDeadlineMinMs, suspicionDeadlineMs } from './silence.ts'
import type { Subject } from './subject.ts'

/** So many probes are remembered; the usual one is their median. */
const remembered = 5

/** Pause before one whose answers were slow is asked again, ms. */
const learnAgainMs = 1_000

/** Deadline of a probe that is sent only to learn, ms: slower than this none need be known. */
export const learnDeadlineMs: Milliseconds = suspicionDeadlineMaxMs

/** True when it should be asked now. */
export function isToLearn({ learnAtMs, standing }: Subject, nowMs: Milliseconds): boolean {
  return nowMs >= learnAtMs && standing === 'member'
}

/** A good probe took `tookMs`. */
export function noteProbe(subject: Subject, tookMs: Milliseconds, nowMs: Milliseconds): void {
  const { probeTimes } = subject
  if (probeTimes.push(tookMs) > remembered) probeTimes.shift()
  subject.probeUsualMs = probeTimes.toSorted((a, b) => a - b)[(probeTimes.length - 1) >> 1] ?? 0
  const slow = suspicionDeadlineMs(subject.probeUsualMs, Infinity) > suspicionDeadlineMinMs
  subject.learnAtMs = slow && probeTimes.length < remembered ? nowMs + learnAgainMs : Infinity
}
