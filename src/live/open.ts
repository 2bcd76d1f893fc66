/**
 * Who may be picked: from what health allows each endpoint of a service, and the panic threshold, to one flag per endpoint
 * that balancing reads. Computed when a table, a verdict or an operator's order comes, never per request. It decides no health.
 * Source: Envoy, "Panic threshold".
 */
import { admission, type BoundService } from './runtime.ts'

/**
 * Sets `open` on every endpoint of `service`. With enough of them available (at least `panicThreshold` of those that do not
 * still join), the available ones; below it, all but the dead. Those that join are open while nothing is available. One
 * that an operator has drained or ejected is never open, and counts as if it were not there.
 */
export function setOpen(service: BoundService): void {
  let counted = 0
  let available = 0
  for (const { endpoints } of service.groups)
    for (const { state } of endpoints) {
      if (state.leaving || state.order || state.admission === admission.joining) continue
      counted++
      if (state.admission === admission.open) available++
    }
  const panic = available < counted * service.table.policy.health.panicThreshold
  const most = panic ? admission.ejected : admission.open
  for (const { endpoints } of service.groups)
    for (const { state } of endpoints) {
      const allowed = state.admission === admission.joining ? available === 0 : state.admission <= most
      state.open = allowed && !state.leaving && !state.order
    }
}
