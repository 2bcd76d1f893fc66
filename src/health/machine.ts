/**
 * The life of one endpoint as health sees it: one function per state, each from a condition and what happened to the next
 * condition and the verdict to be told, if any. Pure: time, chance and the rest of the service are in the `World`.
 * Probes are asked for by a time in the condition; who sends them, and how many at once, is the monitor's business.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import {
  closedPairMs,
  eject,
  illnessCauses,
  probeAgainMs,
  probeEveryMs,
  probeOftenMs,
  reject,
  stay,
  suspect,
  waitLonger,
  type Condition,
  type Step,
  type World,
} from './condition.ts'
import type { Finding, Purpose } from './probe-plan.ts'
import { told, type ToldVerdict } from './told.ts'
import type { EjectionCause } from './verdict.ts'

export type Happening =
  /** An attempt's connection was refused. */
  | { readonly kind: 'refused' }
  /** A fresh connection of an attempt was closed without a byte. */
  | { readonly kind: 'closed' }
  /** It may have died, or be silent: since `quietFromMs`. */
  | { readonly kind: 'doubt'; readonly quietFromMs: Milliseconds }
  /** A sign of life came after the state began. */
  | { readonly kind: 'life' }
  /** A failure was counted; `cause`: it is one too many. */
  | { readonly kind: 'failed'; readonly cause: EjectionCause | undefined }
  /** Probation has lasted long enough. */
  | { readonly kind: 'tried' }
  /** As many configured probes in a row failed as eject. */
  | { readonly kind: 'unhealthy' }
  | {
      readonly kind: 'probed'
      readonly purpose: Purpose
      readonly finding: Finding
      readonly startedMs: Milliseconds
    }
  /** It is worth asking at once: it is back in the table, or has its address for itself again. */
  | { readonly kind: 'seek' }
  /** Another process that judges the same endpoints has come to a verdict. */
  | { readonly kind: 'told'; readonly verdict: ToldVerdict }

/** One that closes every probe, and has never answered any, joins after this long, ms. */
const dislikeMs = 2_000
/** And is tried again after this long, once it was ejected. */
const ejectedDislikeMs = 10_000

const probeAt = (condition: Condition, probeAtMs: Milliseconds): Step => stay({ ...condition, probeAtMs })

/** No longer suspected: what it was before. */
function cleared(condition: Condition, { nowMs }: World): Step {
  const state = condition.onTrial ? 'probation' : 'healthy'
  return {
    condition: { ...condition, state, sinceMs: nowMs, probeAtMs: Infinity },
    verdict: { kind: 'state', state },
  }
}

/** A request's connection was closed: anybody's request may do that to it, so that it only leads to a probe. */
function closedOnRequest(condition: Condition, world: World): Step {
  const { nowMs, lastLifeMs } = world
  const noted = { ...condition, closedMs: nowMs }
  if (condition.state !== 'suspect') return suspect(noted, nowMs, world)
  // Probed again only while nothing else speaks for it: it would be asked for ever.
  return lastLifeMs > condition.sinceMs ? cleared(noted, world) : stay(noted)
}

/**
 * A probe's connection was closed. Dead behind a relay that accepts for it, where a request's was closed before it, or where it
 * used to answer probes and does not twice in a row; else it may be a server that does not like our question.
 */
function closedOnProbe(condition: Condition, world: World): Step {
  const { nowMs, lastLifeMs, answersProbes } = world
  const follows = (atMs: Milliseconds): boolean => nowMs - atMs <= closedPairMs && lastLifeMs <= atMs
  const dead = follows(condition.closedMs) || (answersProbes && follows(condition.probeClosedMs))
  if (dead && (answersProbes || world.spare())) return eject(condition, 'closed-unanswered', world)
  const noted = { ...condition, probeClosedMs: nowMs }
  if (condition.state !== 'suspect') return answersProbes ? suspect(noted, nowMs, world) : stay(noted)
  if (lastLifeMs > condition.sinceMs) return cleared(noted, world)
  return probeAt(noted, nowMs + (answersProbes ? 0 : probeEveryMs))
}

function failed(condition: Condition, cause: EjectionCause | undefined, world: World): Step {
  const due = condition.onTrial ? condition.cause : cause
  if (due === undefined) return stay(condition)
  if (world.spare()) return eject(condition, due, world)
  return stay(condition.onTrial ? { ...condition, trialSinceMs: world.nowMs } : condition)
}

