/**
 * Probes under way: how many there may be, whose they are, and whether our own loop was late while they ran. It decides
 * neither whom to probe nor what an answer means.
 */
import type { Clock, Milliseconds } from '../core/clock.ts'
import type { HealthPolicy } from '../policy/policy.ts'
import { sweepMs } from '../wire/deadlines.ts'
import type { Prober, ProbeRequest, ProbeResult } from './port.ts'
import type { Purpose } from './probe-plan.ts'
import type { Subject } from './subject.ts'

/** How many probes on suspicion (and for proof), and how many of all others, run at a time; the rest wait for a sweep. */
export const urgentMax = 64
export const routineMax = 256

/** A sweep that comes this much later than it should means that our own loop was held up. */
export const lagMs = 100

export interface RunningProbe {
  readonly subject: Subject
  readonly purpose: Purpose
  readonly startedMs: Milliseconds
  /** As they were when it was sent: its answer is read by the question. */
  readonly settings: HealthPolicy
  /** Our own loop was late during its life. */
  lagged: boolean
  over: boolean
  cancel: () => void
}

const isUrgent = (purpose: Purpose): boolean => purpose === 'suspicion' || purpose === 'proof'

export class ProbeRunner {
  readonly #prober: Prober
  readonly #clock: Clock
  readonly #onResult: (probe: RunningProbe, result: ProbeResult) => void
  /** In the order of their starts. */
  readonly #running = new Map<Subject, RunningProbe[]>()
  #urgent = 0
  #routine = 0
  #sweptMs: Milliseconds

  constructor(prober: Prober, clock: Clock, onResult: (probe: RunningProbe, result: ProbeResult) => void) {
    this.#prober = prober
    this.#clock = clock
    this.#onResult = onResult
    this.#sweptMs = clock.now()
  }

  /** Probes under way. */
  get size(): number {
    return this.#urgent + this.#routine
  }

  /** How many of the subject's probes for `purpose` are under way. */
  count(subject: Subject, purpose: Purpose): number {
    let count = 0
    for (const probe of this.#running.get(subject) ?? []) if (probe.purpose === purpose) count++
    return count
  }

  /** Sends a probe; false when there are too many, and nothing was sent. The result may come before it returns. */
  start(subject: Subject, purpose: Purpose, deadlineMs: Milliseconds, http: ProbeRequest['http']): boolean {
    if (isUrgent(purpose) ? this.#urgent >= urgentMax : this.#routine >= routineMax) return false
    const startedMs = this.#clock.now()
    const { settings } = subject.service
    const probe: RunningProbe = {
      subject,
      purpose,
      startedMs,
      settings,
      lagged: false,
      over: false,
      cancel() {},
    }
    this.#add(probe, 1)
    const { address: host, port } = subject.endpoint
    const { connector } = subject.state.pool
    const handle = this.#prober({ host, port, connector, http, deadlineMs }, (result) => {
      if (probe.over) return
      this.#remove(probe)
      this.#noteLag(probe, this.#clock.now())
      this.#onResult(probe, result)
    })
    probe.cancel = () => handle.cancel()
    return true
  }

  /** Gives up the subject's probes, of `purpose` only where it is given; their results are not heard. */
  cancel(subject: Subject, purpose?: Purpose): void {
    for (const probe of this.#of(subject)) if (purpose === undefined || probe.purpose === purpose) this.#giveUp(probe)
  }

  /** Gives up the oldest of the subject's probes for `purpose`. */
  cancelOldest(subject: Subject, purpose: Purpose): void {
    const oldest = this.#running.get(subject)?.find((probe) => probe.purpose === purpose)
    if (oldest) this.#giveUp(oldest)
  }

  /** Call at every sweep, before anything else: notes whom the loop's lateness may have wronged. True: it was late. */
  swept(nowMs: Milliseconds): boolean {
    for (const probes of this.#running.values()) for (const probe of probes) this.#noteLag(probe, nowMs)
    const late = nowMs - this.#sweptMs > sweepMs + lagMs
    this.#sweptMs = nowMs
    return late
  }

  stop(): void {
    for (const subject of this.#running.keys()) this.cancel(subject)
  }

  /** A copy: giving one up changes the list. */
  #of(subject: Subject): readonly RunningProbe[] {
    return this.#running.get(subject)?.slice() ?? []
  }

  /** What passed since the last sweep, or since its start where that is later. */
  #noteLag(probe: RunningProbe, nowMs: Milliseconds): void {
    if (nowMs - Math.max(this.#sweptMs, probe.startedMs) > sweepMs + lagMs) probe.lagged = true
  }

  #giveUp(probe: RunningProbe): void {
    this.#remove(probe)
    probe.cancel()
  }

  #remove(probe: RunningProbe): void {
    probe.over = true
    this.#add(probe, -1)
  }

  #add(probe: RunningProbe, sign: 1 | -1): void {
    if (isUrgent(probe.purpose)) this.#urgent += sign
    else this.#routine += sign
    const probes = this.#running.get(probe.subject) ?? []
    if (sign > 0) probes.push(probe)
    else probes.splice(probes.indexOf(probe), 1)
    if (probes.length > 0) this.#running.set(probe.subject, probes)
    else this.#running.delete(probe.subject)
  }
}
