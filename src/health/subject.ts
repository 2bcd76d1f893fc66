/**
 * What health keeps per endpoint and per service, and who belongs to whom after a new table. It calls nobody and judges
 * nothing: it says who came, came back, went out of use or left.
 */
import type { Milliseconds } from '../core/clock.ts'
import type { BoundService, EndpointState } from '../live/runtime.ts'
import type { HealthPolicy } from '../policy/policy.ts'
import type { Endpoint } from '../table/table.ts'
import { newCondition, type Condition } from './condition.ts'
import { FailureWindow } from './failure-window.ts'

/** Running totals since they were first counted. */
export interface Totals {
  answers: number
  failures: number
}

export interface Waiter {
  /** Answered `false` from then on. */
  readonly expireMs: Milliseconds
  readonly done: (dead: boolean) => void
}

/** One endpoint's state, watched. */
export interface Subject {
  readonly state: EndpointState
  readonly service: WatchedService
  endpoint: Endpoint
  /** `member`: may get traffic. `draining`: registered, but the catalog gives it none. `leaving`: in no table any more. */
  standing: 'member' | 'draining' | 'leaving'
  /** Once leaving: forgotten then, unless something still holds it. */
  forgetMs: Milliseconds
  condition: Condition
  readonly window: FailureWindow
  readonly totals: Totals
  /** How many of `state.answers` are counted. */
  seenAnswers: number
  /** Totals of the others of its service when its streak of failures began. */
  streakMark: Readonly<Totals> | undefined
  /** When its share of failures was last compared with the others'. */
  comparedMs: Milliseconds
  /** `state.answers` when its probation began. */
  trialAnswers: number
  /** What the last good probes took, and their median (0: none yet). */
  readonly probeTimes: Milliseconds[]
  probeUsualMs: Milliseconds
  /** When to ask again only to learn what is usual; Infinity: that is known. */
  learnAtMs: Milliseconds
  /** When the next periodic probe is due; Infinity: none is. */
  periodicAtMs: Milliseconds
  /** Failed periodic probes in a row. */
  periodicFails: number
  /** When the last probe of a joining or ejected one began. */
  soughtMs: Milliseconds
  readonly waiters: Waiter[]
}

export interface WatchedService {
  readonly name: string
  settings: HealthPolicy
  bound: BoundService
  readonly subjects: Set<Subject>
  /** Of all it ever had: what the others' totals are read from. */
  readonly totals: Totals
  /** Members that do not join and on whom no order lies, and those of them that are not ejected: as `live/open.ts` counts. */
  counted: number
  available: number
  /** Of the available ones: those of whom nothing is heard. */
  suspect: number
}

export function newService(bound: BoundService): WatchedService {
  return {
    name: bound.table.name,
    settings: bound.table.policy.health,
    bound,
    subjects: new Set(),
    totals: { answers: 0, failures: 0 },
    counted: 0,
    available: 0,
    suspect: 0,
  }
}

export function newSubject(
  service: WatchedService,
  endpoint: Endpoint,
  state: EndpointState,
  joining: boolean,
  nowMs: Milliseconds,
): Subject {
  return {
    state,
    service,
    endpoint,
    standing: 'member',
    forgetMs: Infinity,
    condition: newCondition(joining ? 'joining' : 'healthy', nowMs),
    window: new FailureWindow(service.settings.windowMs),
    totals: { answers: 0, failures: 0 },
    seenAnswers: state.answers,
    streakMark: undefined,
    comparedMs: -Infinity,
    trialAnswers: 0,
    probeTimes: [],
    probeUsualMs: 0,
    learnAtMs: Infinity,
    periodicAtMs: Infinity,
    periodicFails: 0,
    soughtMs: -Infinity,
    waiters: [],
  }
}

/** Counts the service's members anew. */
export function recount(service: WatchedService): void {
  service.counted = service.available = service.suspect = 0
  for (const { standing, condition, state } of service.subjects) {
    if (standing !== 'member' || state.order || condition.state === 'joining') continue
    service.counted++
    if (condition.state !== 'ejected') service.available++
    if (condition.state === 'suspect') service.suspect++
  }
}

/** True when `subject` may be ejected without its service falling below its panic threshold. */
export function isSpare({ service, standing, condition, state }: Subject): boolean {
  // One that gets nothing new anyway takes nothing away.
  if (state.order || standing !== 'member' || condition.state === 'joining' || condition.state === 'ejected')
    return true
  return service.available - 1 >= service.settings.panicThreshold * service.counted
}

/** True when the service is at its panic threshold with those alone that are heard. */
export function isEnough({ available, suspect, counted, settings }: WatchedService): boolean {
  const heard = available - suspect
  return heard > 0 && heard >= settings.panicThreshold * counted
}

export interface Changes {
  readonly came: readonly Subject[]
  /** Members again. */
  readonly back: readonly Subject[]
  /** No members any more, but registered. */
  readonly drained: readonly Subject[]
  readonly left: readonly Subject[]
}

/**
 * Brings `service` to what `bound` says. Those that come are `joining` where `join` says so and the service had endpoints
 * before, else healthy at once. `known` finds a state's subject.
 */
export function follow(
  service: WatchedService,
  bound: BoundService,
  known: { get(state: EndpointState): Subject | undefined },
  join: boolean,
  nowMs: Milliseconds,
): Changes {
  const changes = { came: [] as Subject[], back: [] as Subject[], drained: [] as Subject[], left: [] as Subject[] }
  service.bound = bound
  service.settings = bound.table.policy.health
  let hadAny = false
  for (const { standing } of service.subjects) if (standing !== 'leaving') hadAny = true
  const members = new Set<EndpointState>()
  for (const { endpoints } of bound.groups)
    for (const { endpoint, state } of endpoints) {
      members.add(state)
      const subject = known.get(state)
      if (!subject) {
        const fresh = newSubject(service, endpoint, state, join && hadAny, nowMs)
        service.subjects.add(fresh)
        changes.came.push(fresh)
        continue
      }
      subject.endpoint = endpoint
      if (subject.standing === 'draining') changes.back.push(subject)
      subject.standing = 'member'
    }

  const lives = new Map<string, number>()
  for (const { endpoints } of bound.table.groups) for (const { key, life } of endpoints) lives.set(key, life)
  for (const subject of service.subjects) {
    const { state, standing } = subject
    if (members.has(state) || standing === 'leaving') continue
    const registered = lives.get(state.key) === state.life && !state.leaving
    if (!registered) changes.left.push(subject)
    else if (standing === 'member') changes.drained.push(subject)
    subject.standing = registered ? 'draining' : 'leaving'
  }
  recount(service)
  return changes
}