/** What befalls all that have traffic alike; undefined: nothing of the kind happened. */
function befallen(condition: Condition, happening: Happening, world: World): Step | undefined {
  switch (happening.kind) {
    case 'refused':
      return eject(condition, 'refused', world)
    case 'closed':
      return closedOnRequest(condition, world)
    case 'failed':
      return failed(condition, happening.cause, world)
    case 'unhealthy':
      return eject(condition, 'probe', world)
    case 'probed':
      if (happening.finding === 'refused') return eject(condition, 'refused', world)
      if (happening.finding === 'closed') return closedOnProbe(condition, world)
      return happening.finding === 'stranger' ? eject(condition, 'identity', world) : undefined
    default:
      return undefined
  }
}

function whenHealthy(condition: Condition, happening: Happening, world: World): Step {
  if (happening.kind === 'doubt') return suspect(condition, happening.quietFromMs, world)
  return befallen(condition, happening, world) ?? stay(condition)
}

function whenOnProbation(condition: Condition, happening: Happening, world: World): Step {
  if (happening.kind !== 'tried') return whenHealthy(condition, happening, world)
  return cleared({ ...condition, onTrial: false }, world)
}

function whenSuspect(condition: Condition, happening: Happening, world: World): Step {
  const { nowMs } = world
  if (happening.kind === 'life') return cleared(condition, world)
  if (happening.kind !== 'probed' || happening.purpose !== 'suspicion')
    return befallen(condition, happening, world) ?? stay(condition)
  switch (happening.finding) {
    case 'good':
    case 'alive':
      return cleared(condition, world)
    case 'unknown':
      return probeAt(condition, nowMs + probeAgainMs)
    case 'mute':
      if (world.lastLifeMs > condition.sinceMs) return cleared(condition, world)
      // It was sent for an earlier suspicion, and has not had its time since this one began.
      if (happening.startedMs < condition.sinceMs) return probeAt(condition, nowMs)
      if (world.spare()) return eject(condition, 'silence', world)
      return { ...probeAt(condition, nowMs + probeAgainMs), verdict: { kind: 'relieve' } }
    default:
      return befallen(condition, happening, world) ?? stay(condition)
  }
}

/** A new one has not died when it refuses a probe: it does not listen yet. Requests get there only for want of others. */
function whenJoining(condition: Condition, happening: Happening, world: World): Step {
  const { nowMs, random } = world
  const joined = (): Step => ({
    condition: { ...condition, state: 'healthy', sinceMs: nowMs, probeAtMs: Infinity },
    verdict: { kind: 'admit', state: 'healthy', ramp: true },
  })
  switch (happening.kind) {
    case 'refused':
      return eject(condition, 'refused', world)
    case 'life':
      return joined()
    case 'seek':
      return probeAt(condition, nowMs)
    case 'probed':
      if (happening.finding === 'stranger') return eject(condition, 'identity', world)
      if (happening.finding === 'good') return joined()
      // It takes connections, and may not like our question; requests will tell.
      if (happening.finding === 'closed' && nowMs - condition.sinceMs >= dislikeMs) return joined()
      return happening.purpose === 'join' ? stay(waitLonger(condition, nowMs, random)) : stay(condition)
    default:
      return stay(condition)
  }
}

function returned(condition: Condition, world: World): Step {
  const { nowMs, settings } = world
  const { cause, holdUntilMs } = condition
  // What answers is the younger one, unless it proves by its identity that it is not.
  if (condition.died && settings.identity === undefined && world.taken())
    return reject(condition, 'address-taken', condition.proven, Infinity)
  const ill = illnessCauses.has(cause)
  if (nowMs < holdUntilMs && ill) return probeAt(condition, holdUntilMs)
  // Held back only while there are enough without it: a request that kills whoever runs it makes all of them flap. So it is
  // asked on and on: it is needed the moment that another one falls silent.
  if (nowMs < holdUntilMs && world.enough()) return stay(condition)
  const goods = condition.goods + 1
  if (cause === 'probe' && goods < settings.healthyThreshold) return stay({ ...condition, goods })
  const state = ill ? 'probation' : 'healthy'
  return {
    condition: {
      ...condition,
      state,
      sinceMs: nowMs,
      restoredMs: nowMs,
      probeAtMs: Infinity,
      onTrial: ill,
      trialSinceMs: nowMs,
    },
    verdict: {
      kind: 'admit',
      state,
      ramp: condition.certain && nowMs - condition.sinceMs > settings.slowStartMs,
    },
  }
}

