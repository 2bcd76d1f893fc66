/** A judge whose own verdicts are told to other processes once they are carried out here. It judges nothing itself. */
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import type { Random } from '../core/random.ts'
import { createHealth } from '../health/monitor.ts'
import type { SharedHealth, VerdictSink } from '../health/port.ts'
import { createProber } from '../health/prober.ts'
import type { Word } from './messages.ts'

export interface SharingParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** As in `HealthParts`. */
  readonly routine?: () => boolean
}

/**
 * `tell` is called with each verdict that matters to requests, those included that were themselves told: whoever passes them
 * on must not send them back.
 */
export function sharing(
  parts: SharingParts,
  sink: VerdictSink,
  tell: (word: Word, told: boolean) => void,
): SharedHealth {
  const { clock, random, log, routine } = parts
  return createHealth({
    clock,
    random,
    log,
    prober: createProber(clock),
    ...(routine ? { routine } : {}),
    sink: {
      verdict: (state, verdict, applied, told) => {
        sink.verdict(state, verdict, applied, told)
        if (verdict.kind !== 'state' && verdict.kind !== 'relieve')
          tell({ key: state.key, life: state.life, verdict }, told)
      },
    },
  })
}
