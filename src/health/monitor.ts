/**
 * Health's shell: keeps a subject per endpoint, tells the machine what happened, starts the probes it asks for and tells
 * its verdicts. Of an EndpointState it writes `lastLifeMs` (after a probe that was answered) and, through `failures.ts`,
 * `streak`; admission is the sink's to set. It has no timer of its own: whoever owns it calls `sweep`.
 */
import type { Clock, Milliseconds } from '../core/clock.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import type { Random } from '../core/random.ts'
import { createRounds, inGroups, type InTurn, inOwnTurn, type Steps, stepwise } from '../core/turn.ts'
import type { BoundService, BoundTable, EndpointState } from '../live/runtime.ts'
import { type Failure, unprovenEnd } from '../wire/failure.ts'
import { Claims } from './claims.ts'
import { newCondition, type Condition, type World } from './condition.ts'
import { countFailure, endStreak, forgetFailures, sample } from './failures.ts'
import { probing, react, type Happening } from './machine.ts'
import { countPeriodic, timePeriodic } from './periodic.ts'
import { Roster } from './roster.ts'
import { isPeriodic, planProbe, readProbe, type Purpose } from './probe-plan.ts'
import { ProbeRunner, type RunningProbe } from './probe-runner.ts'
import type { HealthView, Prober, ProbeResult, SharedHealth, VerdictSink } from './port.ts'
import { silentSinceMs, suspicionDeadlineMs } from './silence.ts'
import { follow, isEnough, isSpare, newService, recount, type Subject, type WatchedService } from './subject.ts'
import { doubt, isAtRest, isIllAndSilent, isOverdue, isSought, whatTimeBrings } from './time-passes.ts'
import { isToLearn, learnDeadlineMs, noteProbe } from './usual.ts'
import { heldAgainst, type Held, type ToldVerdict } from './told.ts'
import type { Verdict } from './verdict.ts'

export interface HealthParts {
  readonly clock: Clock
  readonly random: Random
  readonly prober: Prober
  readonly sink: VerdictSink
  readonly log?: Logger
  /**
   * Whether it sends the probes that no request asks for: periodic ones, and those of endpoints that join or are ejected. False:
   * another process does, and tells what they bring; but no endpoint waits for that for ever. Asked at each sweep; always by default.
   */
  readonly routine?: () => boolean
  /** Where a sweep of many endpoints, and the probes of many that came, have their turns; {@link inOwnTurn} by default. */
  readonly inTurn?: InTurn
}

/** Endpoints that came and are sent probes in one turn of the loop. */
export const askedPerTurn = 2
/** Endpoints that a sweep looks at in one turn of the loop. */
export const sweptPerTurn = 2_000
/** Deadline of a probe for proof, and the longest that `prove` takes. */
export const proofMs = 500
/** Deadline of a probe of one that joins or is ejected. */
export const seekDeadlineMs = 1_000
/** At most so many probes of one ejected endpoint are under way: a frozen one answers whichever it finds when it thaws. */
export const seekMax = 4
/** For how long one that left is still known after its last request. */
export const lingerMs = 1_000

class Monitor implements SharedHealth {
  readonly #clock: Clock
  readonly #random: Random
  readonly #sink: VerdictSink
  readonly #log: Logger
  readonly #routine: () => boolean
  readonly #probes: ProbeRunner
  readonly #claims = new Claims()
  readonly #services = new Map<string, WatchedService>()
  readonly #subjects = new Roster<EndpointState, Subject>()
  /** Where the next sweep begins: with the first that had to wait for others' probes to end. */
  #first = 0
  #waiting: Subject | undefined
  readonly #inTurn: InTurn
  readonly #rounds: (steps: () => Steps<void>) => void
  #stopped = false

  constructor({ clock, random, prober, sink, log = silentLogger, routine = () => true, ...more }: HealthParts) {
    this.#clock = clock
    this.#random = random
    this.#sink = sink
    this.#log = log
    this.#routine = routine
    this.#inTurn = more.inTurn ?? inOwnTurn
    this.#rounds = createRounds(this.#inTurn)
    this.#probes = new ProbeRunner(prober, clock, (probe, result) => this.#onResult(probe, result))
  }

