/**
 * The course of one request: what it was routed to, the version and the instance it is at, what its answer gets besides. It
 * steers and remembers; it opens nothing, sends nothing and judges no failure.
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import { pickGroup } from '../balance/pick-group.ts'
import type { BoundEndpoint, BoundGroup, BoundRoute, BoundService, EndpointState } from '../live/runtime.ts'
import type { ServiceTimeouts } from '../policy/policy.ts'
import type { MirrorPolicy } from '../policy/traffic.ts'
import type { Plan, Shape } from '../table/plan.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { ResponseHead } from '../wire/response-head.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import { withoutFields } from '../wire/syntax.ts'
import { showHostPort } from '../core/host.ts'
import type { Mirrored } from './mirror.ts'
import type { Aim, NextEndpoint } from './next-endpoint.ts'
import type { PlaneCore } from './plane-core.ts'
import { SteeredRequest, steer, stickyLine, type Steered } from './steer.ts'
import { Tie } from './tie.ts'
import type { Tries } from './tries.ts'
import { clientAddress, type ForwardingFacts, upstreamHead } from './upstream-head.ts'

/** What a route may answer by itself. */
export type Answered = Exclude<Steered, { readonly kind: 'forward' }>

export class Course {
  readonly #core: PlaneCore
  readonly #client: ServerConnection
  readonly #tries: Tries
  #aim: Aim | undefined
  /** What ties the request to an instance; undefined: nothing can. */
  #tie: Tie | undefined
  /** The client spoke TLS, as a peer says that we trust. */
  #secure = false
  service: BoundService | undefined
  group: BoundGroup | undefined
  /** The instance of the last attempt. */
  endpoint: BoundEndpoint | undefined
  /** What the route changes on the way; undefined: nothing. */
  shape: Shape | undefined
  /** Lines that the answer gets besides the upstream's own. */
  added = ''
  /** Where a share of such requests goes as well; undefined: nowhere. */
  mirror: MirrorPolicy | undefined
  #mirrored: Mirrored | undefined

  constructor(core: PlaneCore, client: ServerConnection, tries: Tries) {
    this.#core = core
    this.#client = client
    this.#tries = tries
  }

  reset(): void {
    this.#aim = undefined
    this.#tie = undefined
    this.service = undefined
    this.group = undefined
    this.endpoint = undefined
    this.shape = undefined
    this.added = ''
    this.mirror = undefined
  }

  /** The request is over, its client having been sent `status`; what is told of it later is its version and instance. */
  leave(status: number): void {
    this.#mirrored?.clientEnded(status)
    this.#mirrored = undefined
    this.#aim = undefined
    this.service = undefined
  }

