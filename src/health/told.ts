/**
 * What becomes of a verdict that another process came to, whose requests and probes go to the same endpoints. It is taken
 * over, with two exceptions: who has just heard from an endpoint that is said to be silent asks it instead, and a verdict
 * that rests on silence or illness takes nobody below the panic threshold here either. Pure.
 */
import type { EndpointState } from '../live/runtime.ts'
import { eject, newCondition, stay, suspect, type Condition, type Step, type World } from './condition.ts'
import { suspectAfterMinMs } from './silence.ts'
import type { EjectionCause, Verdict } from './verdict.ts'

/** A verdict that matters to requests; what is merely suspected stays where it is. */
export type ToldVerdict = Exclude<Verdict, { kind: 'state' | 'relieve' }>

/** What a sign of life speaks against. */
const silences: ReadonlySet<EjectionCause> = new Set(['silence', 'closed-unanswered'])
/** What was found out for certain, or by probes that are configured: it holds whoever is left. */
const sure: ReadonlySet<EjectionCause> = new Set(['refused', 'probe', 'identity', 'address-taken'])

function toldEjected(condition: Condition, verdict: Extract<ToldVerdict, { kind: 'eject' }>, world: World): Step {
  const { nowMs, lastLifeMs } = world
  const { cause } = verdict
  const isOut = condition.state === 'ejected'
  const proven = verdict.proven || (isOut && condition.proven)
  const certain = verdict.certain || (isOut && condition.certain)
  if (isOut) {
    if (proven === condition.proven && certain === condition.certain) return stay(condition)
    const died = condition.died || proven
    return {
      condition: { ...condition, cause, proven, certain, died },
      verdict: { kind: 'eject', cause, proven, certain },
    }
  }
  if (silences.has(cause) && nowMs - lastLifeMs < suspectAfterMinMs)
    return condition.state === 'healthy' || condition.state === 'probation'
      ? suspect(condition, nowMs, world)
      : stay(condition)
  if (!sure.has(cause) && !certain && !world.spare()) return stay(condition)
  const { condition: ejected } = eject(condition, cause, world)
  return { condition: { ...ejected, proven, certain }, verdict: { kind: 'eject', cause, proven, certain } }
}

function toldAdmitted(
  condition: Condition,
  { state, ramp }: Extract<ToldVerdict, { kind: 'admit' }>,
  { nowMs }: World,
): Step {
  if (condition.state !== 'ejected' && condition.state !== 'joining') return stay(condition)
  const onTrial = state === 'probation'
  const restoredMs = condition.state === 'ejected' ? nowMs : condition.restoredMs
  return {
    condition: { ...condition, state, sinceMs: nowMs, restoredMs, probeAtMs: Infinity, onTrial, trialSinceMs: nowMs },
    verdict: { kind: 'admit', state, ramp },
  }
}

/** The condition after `verdict` was told, and what is to be told here in turn; the very same condition where it brings nothing. */
export function told(condition: Condition, verdict: ToldVerdict, world: World): Step {
  switch (verdict.kind) {
    case 'eject':
      return toldEjected(condition, verdict, world)
    case 'admit':
      return toldAdmitted(condition, verdict, world)
    case 'join': {
      // Only one of which nothing is known here is as new as it is there.
      const isNew = condition.state === 'healthy' && condition.ejections === 0 && world.lastLifeMs === -Infinity
      return isNew ? { condition: newCondition('joining', world.nowMs), verdict } : stay(condition)
    }
  }
}

/** One endpoint, and the verdict that brings another judge to what is held against it here. */
export interface Held {
  readonly state: EndpointState
  readonly verdict: ToldVerdict
}

/** What is held against an endpoint: one, or none. */
export function heldAgainst(of: { readonly state: EndpointState; readonly condition: Condition }): readonly Held[] {
  const { state, cause, proven, certain } = of.condition
  if (state === 'joining') return [{ state: of.state, verdict: { kind: 'join' } }]
  if (state !== 'ejected' || cause === undefined) return []
  return [{ state: of.state, verdict: { kind: 'eject', cause, proven, certain } }]
}
