/** Configured probes of one endpoint: when the next is due, and what their results add up to. Sends nothing. */
import type { Milliseconds } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import { probeEveryMs } from './condition.ts'
import { isPeriodic, type Finding } from './probe-plan.ts'
import type { Subject } from './subject.ts'

/** Times the first where probes are wanted; none is `running`. */
export function timePeriodic(subject: Subject, nowMs: Milliseconds, running: boolean, random: Random): void {
  const { settings } = subject.service
  const { state } = subject.condition
  const wanted = isPeriodic(settings) && subject.standing === 'member' && state !== 'ejected' && state !== 'joining'
  if (!wanted) {
    subject.periodicAtMs = Infinity
    subject.periodicFails = 0
  } else if (subject.periodicAtMs === Infinity && !running)
    subject.periodicAtMs = nowMs + random() * settings.intervalMs
}

/** Counts one that began at `startedMs` and times the next; true when it is one failure too many. */
export function countPeriodic(
  subject: Subject,
  finding: Finding,
  startedMs: Milliseconds,
  nowMs: Milliseconds,
  random: Random,
): boolean {
  const { intervalMs, unhealthyThreshold } = subject.service.settings
  if (finding === 'unknown') {
    subject.periodicAtMs = nowMs + probeEveryMs / 4
    return false
  }
  subject.periodicAtMs = Math.max(nowMs, startedMs + intervalMs * (0.9 + 0.2 * random()))
  subject.periodicFails = finding === 'good' ? 0 : subject.periodicFails + 1
  if (subject.periodicFails < unhealthyThreshold) return false
  subject.periodicFails = 0
  return true
}