  /** Takes the route's way, `path` being the request's as routes are; an answer where the route itself gives it. `group` stays undefined where no version can answer. */
  take(route: BoundRoute, head: RequestHead, path: string, forwarding: ForwardingFacts): Answered | undefined {
    this.#aim = route
    if (route.plan === undefined) this.group = pickGroup(route.groups, this.#core.random())
    else {
      const answered = this.#steer(route, route.plan, head, path, forwarding)
      if (answered) return answered
    }
    const { service } = this.#aim
    this.service = service
    if (service.tied) this.#tied(service, head, forwarding)
    return undefined
  }

  #steer(
    route: BoundRoute,
    plan: Plan,
    head: RequestHead,
    path: string,
    forwarding: ForwardingFacts,
  ): Answered | undefined {
    const request = new SteeredRequest(head, path, clientAddress(head, this.#client, forwarding))
    const steered = steer(this.#core.bound, this.#core.random, route, plan, request)
    if (steered.kind !== 'forward') return steered
    this.#aim = steered.aim
    this.group = steered.group
    this.shape = steered.shape
    this.mirror = steered.mirror
    this.added = stickyLine(steered, isSecure(head))
    return undefined
  }

  /** The request has been handed to its own version: sends it where it is mirrored to as well, if it is one of its share. */
  sendMirrored(policy: MirrorPolicy, head: RequestHead, forwarding: ForwardingFacts, id: string): void {
    this.#mirrored = this.#core.mirrors.send(policy, this, head, forwarding, id)
  }

  #tied(service: BoundService, head: RequestHead, forwarding: ForwardingFacts): void {
    this.#secure = isSecure(head)
    this.#tie = new Tie(service.table.policy, head.lines, clientAddress(head, this.#client, forwarding))
  }

  /** The head for an attempt at `endpoint`. */
  upstreamHead(
    head: RequestHead,
    forwarding: ForwardingFacts,
    id: string,
    upgrade: boolean,
    to: BoundEndpoint,
  ): string {
    const { shape } = this
    if (shape === undefined) return upstreamHead(head, this.#client, forwarding, id, upgrade)
    const instance = shape.hostIsInstance ? showHostPort(to.endpoint.address, to.endpoint.port) : ''
    return upstreamHead(head, this.#client, forwarding, id, upgrade, shape, instance)
  }

  /** The instance of the last attempt answers: its lines become what the client gets of them, and {@link added} is complete. */
  answered(head: ResponseHead): void {
    this.#mirrored?.clientAnswered(head.status, this.group?.version)
    const changes = this.shape?.response
    if (changes)
      head.lines = (changes.drop.size === 0 ? head.lines : withoutFields(head.lines, changes.drop)) + changes.lines
    if (this.#tie && this.endpoint) this.added += this.#tie.cookieLine(this.endpoint, this.#secure)
  }

  /** The instance for the first attempt; undefined: there is none. */
  first({ table }: BoundService): BoundEndpoint | undefined {
    if (this.group === undefined) return undefined
    const { tried } = this.#tries
    const { policy } = table
    if (this.#tie === undefined) return pickEndpoint(this.group, this.#core.random, tried, policy)
    return (
      this.#tie.holder(this.group, tried) ??
      pickEndpoint(this.group, this.#core.random, tried, policy, this.#tie.keyHash)
    )
  }

  /** Where to go now. */
  next(): NextEndpoint | undefined {
    const found = this.#next(undefined, false)
    return found === 'wait' ? undefined : found
  }

  /** The same; `from` had it, and broke. Where its turn has not come and it is not `due`, `again` is called when it may have. */
  nextInTurn(from: EndpointState, due: boolean, again: (due: boolean) => void): NextEndpoint | 'wait' | undefined {
    const next = this.#next(from, !due)
    if (next === 'wait') this.#tries.wait(this.#core, from, again)
    return next
  }

  #next(from: EndpointState | undefined, mayWait: boolean): NextEndpoint | 'wait' | undefined {
    if (!this.#aim) return undefined
    return this.#tries.next(this.#core, this.#aim, this.group?.version, from, this.#tie?.keyHash, mayWait)
  }

  /**
   * The request goes on to `next`. True: what is sent there is another head, since another service of its route takes it.
   */
  move({ aim, group }: NextEndpoint): boolean {
    this.group = group
    const from = this.#aim
    if (aim === from) return false
    this.#aim = aim
    if (this.service) this.service.stats.inFlight--
    this.service = aim.service
    this.service.stats.inFlight++
    // What ties it ties it to an instance of the other one.
    this.#tie = undefined
    this.mirror = undefined
    if (aim.shape === from?.shape) return false
    this.shape = aim.shape
    return true
  }

  /** How long an attempt at `state` may take. A connect that is silent is given up early, once, for another instance. */
  timeouts(service: BoundService, group: BoundGroup, state: EndpointState, connected: boolean): ServiceTimeouts {
    if (connected || !this.#aim) return service.table.policy.timeouts
    return this.#tries.connectTimeouts(this.#core, this.#aim, group.version, state)
  }
}

/** The client spoke TLS, as a peer says that we trust: of others that is not kept. */
function isSecure(head: RequestHead): boolean {
  return head.forwardedProto.toLowerCase() === 'https'
}
