/**
 * Run-time state and its binding to a table: what the data path reads for each request, with nothing looked up by name.
 * Config values (table) and run-time state (registry) never share an object; a bound endpoint points at both.
 * Types only; it must not do I/O, judge health or balance.
 */
import type { DrainPolicy } from '../policy/policy.ts'
import type { Ip } from '../policy/ip.ts'
import type { MirrorPolicy, StickyPolicy } from '../policy/traffic.ts'
import type { Plan, Shape } from '../table/plan.ts'
import type { Endpoint, Route, RouteTable, ServiceTable } from '../table/table.ts'
import type { PipeliningTrouble } from '../wire/pipelining.ts'
import type { Pool } from '../wire/pool.ts'

/** What health allows an endpoint; set by verdicts only, never by an operator's order. Ordered: the higher, the less it gets. */
export const admission = {
  /** Traffic as usual. */
  open: 0,
  /** New and not yet proven: traffic only where its service has nothing better. */
  joining: 1,
  /** Ejected: traffic only below the panic threshold. */
  ejected: 2,
  /** Dead for certain, or somebody else's address: none at all. */
  dead: 3,
} as const
export type Admission = (typeof admission)[keyof typeof admission]

/** An operator's word on an endpoint: nothing new goes there, whatever health thinks and however few are left. */
export interface OperatorOrder {
  /** `drain`: what it has goes on, up to its drain deadlines. `eject`: safe requests that wait there were taken away, too. */
  readonly kind: 'drain' | 'eject'
  /** When it was given, and when it ends by itself (Infinity: it does not), monotonic ms. */
  readonly sinceMs: number
  readonly untilMs: number
  /** When it was given, wall clock, ms. */
  readonly wallMs: number
  /** '' when none was said. */
  readonly reason: string
  /** Who gave it. */
  readonly by: string
  /** The document that orders it at every proxy; undefined: it was given at this one alone. */
  readonly document: string | undefined
}

/** One attempt that holds an endpoint, as health and rescue see it. */
export interface ActiveAttempt {
  /** Its place in `EndpointState.attempts`; kept by whoever adds and removes it. */
  slot: number
  /**
   * Since when it waits for the endpoint alone, monotonic ms: for a connection, or for the first byte of an answer to a
   * request that was sent whole. Infinity: it does not (its upload is under way, its answer has begun, it is a tunnel).
   */
  waitingSinceMs: number
  /** It has become a tunnel. */
  readonly isTunnel: boolean
  /**
   * The endpoint was ejected: the attempt may be taken from it and made elsewhere, or be ended when death is proven; else
   * it goes on. Called with `proven` once more when proof comes later.
   */
  ejected(proven: boolean): void
  /** The endpoint has left for longer than it may: answered or cut now. */
  expire(): void
}

/** What other processes of this proxy have at an endpoint. */
export interface Elsewhere {
  readonly inFlight: number
  readonly open: number
  readonly idle: number
  /** Why nothing is pipelined there for a while; undefined: nowhere is it so. */
  readonly pipeliningPause: PipeliningTrouble | undefined
}

/** What lives as long as an endpoint's registration, whatever tables come and go. */
export interface EndpointState {
  readonly key: string
  readonly life: number
  readonly handle: string
  readonly service: string
  /** As the last table that had it says; for telling, not for deciding. */
  endpoint: Endpoint
  readonly pool: Pool
  /** Requests that hold it now; as many as `attempts` has. */
  inFlight: number
  /** What other processes of this proxy have there, where it has any; told now and then, for showing. */
  elsewhere: Elsewhere | undefined
  /** The attempts that hold it now, in no order. */
  readonly attempts: ActiveAttempt[]
  /** True once it is in no table any more: it gets nothing new and ends when inFlight is 0. */
  leaving: boolean
  /** It is in maintenance: registered still, but to be empty soon. */
  draining: boolean
  /** The catalog would take it away and may be wrong: its agent is lost, or the brake holds it. It is asked now and then. */
  doubted: boolean
  /** What an operator has ordered; undefined: nothing. Set by `proxy/orders.ts` alone; a new life starts without. */
  order: OperatorOrder | undefined
  /** Since when `leaving`, `draining` or an order has been seen, monotonic ms; Infinity: not. */
  leavingSinceMs: number
  /** What it may still take once it leaves; of the last table it was in. */
  drain: DrainPolicy
  /** What health allows. */
  admission: Admission
  /** May be picked now: follows from `admission`, `leaving`, `order` and the panic threshold; kept by `live/open.ts`. */
  open: boolean
  /** Share of its weight that it gets while it ramps up, above 0 to 1. */
  ramp: number
  /** When it last gave a sign of life (a byte of an answer, a good probe), monotonic ms; -Infinity: never. */
  lastLifeMs: number
  /** Running median of the time to an answer's first byte, ms; 0 before the first. */
  usualMs: number
  /** Failures in a row, as `HealthJudge` counts them; the data plane only reads whether it is above 0. */
  streak: number
  /** Answers it has begun since it was first seen, of whatever status; only the data plane counts, once per answer. */
  answers: number
  /** Round-robin's running credit, 0 at first; only `balance/round-robin.ts` reads or writes it. */
  credit: number
}

