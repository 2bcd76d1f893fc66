/** The judge where nothing is judged: whatever the table has gets traffic. It proves nothing and probes nobody. */
import type { HealthJudge } from '../health/port.ts'

export const noHealth: HealthJudge = {
  retain() {},
  attemptFailed() {},
  answered() {},
  doubt() {},
  ordered() {},
  prove: (_state, done) => done(false),
  sweep() {},
  stateOf: () => undefined,
  stop() {},
}