/** Only what was asked since it was ejected, and not by a connect alone where more was to be known. */
function answersReturn(
  { purpose, startedMs }: { purpose: Purpose; startedMs: Milliseconds },
  condition: Condition,
): boolean {
  return startedMs >= condition.sinceMs && purpose !== 'periodic' && purpose !== 'join' && purpose !== 'learn'
}

/** Where new connections come to nothing, failures add up before the silence has lasted: it was the reason all the while. */
function provesSilence({ cause }: Condition, happening: Happening, { lastLifeMs }: World): boolean {
  const asked = happening.kind === 'probed' && happening.purpose === 'suspicion'
  return asked && illnessCauses.has(cause) && lastLifeMs <= happening.startedMs
}

/** The same ejection, for another cause: as if it had been silence from the start. */
function ejectForSilence(condition: Condition, world: World): Step {
  const { ejections, illnesses, recentMs } = condition
  const before = { ...condition, ejections: ejections - 1, illnesses: illnesses - 1, recentMs: recentMs.slice(0, -1) }
  return eject(before, 'silence', world)
}

function whenEjected(condition: Condition, happening: Happening, world: World): Step {
  const { nowMs } = world
  const { cause } = condition
  const finding = happening.kind === 'probed' ? happening.finding : happening.kind === 'refused' ? 'refused' : undefined
  if (happening.kind === 'seek')
    return probeAt(condition, Math.max(nowMs, illnessCauses.has(cause) ? condition.holdUntilMs : nowMs))
  // What answers a request is neither frozen nor dead behind a relay. (One that refuses may answer what it had: it ends.)
  if (happening.kind === 'life') return cause === 'address-taken' ? stay(condition) : returned(condition, world)
  switch (finding) {
    case 'refused':
      if (condition.proven || cause === 'address-taken') return stay({ ...condition, goods: 0 })
      return reject(condition, 'refused', true, Math.min(condition.probeAtMs, nowMs + probeEveryMs))
    case 'stranger':
      return cause === 'identity'
        ? stay(condition)
        : reject(condition, 'identity', condition.proven, condition.probeAtMs)
    case 'good':
      if (happening.kind !== 'probed' || !answersReturn(happening, condition)) return stay(condition)
      return cause === 'address-taken' && world.taken() ? stay(condition) : returned(condition, world)
    case 'closed':
      // Nothing but requests can tell of one that has never answered a probe.
      if (cause === 'closed-unanswered' && !world.answersProbes && nowMs - condition.sinceMs >= ejectedDislikeMs)
        return returned(condition, world)
      return stay({ ...condition, goods: 0 })
    case 'mute':
      return provesSilence(condition, happening, world)
        ? ejectForSilence(condition, world)
        : stay({ ...condition, goods: 0 })
    case undefined:
    case 'unknown':
      return stay(condition)
    default:
      return stay({ ...condition, goods: 0 })
  }
}

/** The next condition and what is to be told; the very same condition where nothing changed. */
export function react(condition: Condition, happening: Happening, world: World): Step {
  if (happening.kind === 'told') return told(condition, happening.verdict, world)
  switch (condition.state) {
    case 'joining':
      return whenJoining(condition, happening, world)
    case 'healthy':
      return whenHealthy(condition, happening, world)
    case 'suspect':
      return whenSuspect(condition, happening, world)
    case 'ejected':
      return whenEjected(condition, happening, world)
    case 'probation':
      return whenOnProbation(condition, happening, world)
  }
}

/** The condition once its probe has started: when the next is due. Only those of the ejected overlap. */
export function probing(condition: Condition, nowMs: Milliseconds, random: Random): Condition {
  if (condition.state !== 'ejected') return { ...condition, probeAtMs: Infinity }
  const fromMs = illnessCauses.has(condition.cause) ? condition.holdUntilMs : condition.sinceMs
  if (nowMs - fromMs < probeOftenMs) return { ...condition, probeAtMs: nowMs + probeEveryMs }
  return waitLonger(condition, nowMs, random)
}
