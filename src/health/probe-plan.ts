/**
 * Which question a probe asks, and what its answer means for the machine. Pure; sends nothing.
 */
import type { HealthPolicy } from '../policy/policy.ts'
import type { ProbeRequest, ProbeResult } from './port.ts'
import type { EjectionCause } from './verdict.ts'

/**
 * - `join`: a new endpoint's first own success. `return`: whether an ejected one is back.
 * - `suspicion`: whether it lives. `proof`: whether it is dead, for somebody who waits to know.
 * - `periodic`: as configured. `learn`: what a good one usually takes, of an endpoint whose first were slow.
 */
export type Purpose = 'join' | 'return' | 'suspicion' | 'proof' | 'periodic' | 'learn'

/**
 * - `good`: as wanted. `alive`: something came, but not what was wanted. `stranger`: somebody else answers.
 * - `refused`, `closed`: as in ProbeResult. `mute`: no answer, or no way there. `unknown`: it says nothing of the endpoint.
 */
export type Finding = 'good' | 'alive' | 'stranger' | 'refused' | 'closed' | 'mute' | 'unknown'

/** True when periodic probes are configured. */
export function isPeriodic(settings: HealthPolicy): boolean {
  return settings.http !== undefined || settings.tcp
}

/** What to ask. A connect alone is asked only where it is configured, and never where silence is the question. */
export function planProbe(
  purpose: Purpose,
  settings: HealthPolicy,
  cause: EjectionCause | undefined,
): ProbeRequest['http'] {
  const identity = settings.identity ?? ''
  if (settings.http !== undefined) return { method: 'GET', path: settings.http, identity }
  const connectIsEnough = purpose === 'periodic' || purpose === 'join' || (purpose === 'return' && cause === 'probe')
  if (settings.tcp && connectIsEnough) return undefined
  return { method: 'HEAD', path: '/', identity }
}

/** What `result` means for the endpoint that registered as `id`. */
export function readProbe(result: ProbeResult, settings: HealthPolicy, id: string): Finding {
  switch (result.kind) {
    case 'answer':
      // Whatever the status: somebody else's error page is not this endpoint's.
      if (settings.identity !== undefined && result.identity !== id) return 'stranger'
      return settings.http === undefined || (result.status >= 200 && result.status < 400) ? 'good' : 'alive'
    case 'connected':
      return 'good'
    case 'invalid':
      return 'alive'
    case 'timeout':
    case 'unreachable':
      return 'mute'
    case 'local':
      return 'unknown'
    case 'refused':
    case 'closed':
      return result.kind
  }
}
