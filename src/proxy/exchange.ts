/**
 * The life of a request, and nothing else: route, version, endpoint, attempts, answer. One exchange serves the requests of
 * one client connection in turn; everything of a request is reset when the next begins. Judges no health, knows no bytes'
 * meaning beyond heads. Steps and names follow the README's "life of a request".
 */
import type { BoundEndpoint, BoundRoute, BoundService, EndpointState } from '../live/runtime.ts'
import type { Failure } from '../wire/failure.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { ResponseHead } from '../wire/response-head.ts'
import type { GoneReason, ServerExchange } from '../wire/server-exchange.ts'
import { BodyWriter } from '../wire/body-writer.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import type { Refusal } from '../wire/syntax.ts'
import {
  answerHead,
  delivery,
  type Delivery,
  deliveryOf,
  fixedAnswer,
  informationalHead,
  ownAnswer,
} from './answer-head.ts'
import { type OwnAnswer, own, refusalAnswer } from './answers.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { carrierFor } from './carrier.ts'
import { type Answered, Course } from './course.ts'
import { failureAnswer } from './failure-answer.ts'
import type { NextEndpoint } from './next-endpoint.ts'
import { routingPath } from './path.ts'
import type { Outcome, PlaneCore } from './plane-core.ts'
import { routeAnswer } from './redirect.ts'
import { tellEnd } from './request-record.ts'
import { canRescue, type RequestFacts, decide } from './retry.ts'
import { Tries } from './tries.ts'
import { isFailed } from './trouble.ts'
import { Tunnel } from './tunnel.ts'
import { Upload } from './upload.ts'
import { ForwardingFacts, isLoop, isSaneRequestId } from './upstream-head.ts'
import { asksForWebSocket, isAccepted, switchingHead, webSocketKey } from './websocket.ts'

export class Exchange implements ServerExchange, AttemptOwner {
  readonly #core: PlaneCore
  readonly #client: ServerConnection
  readonly #forwarding: ForwardingFacts
  #head: RequestHead | undefined
  /** The request could not be read, but was a HEAD. */
  #refusedHead = false
  #requestId = ''
  #attempt: Attempt | undefined
  readonly #tries = new Tries()
  readonly #course: Course
  #upstreamHead = ''
  #webSocketKey = ''
  readonly #upload: Upload
  /** The final answer's head has gone to the client. */
  #answering = false
  #delivery: Delivery = delivery.none
  #persist = false
  readonly #body: BodyWriter
  #status = 0
  #tunnel: Tunnel | undefined
  #writtenBefore = 0

  constructor(core: PlaneCore, client: ServerConnection) {
    this.#core = core
    this.#client = client
    this.#forwarding = new ForwardingFacts(client)
    this.#course = new Course(core, client, this.#tries)
    this.#upload = new Upload(core, client)
    this.#body = new BodyWriter(client)
  }

  // === From the client ===

  onRequest(head: RequestHead, bodyNow: boolean): void {
    this.#reset(head)
    this.#requestId =
      head.requestId !== '' && isSaneRequestId(head.requestId) ? head.requestId : this.#core.nextRequestId()
    if (head.method === 'TRACE') return this.#answerOwn(refusalAnswer(405), 'trace')
    if (head.maxForwards === 0) return this.#answerOwn(own.finalRecipient, 'max-forwards')
    if (isLoop(head.via)) return this.#answerOwn(own.loop, 'loop')
    const path = routingPath(head.target)
    if (path === undefined) return this.#answerOwn(refusalAnswer(400), 'path')
    const route = this.#core.bound.match(head.routingHost, path)
    if (route === undefined) return this.#answerOwn(own.noRoute, 'no-route')
    const answered = this.#course.take(route, head, path, this.#forwarding)
    if (answered) return this.#answerByRoute(head, route, answered)
    const { service } = this.#course
    if (service === undefined) return
    if (head.hasBody) this.#upload.begin(bodyNow, service.table.policy.retry.bodyBytes)
    service.stats.inFlight++
    const upgrade = asksForWebSocket(head)
    if (upgrade) {
      const key = webSocketKey(head)
      if (key === undefined) return this.#answerOwn(refusalAnswer(400), 'websocket-key')
      this.#webSocketKey = key
    }
    this.#tryEndpoint(this.#course.first(service), false)
    const { mirror } = this.#course
    if (mirror) this.#course.sendMirrored(mirror, head, this.#forwarding, this.#requestId)
  }

