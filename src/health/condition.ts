/**
 * What the machine knows of one endpoint, as an immutable value, and the arithmetic of hold-downs and probe times.
 * Pure; what leads from one condition to the next stands in `machine.ts`.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { HealthPolicy } from '../policy/policy.ts'
import type { EjectionCause, HealthState, Verdict } from './verdict.ts'

export interface Condition {
  readonly state: Exclude<HealthState, 'draining'>
  /** Since when it is in this state. */
  readonly sinceMs: Milliseconds
  /** When the state's own next probe is due; Infinity: not before the one under way has ended, or none at all. */
  readonly probeAtMs: Milliseconds
  /** Wait between the state's probes, before jitter. */
  readonly waitMs: Milliseconds
  /** Of the last ejection; undefined: never ejected. */
  readonly cause: EjectionCause | undefined
  readonly proven: boolean
  readonly certain: boolean
  /** The last ejection is of one that died, not only of one that was ill or silent. */
  readonly died: boolean
  /** When it last gave a sign of life before the last ejection, monotonic ms. */
  readonly lifeMs: Milliseconds
  /** No good probe restores it before. */
  readonly holdUntilMs: Milliseconds
  /** Good probes in a row while ejected. */
  readonly goods: number
  /** Ejections in its life. */
  readonly ejections: number
  /** When it was ejected within the last minute; the latest 16 at most. */
  readonly recentMs: readonly Milliseconds[]
  /** Ejections for failures without a calm minute between. */
  readonly illnesses: number
  /** When it was last restored; -Infinity: never. */
  readonly restoredMs: Milliseconds
  /** When a request's fresh connection was last closed without a byte; -Infinity: never. */
  readonly closedMs: Milliseconds
  /** When a probe's was. */
  readonly probeClosedMs: Milliseconds
  /** It is on probation, or was when it was suspected. */
  readonly onTrial: boolean
  /** When its probation began, or was last set back; a suspicion meanwhile does not. */
  readonly trialSinceMs: Milliseconds
  /** While suspect: since when it has been silent. */
  readonly quietFromMs: Milliseconds
}

/** What a transition may ask of the world around it. The functions are asked only where it matters. */
export interface World {
  readonly nowMs: Milliseconds
  readonly settings: HealthPolicy
  readonly random: Random
  /** The endpoint's last sign of life. */
  readonly lastLifeMs: Milliseconds
  /** It has answered a probe before: one that is closed now says something. */
  readonly answersProbes: boolean
  /** True when the service stays at or above its panic threshold without this endpoint. */
  spare(): boolean
  /** True when the service has enough without this endpoint, which is not available; those that are suspected count for nothing. */
  enough(): boolean
  /** True when a younger registration of another service has the endpoint's address. */
  taken(): boolean
}

export interface Step {
  readonly condition: Condition
  readonly verdict: Verdict | undefined
}

/**
 * Wait between probes while it matters, ms. With a sweep every 50 ms that is 200 to 250: never more than a quarter of a
 * second, which a user who waits for the first return notices.
 */
export const probeEveryMs = 200
/** For how long after an ejection probes come that often. */
export const probeOftenMs = 15_000
/** The wait grows to this. */
export const probeWaitMaxMs = 2_000
/** Wait before a probe that said nothing is repeated, ms. */
export const probeAgainMs = 50
/** Two fresh connections closed without a byte within this time are a death. */
export const closedPairMs = 10_000
/** Ejections are counted over this time, and a calm of this length forgives. */
export const flapWindowMs = 60_000
/** The ejection in `flapWindowMs` from which on hold-downs begin. */
export const flapFrom = 3

const recentMax = 16

export const illnessCauses: ReadonlySet<EjectionCause | undefined> = new Set(['consecutive-failures', 'failure-rate'])

