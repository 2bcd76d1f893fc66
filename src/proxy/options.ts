/**
 * The door of the data plane: what it is given and what it tells. Control reaches it only through these, by value,
 * so that several worker processes are a setting and not a rewrite.
 */
import type { Clock } from '../core/clock.ts'
import type { CopySocket, Inherit } from '../core/inherit.ts'
import type { Logger } from '../core/log.ts'
import type { Random } from '../core/random.ts'
import type { HealthEvent } from '../health/event.ts'
import type { HealthJudge, HealthView, VerdictSink } from '../health/port.ts'
import type { BoundTable, EndpointState, ServiceStats, VersionStats } from '../live/runtime.ts'
import type { RouteTable } from '../table/table.ts'
import type { ErrorPage } from './answers.ts'
import type { WireLimits } from '../wire/limits.ts'

/** A socket that accepts requests. Same host and port is the same socket across reloads; the rest is adopted. */
export interface ListenerOptions {
  /** Shown in logs and problems. */
  readonly name: string
  /** An IP literal or host name. */
  readonly host: string
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  /** CIDR ranges of peers whose Forwarded and X-Forwarded-* are believed; none by default. */
  readonly trust: readonly string[]
}

export interface ListenerAddress {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** What is known of a request when it has ended. Lent to the observer for the length of the call; copy what you keep. */
export interface RequestRecord {
  readonly requestId: string
  readonly clientAddress: string
  readonly method: string
  /** '' when the request had none that could be read. */
  readonly host: string
  /** The request-target as it came; '' when it could not be read. */
  readonly target: string
  /** What the client was sent; where nothing was, 499 when it left, 503 when we ended it. 0 for a tunnel that was cut before its answer. */
  readonly status: number
  /** Who made the answer. */
  readonly origin: 'upstream' | 'proxy'
  /** '' before a route was found. */
  readonly service: string
  readonly version: string
  /** `address:port` of the last endpoint tried, or ''. */
  readonly endpoint: string
  readonly handle: string
  readonly attempts: number
  readonly durationMs: number
  readonly bytesReceived: number
  /** Only a {@link DataPlaneObserver} has it right: without one nobody counts. */
  readonly bytesSent: number
  /**
   * Why the proxy answered itself or cut the answer, '' otherwise. A stable word: `no-route`, `no-endpoint`,
   * `connection-limit`, `loop`, `path`, `trace`, `max-forwards`, `denied`, and where a route answers by itself `answer`, `redirect`, `websocket-key`, `upgrade`; a
   * `GoneReason` (`client-gone`, `write-stall`, `tunnel-idle`, `shutdown`); the kind of a
   * `Failure` (`refused`, `closed`, `first-byte-timeout` …); or the rule by which the request was refused (`host-missing` …).
   */
  readonly cause: string
}

/** One try of a request that had trouble. Times are from the first byte of the request, ms. */
export interface AttemptRecord {
  readonly handle: string
  readonly address: string
  readonly port: number
  readonly version: string
  readonly startedMs: number
  /** When its answer was whole, or it was decided what follows. */
  readonly endedMs: number
  /** `ended`: the client or we ended it, and that says nothing of the endpoint. */
  readonly outcome: 'answered' | 'retried' | 'rescued' | 'lost' | 'ended'
  /** As {@link RequestRecord.cause}, or the kind of its `Failure`; '' when it was answered. */
  readonly reason: string
  /** What more is known of a `Failure`, see there; '' where it was none. */
  readonly detail: string
  /** The connection had been there before. */
  readonly reused: boolean
  /** Nothing of the request was sent. */
  readonly unsent: boolean
}

/** A request that failed, was cut or given up, or was tried more than once. Its parts are lent as the record is. */
export interface Trouble {
  readonly record: RequestRecord
  /** Host and path of its route, such as `shop.example.com/cart`; '' when it is not known. */
  readonly route: string
  /** In order; the first ones, where there were very many. */
  readonly attempts: readonly AttemptRecord[]
}

export interface DataPlaneObserver {
  requestDone(record: RequestRecord): void
}

/** Figures read at scrape time. */
export interface Connections {
  readonly open: number
  readonly idle: number
}

export interface DataPlaneFigures {
  readonly tableVersion: number
  readonly versions: Iterable<VersionStats>
  readonly services: Iterable<ServiceStats>
  readonly endpoints: Iterable<EndpointState>
  /** Client connections: all, and those with no request under way. */
  readonly downstream: Connections
  /** Counted when it is read. */
  readonly upstream: Connections
  /** Requests answered before a service was known, by status code. */
  readonly unrouted: ReadonlyMap<number, number>
}

export interface DataPlaneOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly limits: WireLimits
  /** Undefined: nobody wants records, and none are made. */
  readonly observer: DataPlaneObserver | undefined
  /** Other processes of this proxy listen on the same ports; false by default. */
  readonly sharesPorts?: boolean
  /** Asked first for each socket that is to be opened; absent: all are new. */
  readonly inherit?: Inherit | undefined
  /** Absent: each socket is had once, and takes one connection a turn. */
  readonly copySocket?: CopySocket | undefined
  /** Makes the judge of endpoints; absent: nothing is judged, every endpoint of the table gets traffic. */
  readonly createHealth?: (sink: VerdictSink) => HealthJudge
  /** Takes what happens to endpoints; called synchronously, must be quick. */
  readonly onHealthEvent?: (event: HealthEvent) => void
  /** Takes requests that had trouble, when they have ended; called synchronously, must be quick. */
  readonly onTrouble?: (trouble: Trouble) => void
}