/** Counts of one version of one service; plain numbers, read at scrape time. Survives table swaps. */
export interface VersionStats {
  readonly service: string
  readonly version: string
  /** Answers by `code` for origin upstream, by `code + 1000` for origin proxy. */
  readonly codes: Map<number, number>
  /** Duration histogram: count per bucket of `durationBucketsMs`, then the rest. */
  readonly durationCounts: number[]
  durationSumMs: number
  /** Attempts by outcome. */
  readonly attempts: Map<string, number>
  /** What was mirrored to this version, which is in none of the counts above; undefined: nothing was. */
  mirrored: MirrorStats | undefined
}

/**
 * What became of a request that was mirrored to a version: `same` or `different` class of status (2xx, 4xx …) as the client's
 * answer; `uncompared`: the client got none, or got it from this very version; `failed`: the version gave none that could be
 * read; not sent: `overflow` (as many as may were under way), `no-instance` (none was available).
 */
export type MirrorOutcome = 'same' | 'different' | 'uncompared' | 'failed' | 'overflow' | 'no-instance'

/** Counts of what was mirrored to one version. */
export interface MirrorStats {
  /** Under way at the version. */
  inFlight: number
  readonly outcomes: Map<MirrorOutcome, number>
  /** The failed ones by reason. */
  readonly failures: Map<string, number>
  /** Compared ones by `class of the client's answer * 10 + class of the version's`: 25 is 2xx and 5xx. */
  readonly classes: Map<number, number>
  /** How much later the version's head came than the client's: count per bucket of `differenceBucketsMs`, then the rest. */
  readonly differenceCounts: number[]
  differenceSumMs: number
}

export interface ServiceStats {
  readonly service: string
  inFlight: number
  /** Requests under way that spent some of the retry budget. */
  retrying: number
  /** Requests under way that were taken from an ejected endpoint after they had been sent there. */
  rescuing: number
  /** Requests that were taken from an ejected endpoint and sent again elsewhere. */
  rescued: number
  /** Retries by reason. */
  readonly retries: Map<string, number>
  retryBudgetExhausted: number
  /** How often pipelining to one of its instances was paused, by why. */
  readonly pipeliningPauses: Map<string, number>
}

/** Upper bounds of the duration histogram, ms. */
export const durationBucketsMs: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
]

/** Upper bounds of the histogram of differences, ms; below 0: the mirrored one was the faster. */
export const differenceBucketsMs: readonly number[] = [
  -1_000, -250, -100, -50, -25, -10, -5, -2.5, -1, 0, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000, 2_500, 10_000,
]

export interface BoundEndpoint {
  readonly endpoint: Endpoint
  readonly state: EndpointState
  /** Of its identity, for `balance: hash`; 0 to 2^32 - 1. */
  readonly hash: number
  /** What an affinity cookie names it by, see `balance/identity.ts`; '' where its service has no affinity. */
  readonly token: string
}

/** What an endpoint is picked from. */
export interface Candidates {
  /** Those the catalog allows (weight above 0); health filters further. */
  readonly endpoints: readonly BoundEndpoint[]
  /** The same, apart: those in the proxy's own zone, and the rest. Undefined: there is nothing to prefer. */
  readonly zones: Zones | undefined
}

export interface Zones {
  readonly own: readonly BoundEndpoint[]
  readonly others: readonly BoundEndpoint[]
}

export interface BoundGroup extends Candidates {
  readonly version: string
  /** The hash of `version`, for stickiness. */
  readonly seed: number
  readonly weight: number
  readonly stats: VersionStats
}

export interface BoundService {
  readonly table: ServiceTable
  /** Something of a request says which instance it gets: a hash key or an affinity cookie. The others' are never read for it. */
  readonly tied: boolean
  readonly groups: readonly BoundGroup[]
  readonly stats: ServiceStats
}

/** One of the services that share a route. */
export interface BoundPart {
  readonly service: BoundService
  /** Those of the service, weighed as the part has it. */
  readonly groups: readonly BoundGroup[]
  /** A version of it that cannot answer leaves its share to nobody. */
  readonly strict: boolean
  readonly weight: number
  /** Of its name, for stickiness. */
  readonly seed: number
  readonly standby: boolean
  /** The others do not get its share where it cannot answer. */
  readonly isolated: boolean
  /** What changes on the way there; undefined: nothing. */
  readonly shape: Shape | undefined
  /** Whom it is for; undefined: everybody. */
  readonly admits: ((client: Ip | undefined) => boolean) | undefined
  /** What ties requests to a version there, where the route ties them to nothing. */
  readonly sticky: StickyPolicy | undefined
  readonly mirror: MirrorPolicy | undefined
  /** All that share the route, itself included. */
  readonly parts: readonly BoundPart[]
}

export interface BoundRoute {
  readonly route: Route
  readonly service: BoundService
  /** Those of the service, with the route's own weights where it has any. */
  readonly groups: readonly BoundGroup[]
  /** The services that share it; undefined: all is for the one. */
  readonly parts?: readonly BoundPart[] | undefined
  /** Undefined: by weights, and nothing else. Never with parts. */
  readonly plan: Plan | undefined
  /** A version that cannot answer leaves its share to nobody. */
  readonly strict: boolean
}

/** Finds the route for a lower-case host without port and a normalised path; undefined: no route. */
export type Matcher<R> = (host: string, path: string) => R | undefined

export interface BoundTable {
  readonly table: RouteTable
  readonly match: Matcher<BoundRoute>
  /** Those of the table, in its order. */
  readonly routes: readonly BoundRoute[]
  readonly services: ReadonlyMap<string, BoundService>
}