/** A condition to begin with. */
export function newCondition(state: 'joining' | 'healthy', nowMs: Milliseconds): Condition {
  return {
    state,
    sinceMs: nowMs,
    probeAtMs: state === 'joining' ? nowMs : Infinity,
    waitMs: probeEveryMs,
    cause: undefined,
    proven: false,
    certain: false,
    died: false,
    lifeMs: -Infinity,
    holdUntilMs: -Infinity,
    goods: 0,
    ejections: 0,
    recentMs: [],
    illnesses: 0,
    restoredMs: -Infinity,
    closedMs: -Infinity,
    probeClosedMs: -Infinity,
    onTrial: false,
    trialSinceMs: -Infinity,
    quietFromMs: nowMs,
  }
}

export const stay = (condition: Condition): Step => ({ condition, verdict: undefined })

/** Asks it at once whether it lives: nothing was heard of it since `quietFromMs`. */
export function suspect(condition: Condition, quietFromMs: Milliseconds, { nowMs }: World): Step {
  return {
    condition: { ...condition, state: 'suspect', sinceMs: nowMs, probeAtMs: nowMs, quietFromMs },
    verdict: { kind: 'state', state: 'suspect' },
  }
}

function holdMs(doublings: number, world: World): Milliseconds {
  const { baseEjectionMs, maxEjectionMs } = world.settings
  return Math.min(maxEjectionMs, baseEjectionMs * 2 ** doublings * (1 + 0.2 * world.random()))
}

/** The longest that one which keeps dying is held back, ms: what kills it may be a request, and then the others need its help. */
export const flapHoldMaxMs = 5_000

const deaths: ReadonlySet<EjectionCause> = new Set(['refused', 'closed-unanswered'])

/** Ejects what was not ejected. Silence is asked about again at once: it may end at any moment. */
export function eject(condition: Condition, cause: EjectionCause, world: World): Step {
  const { nowMs } = world
  const recentMs = [...condition.recentMs.filter((at) => nowMs - at < flapWindowMs), nowMs].slice(-recentMax)
  const ill = illnessCauses.has(cause)
  const calm = nowMs - condition.restoredMs >= flapWindowMs
  const illnesses = ill ? (calm ? 1 : condition.illnesses + 1) : condition.illnesses
  let holdUntilMs = -Infinity
  if (ill) holdUntilMs = nowMs + holdMs(illnesses - 1, world)
  else if (recentMs.length >= flapFrom)
    holdUntilMs = nowMs + Math.min(flapHoldMaxMs, holdMs(recentMs.length - flapFrom, world))
  const died = deaths.has(cause)
  const proven = cause === 'refused'
  const certain = cause === 'closed-unanswered' ? world.answersProbes : died || cause === 'identity'
  return {
    condition: {
      ...condition,
      state: 'ejected',
      sinceMs: nowMs,
      probeAtMs: ill ? holdUntilMs : cause === 'silence' ? nowMs : nowMs + probeEveryMs,
      waitMs: probeEveryMs,
      cause,
      proven,
      certain,
      died,
      lifeMs: world.lastLifeMs,
      holdUntilMs,
      goods: 0,
      ejections: condition.ejections + 1,
      recentMs,
      illnesses,
      closedMs: -Infinity,
      probeClosedMs: -Infinity,
      onTrial: false,
    },
    verdict: { kind: 'eject', cause, proven, certain },
  }
}

/** Says more of an ejection that stands: the same one, better understood. */
export function reject(condition: Condition, cause: EjectionCause, proven: boolean, probeAtMs: Milliseconds): Step {
  return {
    condition: {
      ...condition,
      cause,
      proven,
      certain: true,
      died: condition.died || deaths.has(cause),
      goods: 0,
      probeAtMs,
    },
    verdict: { kind: 'eject', cause, proven, certain: true },
  }
}

/** The condition with its next probe due after its wait, which then grows to `probeWaitMaxMs`. */
export function waitLonger(condition: Condition, fromMs: Milliseconds, random: Random): Condition {
  const waitMs = Math.min(probeWaitMaxMs, condition.waitMs * 1.5)
  return { ...condition, probeAtMs: fromMs + condition.waitMs * (0.9 + 0.2 * random()), waitMs }
}