  retain(bound: BoundTable): void {
    if (this.#stopped) return
    const came: Subject[] = []
    const changed = [...bound.services].filter(([name, service]) => this.#services.get(name)?.bound !== service)
    for (const [, service] of changed) this.#claim(service)
    for (const [name, service] of changed) came.push(...this.#retainService(name, service))
    for (const [name, service] of this.#services) {
      if (bound.services.has(name)) continue
      this.#services.delete(name)
      this.#claims.set(name, [], this.#clock.now())
      for (const subject of service.subjects) this.#leave(subject)
      recount(service)
    }
    // Told when all of the table is known, since what is told may ask back.
    for (const subject of came) if (subject.condition.state === 'joining') this.#tell(subject, { kind: 'join' })
    // A connection each, which costs more than all the rest of it.
    stepwise(
      inGroups(came, askedPerTurn, (subject) => this.#startDue(subject)),
      this.#inTurn,
    )
  }

  attemptFailed(state: EndpointState, failure: Failure): void {
    const subject = this.#judged(state)
    // Who ends its answers so does it always; that they are cut must not eject all of an app's instances.
    if (!subject || failure.detail === unprovenEnd) return
    const { kind, received, reused } = failure
    switch (kind) {
      case 'refused':
        this.#feed(subject, { kind: 'refused' })
        break
      case 'closed':
      case 'reset':
        if (received) this.#failed(subject, true)
        // One that was kept and is closed just then says nothing of how the endpoint does; but it may be the first sign.
        else if (reused) this.#doubt(subject)
        else {
          this.#failed(subject, false)
          this.#feed(subject, { kind: 'closed' })
        }
        break
      case 'connect-timeout':
      case 'unreachable':
      case 'first-byte-timeout':
        this.#failed(subject, false)
        this.#doubt(subject)
        break
      case 'certificate': // It lives; whether it is worse off than the others of its service is for the counts to say.
      case 'tls':
      case 'invalid':
        this.#failed(subject, false)
        break
      case 'idle-timeout': // An event stream with nothing to say ends like this.
      case 'local':
        break
    }
  }

  answered(state: EndpointState, status: number): void {
    const subject = this.#judged(state)
    if (!subject) return
    if (status >= 500) this.#failed(subject, true)
    else endStreak(subject)
  }

  doubt(state: EndpointState): void {
    const subject = this.#judged(state)
    if (subject) this.#doubt(subject)
  }

  ordered(state: EndpointState): void {
    const subject = this.#subjects.get(state)
    if (subject) recount(subject.service)
  }

  prove(state: EndpointState, done: (dead: boolean) => void): void {
    const subject = this.#judged(state)
    if (!subject) return done(false)
    const { condition } = subject
    if (condition.state === 'ejected' && condition.proven) return done(true)
    subject.waiters.push({ expireMs: this.#clock.now() + proofMs - 50, done })
    this.#startProof(subject)
  }

  sweep(nowMs: Milliseconds): void {
    if (this.#stopped) return
    const late = this.#probes.swept(nowMs)
    // One that is not through yet is as good as another.
    this.#rounds(() => this.#sweep(nowMs, late))
  }

  stateOf(state: EndpointState): HealthView | undefined {
    const subject = this.#subjects.get(state)
    if (!subject || subject.service.settings.mode === 'off') return undefined
    const { condition, standing } = subject
    const { cause, sinceMs, ejections } = condition
    const applied = subject.service.settings.mode === 'act'
    return { state: standing === 'member' ? condition.state : 'draining', cause, sinceMs, ejections, applied }
  }

  hear(state: EndpointState, verdict: ToldVerdict): void {
    const subject = this.#judged(state)
    if (subject) this.#feed(subject, { kind: 'told', verdict })
  }

  holds(): readonly Held[] {
    return this.#subjects.list.flatMap(heldAgainst)
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#probes.stop()
    for (const subject of this.#subjects.list) this.#answer(subject, false)
    this.#subjects.clear()
    this.#services.clear()
  }

  // === Tables ===

  #claim(bound: BoundService): void {
    this.#claims.set(
      bound.table.name,
      bound.table.groups.flatMap(({ endpoints }) => endpoints),
      this.#clock.now(),
    )
  }

  /** Those that are new. */
  #retainService(name: string, bound: BoundService): readonly Subject[] {
    const known = this.#services.get(name)
    const nowMs = this.#clock.now()
    const service = known ?? newService(bound)
    this.#services.set(name, service)
    const modeBefore = service.settings.mode
    const join = bound.table.policy.health.mode === 'act'
    const changes = follow(service, bound, this.#subjects, join, nowMs)
    for (const subject of changes.came) this.#subjects.set(subject.state, subject)
    for (const subject of changes.drained)
      for (const purpose of ['join', 'return', 'periodic'] as const) this.#probes.cancel(subject, purpose)
    for (const subject of changes.left) this.#leave(subject)
    for (const subject of service.subjects) {
      subject.window.resize(service.settings.windowMs)
      this.#timePeriodic(subject, nowMs)
    }
    if (modeBefore !== service.settings.mode) this.#beginAnew(service, modeBefore === 'act')
    for (const subject of changes.back) this.#feed(subject, { kind: 'seek' })
    return changes.came
  }

  /** A new mode judges from now on; what the old one has done is undone, where it did anything. */
  #beginAnew(service: WatchedService, wasApplied: boolean): void {
    const nowMs = this.#clock.now()
    for (const subject of service.subjects) {
      const { state } = subject.condition
      const held = state === 'ejected' || state === 'joining'
      this.#probes.cancel(subject)
      this.#answer(subject, false)
      forgetFailures(subject, nowMs)
      subject.periodicFails = 0
      subject.condition = newCondition('healthy', nowMs)
      if (held && wasApplied)
        this.#sink.verdict(subject.state, { kind: 'admit', state: 'healthy', ramp: false }, true, false)
    }
    recount(service)
  }

  #leave(subject: Subject): void {
    subject.standing = 'leaving'
    subject.forgetMs = this.#clock.now() + lingerMs
    subject.periodicAtMs = Infinity
    for (const purpose of ['join', 'return', 'periodic'] as const) this.#probes.cancel(subject, purpose)
  }

  #forget(subject: Subject): void {
    this.#probes.cancel(subject)
    this.#answer(subject, false)
    subject.service.subjects.delete(subject)
    this.#subjects.delete(subject.state)
  }

  // === What happens ===

  #judged(state: EndpointState): Subject | undefined {
    const subject = this.#subjects.get(state)
    return subject?.service.settings.mode === 'off' ? undefined : subject
  }

  #failed(subject: Subject, answered: boolean): void {
    const cause = countFailure(subject, this.#clock.now(), answered)
    this.#feed(subject, { kind: 'failed', cause })
  }

  #doubt(subject: Subject): void {
    this.#feed(subject, doubt(subject, this.#clock.now()))
  }

  #world(subject: Subject): World {
    const { service, endpoint, state } = subject
    return {
      nowMs: this.#clock.now(),
      settings: service.settings,
      random: this.#random,
      lastLifeMs: state.lastLifeMs,
      answersProbes: subject.probeUsualMs > 0,
      spare: () => isSpare(subject),
      enough: () => isEnough(service),
      taken: () => this.#claims.isTaken(endpoint, subject.condition.lifeMs),
    }
  }