  onRefused(refusal: Refusal, isHead: boolean): void {
    this.#reset(undefined)
    this.#refusedHead = isHead
    this.#requestId = this.#core.nextRequestId()
    this.#answerOwn(refusalAnswer(refusal.status), refusal.rule)
  }

  onBody(bytes: Buffer): void {
    if (this.#upload.take(bytes, this.#attempt) === 'too-large') this.#refuse(own.lengthRequired, 'length-required')
  }

  onBodyEnd(): void {
    if (this.#upload.end(this.#attempt)) this.#tries.sent++
  }

  onBodyRead(): void {
    this.#upload.readEnded(this.#attempt)
  }

  onBodyRefused(refusal: Refusal): void {
    this.#refuse(refusalAnswer(refusal.status), refusal.rule)
  }

  onWritable(): void {
    if (this.#tunnel) this.#tunnel.clientWritable()
    else this.#attempt?.resumeAnswer()
  }

  onGone(why: GoneReason): void {
    this.#attempt?.cancel('client')
    // Nothing was sent: 499 where the client is why, as others log it, 503 where we are.
    if (!this.#answering) this.#status = why === 'shutdown' ? 503 : 499
    this.#record(why, this.#answering ? 'upstream' : 'proxy')
  }

  onExpired(): void {
    this.#refuse(this.#tries.sent > 0 ? own.unfinished : own.shutdown, 'shutdown')
  }

  onTunnelData(bytes: Buffer): void {
    this.#tunnel?.fromClient(bytes)
  }

  onTunnelEnd(): void {
    this.#tunnel?.clientEnded()
  }

  // === From the attempt ===

  attemptReady(attempt: Attempt): void {
    if (this.#head?.hasBody === true) {
      const sent = this.#upload.send(this.#upstreamHead, attempt)
      if (sent === 'too-large') return this.#refuse(own.lengthRequired, 'length-required')
      if (sent === 'waits') return
    } else attempt.sendWhole(this.#upstreamHead)
    this.#tries.sent++
  }

  attemptInformational(head: ResponseHead): void {
    if (this.#head?.minor === 1) this.#client.write(informationalHead(head))
  }

  attemptHead({ endpoint }: Attempt, head: ResponseHead, body: string, complete: boolean): void {
    this.#answering = true
    // It will not be repeated any more: a download or a tunnel must not hold what others may need for as long as it lasts.
    this.#tries.release(true)
    if (head.status >= 500) this.#core.health.answered(endpoint.state, head.status)
    this.#upstreamHead = ''
    this.#status = head.status
    this.#delivery = deliveryOf(head, this.#head?.minor ?? 0)
    this.#persist = this.#client.mayPersist
    this.#course.answered(head)
    const date = head.hasDate ? '' : this.#core.dateLine()
    const text = answerHead(head, this.#delivery, this.#persist, date, this.#course.added)
    if (complete) {
      this.#client.write(text + body)
      return this.#finish(endpoint.state)
    }
    this.#body.begin(text, this.#delivery === delivery.chunked)
  }

  attemptBody(bytes: Buffer): void {
    if (!this.#body.add(bytes)) this.#attempt?.pauseAnswer()
  }

  attemptReadEnd(): void {
    if (!this.#body.flush()) this.#attempt?.pauseAnswer()
  }

  attemptComplete({ endpoint }: Attempt, trailers: string): void {
    this.#body.end(this.#head?.trailers === true ? trailers : '')
    this.#finish(endpoint.state)
  }

  attemptFailed({ endpoint }: Attempt, failure: Failure): void {
    const { service } = this.#course
    if (service === undefined) return
    this.#body.flush()
    this.#tries.failed(this.#core, endpoint.state, failure)
    if (this.#answering) {
      this.#tell('lost', endpoint, false, failure)
      return this.#cut(failure.kind)
    }
    const decision = decide(failure, this.#facts())
    if (decision.kind === 'retry' && (!decision.spends || this.#tries.mayRetry(service)))
      return this.#retry(endpoint, failure, decision.reason)
    // The budget is against an application that fails; one that died takes no more with it than it held.
    if (decision.kind !== 'answer') return this.#awaitProof(service, endpoint, failure, decision.reason)
    this.#fail(endpoint, failure)
  }

  attemptEjected(attempt: Attempt, proven: boolean, due = false): void {
    const service = this.#course.service
    if (attempt !== this.#attempt || service === undefined) return
    const unsent = !attempt.started
    const waits = attempt.waitingSinceMs !== Infinity
    if (waits && (unsent || canRescue(this.#facts(), proven))) {
      const { state } = attempt.endpoint
      const { lastLifeMs } = state
      this.#tries.add(state)
      // It waits where it is, and may be answered there.
      const next = this.#course.nextInTurn(state, due, (late) => {
        if (proven || state.lastLifeMs === lastLifeMs) this.attemptEjected(attempt, proven, late)
      })
      if (next === 'wait') return
      if (next && (unsent || this.#tries.mayRescue(service))) return this.#rescue(attempt, next, service, unsent)
    }
    // Where death is proven nothing more will come; else it may, and waits for its own timeout.
    if (!proven) return
    this.#tell('lost', attempt.endpoint, unsent && this.#tries.sent === 0, 'ejected')
    this.#attempt?.cancel('ejected')
    if (this.#answering) this.#cut('ejected')
    else this.#answerOwn(own.terminated, 'ejected')
  }

  #rescue(attempt: Attempt, next: NextEndpoint, service: BoundService, unsent: boolean): void {
    this.#attempt?.cancel('ejected')
    if (!unsent) service.stats.rescued++
    this.#tell('rescued', attempt.endpoint, unsent, 'ejected')
    this.#move(next)
    this.#tryEndpoint(next.endpoint, false)
  }

  attemptExpired(attempt: Attempt): void {
    const service = this.#course.service
    if (attempt !== this.#attempt || service === undefined) return
    const unsent = !attempt.started
    if (!this.#answering && (unsent || canRescue(this.#facts(), false))) {
      this.#tries.add(attempt.endpoint.state)
      const next = this.#course.next()
      if (next) return this.#rescue(attempt, next, service, unsent)
    }
    this.#tell('lost', attempt.endpoint, unsent && this.#tries.sent === 0, 'drain')
    this.#attempt?.cancel('drain')
    if (this.#answering) this.#cut('drain')
    else this.#answerOwn(this.#tries.sent > 0 ? own.unfinished : own.noEndpoint, 'drain')
  }

  attemptDisplaced(attempt: Attempt): boolean {
    const { service } = this.#course
    if (service === undefined) return false
    if (!this.#tries.mayRetry(service, false)) return false
    attempt.leave()
    // Nobody has failed it, and nothing speaks against the instance: this is no retry, as far as those are counted.
    this.#tries.sent--
    this.#tryEndpoint(attempt.endpoint, false)
    return true
  }

  attemptWritable(): void {
    if (this.#tunnel) this.#tunnel.upstreamWritable()
    else this.#client.resumeBody()
  }

  attemptUpgraded(attempt: Attempt, head: ResponseHead): void {
    if (head.upgrade !== 'websocket' || !isAccepted(head.lines, this.#webSocketKey)) {
      attempt.cancel('invalid')
      return this.#answerOwn(own.upgradeFailed, 'upgrade')
    }
    this.#answering = true
    this.#tries.release(true)
    this.#upstreamHead = ''
    this.#status = 101
    this.#persist = false
    this.#course.answered(head)
    this.#client.write(switchingHead(head, this.#course.added))
    this.#tunnel = new Tunnel(this.#client, attempt, () => this.#endTunnel())
    this.#client.startTunnel()
  }

  attemptTunnelData(bytes: Buffer): void {
    this.#tunnel?.fromUpstream(bytes)
  }

  attemptTunnelEnd(): void {
    this.#tunnel?.upstreamEnded()
  }

  attemptEnded(attempt: Attempt, outcome: string): void {
    attempt.stats.attempts.set(outcome, (attempt.stats.attempts.get(outcome) ?? 0) + 1)
    if (attempt.endpoint.state.leaving) this.#core.registry.released(attempt.endpoint.state)
    this.#attempt = undefined
    this.#upload.attemptEnded()
  }

  // === Endpoints ===

  #tryEndpoint(endpoint: BoundEndpoint | undefined, fresh: boolean): void {
    const head = this.#head
    const { group, service } = this.#course
    if (endpoint === undefined || head === undefined || group === undefined || service === undefined)
      return this.#answerOwn(own.noEndpoint, 'no-endpoint')
    const upgrade = this.#webSocketKey !== ''
    const connection = carrierFor(endpoint.state, service.table.policy, head, this.#tries, fresh, upgrade)
    if (connection === undefined) {
      this.#tries.add(endpoint.state)
      const other = this.#course.next()
      if (other === undefined) return this.#answerOwn(own.connectionLimit, 'connection-limit')
      this.#move(other)
      return this.#tryEndpoint(other.endpoint, fresh)
    }
    const reused = connection.isReady
    this.#tries.begin(this.#core, endpoint.state, reused)
    this.#course.endpoint = endpoint
    // An instance that is asked by its own name gets a head of its own.
    if (this.#upstreamHead === '' || this.#course.shape?.hostIsInstance === true)
      this.#upstreamHead = this.#course.upstreamHead(head, this.#forwarding, this.#requestId, upgrade, endpoint)
    const attempt = (this.#attempt = new Attempt(this, endpoint, group.stats, connection, this.#core.deadlines))
    const timeouts = this.#course.timeouts(service, group, endpoint.state, reused)
    attempt.begin(head.method === 'HEAD', upgrade, timeouts)
  }

  #move(next: NextEndpoint): void {
    if (this.#course.move(next)) this.#upstreamHead = ''
  }

  #retry(failed: BoundEndpoint, failure: Failure, reason: string, due = false): void {
    const service = this.#course.service
    if (service === undefined) return
    this.#tries.add(failed.state)
    const again = (late: boolean): void => this.#retry(failed, failure, reason, late)
    const next = failure.sent ? this.#course.nextInTurn(failed.state, due, again) : this.#course.next()
    if (next === 'wait') return
    // A stale connection says nothing of its endpoint: where there is no other, the same gets a fresh one.
    const endpoint = next?.endpoint ?? (failure.reused && failed.state.open ? failed : undefined)
    if (endpoint === undefined) return this.#fail(failed, failure)
    if (next) this.#move(next)
    const { retries } = service.stats
    retries.set(reason, (retries.get(reason) ?? 0) + 1)
    this.#tell('retried', failed, !failure.sent, failure)
    this.#tryEndpoint(endpoint, failure.reused)
  }

  /** Idempotent, but not safe: repeated only if whoever had it is dead, and so cannot do it later than its repetition. */
  #awaitProof(service: BoundService, failed: BoundEndpoint, failure: Failure, reason: string): void {
    const head = this.#head
    this.#core.health.prove(failed.state, (dead) => {
      // The client may be gone meanwhile, or have been answered.
      if (this.#head !== head) return
      if (dead && this.#tries.mayRescue(service)) this.#retry(failed, failure, reason)
      else this.#fail(failed, failure)
    })
  }

  #fail(failed: BoundEndpoint, failure: Failure): void {
    // It may have been sent to another one before.
    this.#tell('lost', failed, !failure.sent && this.#tries.sent === 0, failure)
    this.#answerOwn(failureAnswer(failure), failure.kind)
  }

  #facts(): RequestFacts {
    return this.#tries.facts(this.#head, this.#upload.isWhole, this.#course.service?.table.policy.retry.attempts ?? 1)
  }

  #tell(outcome: Outcome['outcome'], endpoint: BoundEndpoint, unsent: boolean, why: string | Failure): void {
    const [reason, detail] = typeof why === 'string' ? [why, ''] : [why.kind, why.detail]
    this.#tries.note(endpoint.endpoint, outcome, reason, detail, unsent, this.#core.deadlines.now())
    this.#core.tellOutcome(endpoint.endpoint, {
      outcome,
      unsent,
      requestId: this.#requestId,
      method: this.#head?.method ?? '',
      reason,
    })
  }

  // === Answers and ends ===

  #answerOwn(answer: OwnAnswer, cause: string): void {
    const page = this.#core.errorPages.get(answer.status)
    this.#status = answer.status
    const persist = this.#client.mayPersist && answer.status !== 508
    const details = this.#client.trusted && this.#course.endpoint ? this.#course.endpoint.endpoint.handle : ''
    const isHead = this.#refusedHead || this.#head?.method === 'HEAD'
    const text = ownAnswer(answer, this.#requestId, details, isHead, persist, this.#core.dateLine(), page)
    this.#client.write(text)
    this.#record(cause, 'proxy')
    this.#client.finish(persist)
  }

  /** A route that answers by itself. */
  #answerByRoute(head: RequestHead, route: BoundRoute, answered: Answered): void {
    if (answered.kind === 'denied') return this.#answerOwn(own.denied, 'denied')
    const given = routeAnswer(answered, head, route.route.path)
    if (given === undefined) return this.#answerOwn(refusalAnswer(400), 'host-missing')
    const persist = this.#client.mayPersist
    this.#status = given.answer.status
    this.#client.write(fixedAnswer(given, this.#requestId, head.method === 'HEAD', persist, this.#core.dateLine()))
    this.#record(answered.kind, 'proxy')
    this.#client.finish(persist)
  }

  #finish(state: EndpointState): void {
    // Only a whole answer ends a series of failures: half of one has a good head too.
    if (state.streak > 0 && this.#status < 500) this.#core.health.answered(state, this.#status)
    this.#record('', 'upstream', this.#core.deadlines.recentMs)
    this.#client.finish(this.#persist)
  }

  /** The answer cannot be completed: the client must see that it is cut. */
  #cut(cause: string): void {
    this.#record(cause, 'upstream')
    this.#client.abort(this.#delivery === delivery.close)
  }

  /** The request goes no further. */
  #refuse(answer: OwnAnswer, cause: string): void {
    this.#attempt?.cancel('client')
    if (this.#answering) this.#cut(cause)
    else this.#answerOwn(answer, cause)
  }

  #endTunnel(): void {
    this.#attempt?.finishTunnel()
    this.#record('', 'upstream')
    this.#client.finish(false)
  }

  /** Counts the request once and tells the observer. */
  #record(cause: string, origin: 'upstream' | 'proxy', nowMs: number = this.#core.deadlines.now()): void {
    const service = this.#course.service
    const durationMs = nowMs - this.#client.startedMs
    if (service) service.stats.inFlight--
    this.#tries.release(false)
    this.#core.count(service, this.#course.group, this.#status, origin, durationMs)
    const troubled = this.#tries.hadTrouble || isFailed(cause, this.#status, origin)
    if (this.#core.observer || troubled) {
      const bytesSent = this.#client.bytesWritten - this.#writtenBefore
      const facts = { requestId: this.#requestId, status: this.#status, origin, durationMs, bytesSent, cause }
      tellEnd(this.#core, this.#head, this.#client, this.#course, this.#tries, facts, troubled)
    }
    // An idle connection holds nothing of its last request: its strings would keep the whole head alive.
    this.#course.leave(this.#status)
    this.#head = undefined
    this.#upstreamHead = ''
    this.#upload.release()
  }

  #reset(head: RequestHead | undefined): void {
    this.#head = head
    this.#refusedHead = false
    this.#course.reset()
    this.#tries.reset()
    this.#webSocketKey = ''
    this.#upload.reset(head)
    this.#answering = false
    this.#delivery = delivery.none
    this.#status = 0
    if (this.#core.observer) this.#writtenBefore = this.#client.bytesWritten
  }
}