/** What an operator orders for one endpoint. `reason` is '' when none is said; `forMs` undefined: until it is restored. */
export type OperatorCommand =
  | {
      readonly kind: 'drain' | 'eject'
      readonly forMs: number | undefined
      readonly reason: string
      readonly by: string
      /** The document that orders it at every proxy; absent: it is for this one alone. */
      readonly document?: string
    }
  | { readonly kind: 'restore'; readonly reason: string; readonly by: string }

export interface DataPlane {
  /** Replaces the table for every request that starts after the call. */
  apply(table: RouteTable): void
  current(): BoundTable
  /**
   * Opens what is new, closes what is gone (its connections finish), keeps what is equal. All or nothing: when one
   * cannot be bound it rejects with FL_LISTEN naming it, and what was open stays as it was.
   */
  listen(listeners: readonly ListenerOptions[]): Promise<readonly ListenerAddress[]>
  addresses(): readonly ListenerAddress[]
  /** Limits for connections accepted from now on. */
  setLimits(limits: WireLimits): void
  /** Where the proxy is, '' nowhere: of instances of one version those in the same zone are preferred while they have room. */
  setZone(zone: string): void
  setObserver(observer: DataPlaneObserver | undefined): void
  /** Bodies of our own answers, by status code; those without a page have a short text. */
  setErrorPages(pages: ReadonlyMap<number, ErrorPage>): void
  /** Whether the registration `key` of that `life` lives, as far as health knows. */
  isAlive(key: string, life: number): 'alive' | 'dead' | 'unknown'
  /** Has these registrations probed at once. */
  doubt(keys: readonly string[]): void
  /**
   * Carries out an operator's command on the registration `key` of that `life`; an order replaces the one before it.
   * `unknown`: there is no such registration (any more). `no-order`: there is nothing to restore.
   */
  operate(key: string, life: number, command: OperatorCommand): 'done' | 'unknown' | 'no-order'
  /** The run-time state of a registration that lives; undefined: it does not. */
  stateOf(key: string, life: number): EndpointState | undefined
  /** What health thinks of an endpoint, or an operator's order makes of it; undefined: nothing judges, or it is not known. */
  healthOf(state: EndpointState): HealthView | undefined
  figures(): DataPlaneFigures
  /** Clients are to go elsewhere: from now on answers say `Connection: close`. Idempotent. */
  leave(): void
  /** Stops accepting, ends idle connections, lets requests finish; destroys what is left after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>
  /** Ends everything at once. Idempotent. */
  destroy(): void
}