  #feed(subject: Subject, happening: Happening): void {
    const before = subject.condition
    const { condition, verdict } = react(before, happening, this.#world(subject))
    // In place before anybody is told: what is told may lead straight back here.
    subject.condition = condition
    if (condition.state !== before.state) this.#changed(subject, before)
    if (condition.trialSinceMs !== before.trialSinceMs) subject.trialAnswers = subject.state.answers
    if (verdict) this.#tell(subject, verdict, happening.kind === 'told')
    if (condition.state === 'ejected' && condition.proven) this.#answer(subject, true)
    this.#startDue(subject)
  }

  #changed(subject: Subject, before: Condition): void {
    recount(subject.service)
    const { state } = subject.condition
    if (state === 'ejected') {
      this.#probes.cancel(subject, 'periodic')
      this.#probes.cancel(subject, 'join')
      subject.periodicFails = 0
      subject.periodicAtMs = Infinity
      return
    }
    if (before.state !== 'ejected' && before.state !== 'joining') return
    const nowMs = this.#clock.now()
    this.#probes.cancel(subject, 'return')
    if (before.state === 'ejected') forgetFailures(subject, nowMs)
    this.#timePeriodic(subject, nowMs)
  }

  #tell(subject: Subject, verdict: Verdict, told = false): void {
    const applied = subject.service.settings.mode === 'act'
    const { handle, service, id, address, port } = subject.endpoint
    const fields = { service, endpoint: handle, id, address: `${address}:${port}`, applied }
    const would = applied ? '' : ' (observed only, nothing is done)'
    // One line for each verdict, by whoever came to it.
    if (told) this.#log.debug({ ...fields, verdict: verdict.kind }, `verdict of another process taken over${would}`)
    else if (verdict.kind === 'eject')
      this.#log.warn({ ...fields, cause: verdict.cause }, `endpoint ejected: ${verdict.cause}${would}`)
    else if (verdict.kind === 'admit') this.#log.info({ ...fields, state: verdict.state }, `endpoint admitted${would}`)
    this.#sink.verdict(subject.state, verdict, applied, told)
  }

  #answer(subject: Subject, dead: boolean): void {
    for (const { done } of subject.waiters.splice(0)) done(dead)
  }

  // === Sweep ===

  /** All of it is as of `nowMs`: what is heard between its turns counts, and that they come late is nobody's silence. */
  *#sweep(nowMs: Milliseconds, late: boolean): Steps<void> {
    const order = this.#subjects.list
    this.#waiting = undefined
    for (let i = 0; i < order.length; i++) {
      if (i > 0 && i % sweptPerTurn === 0) yield
      const subject = order[(this.#first + i) % order.length]
      if (!subject || isAtRest(subject, nowMs)) continue
      if (this.#subjects.get(subject.state) === subject) this.#sweepOne(subject, nowMs, late)
    }
    this.#first = this.#waiting ? Math.max(0, this.#subjects.list.indexOf(this.#waiting)) : 0
  }

  #sweepOne(subject: Subject, nowMs: Milliseconds, late: boolean): void {
    const { service, standing } = subject
    if (standing === 'leaving' && this.#isOver(subject, nowMs)) return this.#forget(subject)
    if (service.settings.mode === 'off') return
    sample(subject, nowMs)
    this.#expire(subject, nowMs)
    const happening = whatTimeBrings(subject, nowMs, late, () =>
      this.#claims.isTaken(subject.endpoint, subject.condition.lifeMs),
    )
    if (happening) this.#feed(subject, happening)
    else this.#startDue(subject)
  }

  #isOver(subject: Subject, nowMs: Milliseconds): boolean {
    if (subject.state.inFlight > 0 || subject.waiters.length > 0) subject.forgetMs = nowMs + lingerMs
    return nowMs >= subject.forgetMs
  }

  #expire(subject: Subject, nowMs: Milliseconds): void {
    const { waiters } = subject
    // They came in the order of their ends.
    while (waiters[0] && nowMs >= waiters[0].expireMs) waiters.shift()?.done(false)
    if (waiters.length > 0) this.#startProof(subject)
  }

  // === Probes ===

  #timePeriodic(subject: Subject, nowMs: Milliseconds): void {
    timePeriodic(subject, nowMs, this.#probes.count(subject, 'periodic') > 0, this.#random)
  }

  /** Starts whatever is due and may start. */
  #startDue(subject: Subject): void {
    const { condition, service, standing, state } = subject
    if (this.#stopped || service.settings.mode === 'off') return
    const nowMs = this.#clock.now()
    const seeks = standing === 'member' && isSought(subject, nowMs) && (this.#routine() || isOverdue(subject, nowMs))
    switch (condition.state) {
      case 'suspect':
        if (nowMs >= condition.probeAtMs && this.#probes.count(subject, 'suspicion') === 0)
          this.#startSuspicion(subject, nowMs)
        break
      case 'joining':
        if (seeks && this.#probes.count(subject, 'join') === 0) this.#seek(subject, 'join', nowMs)
        break
      case 'ejected':
        if (seeks) this.#seek(subject, 'return', nowMs)
        if (isIllAndSilent(subject, nowMs) && this.#probes.count(subject, 'suspicion') === 0)
          this.#start(subject, 'suspicion', suspicionDeadlineMs(subject.probeUsualMs, nowMs - silentSinceMs(state)))
        break
      case 'healthy':
      case 'probation':
        if (isToLearn(subject, nowMs)) this.#startLearning(subject)
    }
    if (nowMs < subject.periodicAtMs) return
    if (this.#routine()) this.#startPeriodic(subject)
    // Should the other process fall away, not all are due at once.
    else subject.periodicAtMs = nowMs + this.#random() * service.settings.intervalMs
  }

  #start(subject: Subject, purpose: Purpose, deadlineMs: Milliseconds): boolean {
    const http = planProbe(purpose, subject.service.settings, subject.condition.cause)
    if (this.#probes.start(subject, purpose, deadlineMs, http)) return true
    this.#waiting ??= subject
    return false
  }

  #startSuspicion(subject: Subject, nowMs: Milliseconds): void {
    const before = subject.condition
    // First, since the answer may come before `start` returns.
    subject.condition = probing(before, nowMs, this.#random)
    const deadlineMs = suspicionDeadlineMs(subject.probeUsualMs, nowMs - before.quietFromMs)
    if (!this.#start(subject, 'suspicion', deadlineMs)) subject.condition = before
  }

  #seek(subject: Subject, purpose: 'join' | 'return', nowMs: Milliseconds): void {
    const { service } = subject
    if (this.#probes.count(subject, purpose) >= seekMax) this.#probes.cancelOldest(subject, purpose)
    const { condition: before, soughtMs } = subject
    subject.condition = probing(before, nowMs, this.#random)
    subject.soughtMs = nowMs
    const deadlineMs = purpose === 'join' && isPeriodic(service.settings) ? service.settings.timeoutMs : seekDeadlineMs
    if (this.#start(subject, purpose, deadlineMs)) return
    subject.condition = before
    subject.soughtMs = soughtMs
  }

  #startLearning(subject: Subject): void {
    const { learnAtMs } = subject
    subject.learnAtMs = Infinity
    if (!this.#start(subject, 'learn', learnDeadlineMs)) subject.learnAtMs = learnAtMs
  }

  #startPeriodic(subject: Subject): void {
    const { periodicAtMs } = subject
    subject.periodicAtMs = Infinity
    if (!this.#start(subject, 'periodic', subject.service.settings.timeoutMs)) subject.periodicAtMs = periodicAtMs
  }

  #startProof(subject: Subject): void {
    if (this.#probes.count(subject, 'proof') === 0) this.#start(subject, 'proof', proofMs)
  }

  #onResult(probe: RunningProbe, result: ProbeResult): void {
    const { subject, purpose, startedMs, settings } = probe
    const nowMs = this.#clock.now()
    let finding = readProbe(result, settings, subject.endpoint.id)
    // It may have been answered, and we were not there to read it.
    if (finding === 'mute' && probe.lagged) finding = 'unknown'
    if (result.kind === 'answer' || result.kind === 'invalid') this.#noteLife(subject, result, nowMs)
    const unhealthy = purpose === 'periodic' && countPeriodic(subject, finding, startedMs, nowMs, this.#random)
    this.#feed(subject, { kind: 'probed', purpose, finding, startedMs })
    if (unhealthy) this.#feed(subject, { kind: 'unhealthy' })
    if (purpose === 'proof') this.#answer(subject, false)
  }

  #noteLife(subject: Subject, result: ProbeResult, nowMs: Milliseconds): void {
    subject.state.lastLifeMs = Math.max(subject.state.lastLifeMs, nowMs)
    // What one takes that has just come back is not its usual.
    if (result.kind !== 'answer' || subject.condition.state === 'ejected') return
    noteProbe(subject, result.tookMs, nowMs)
  }
}

/**
 * Makes the judge of all endpoints. Call `retain` with every table once it stands, and `sweep` every 50 ms for as long as it
 * lives; `stop` ends its probes.
 */
export function createHealth(parts: HealthParts): SharedHealth {
  return new Monitor(parts)
}
