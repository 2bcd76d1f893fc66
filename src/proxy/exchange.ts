/**
 * The life of a request, and nothing else: route, version, endpoint, attempts, answer. One exchange serves the requests of
 * one client connection in turn; everything of a request is reset when the next begins. Judges no health, knows no bytes'
 * meaning beyond heads. Steps and names follow the README's "life of a request".
 */
import { pickEndpoint } from '../balance/pick-endpoint.ts'
import { pickGroup } from '../balance/pick-group.ts'
import type { BoundEndpoint, BoundGroup, BoundService, EndpointState } from '../live/runtime.ts'
import { chunkHeader, lastChunk } from '../wire/chunked.ts'
import type { Failure } from '../wire/failure.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { ResponseHead } from '../wire/response-head.ts'
import type { GoneReason, ServerExchange } from '../wire/server-exchange.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import type { Refusal } from '../wire/syntax.ts'
import { answerHead, delivery, type Delivery, deliveryOf, informationalHead, ownAnswer } from './answer-head.ts'
import { type OwnAnswer, own, refusalAnswer } from './answers.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { failureAnswer } from './failure-answer.ts'
import { routingPath } from './path.ts'
import type { PlaneCore } from './plane-core.ts'
import { ReplayBody } from './replay-body.ts'
import { type RequestFacts, decide } from './retry.ts'
import { Tunnel } from './tunnel.ts'
import { ForwardingFacts, isLoop, isSaneRequestId, upstreamHead } from './upstream-head.ts'
import { asksForWebSocket, isAccepted, webSocketKey } from './websocket.ts'

const nothingTried: readonly EndpointState[] = Object.freeze([])

/** Body slices at most this long are sent to the client as text together with their framing. */
const smallBodyBytes = 4_096

export class Exchange implements ServerExchange, AttemptOwner {
  readonly #core: PlaneCore
  readonly #client: ServerConnection
  #forwarding: ForwardingFacts | undefined
  #head: RequestHead | undefined
  /** The request could not be read, but was a HEAD. */
  #refusedHead = false
  #requestId = ''
  #service: BoundService | undefined
  #group: BoundGroup | undefined
  #attempt: Attempt | undefined
  #endpoint: BoundEndpoint | undefined
  #tried: readonly EndpointState[] = nothingTried
  #attempts = 0
  #sentAttempts = 0
  #spentBudget = false
  #upstreamHead = ''
  #webSocketKey = ''
  readonly #body = new ReplayBody()
  #bodyComplete = true
  /** Body bytes of the read that brought the head are about to come. */
  #bodyNow = false
  /** The final answer's head has gone to the client. */
  #answering = false
  #delivery: Delivery = delivery.none
  #persist = false
  #corked = false
  #status = 0
  #tunnel: Tunnel | undefined
  #writtenBefore = 0

  constructor(core: PlaneCore, client: ServerConnection) {
    this.#core = core
    this.#client = client
  }

  // === From the client ===

  onRequest(head: RequestHead, bodyNow: boolean): void {
    this.#reset(head)
    this.#bodyNow = bodyNow
    this.#requestId =
      head.requestId !== '' && isSaneRequestId(head.requestId) ? head.requestId : this.#core.nextRequestId()
    if (head.method === 'TRACE') return this.#answerOwn(refusalAnswer(405), 'trace')
    if (head.maxForwards === 0) return this.#answerOwn(own.finalRecipient, 'max-forwards')
    if (isLoop(head.via)) return this.#answerOwn(own.loop, 'loop')
    const path = routingPath(head.target)
    if (path === undefined) return this.#answerOwn(refusalAnswer(400), 'path')
    const route = this.#core.bound.match(head.routingHost, path)
    if (route === undefined) return this.#answerOwn(own.noRoute, 'no-route')
    this.#service = route.service
    route.service.stats.inFlight++
    const upgrade = asksForWebSocket(head)
    if (upgrade) {
      const key = webSocketKey(head)
      if (key === undefined) return this.#answerOwn(refusalAnswer(400), 'websocket-key')
      this.#webSocketKey = key
    }
    this.#group = pickGroup(route.service, this.#core.random())
    if (this.#group === undefined) return this.#answerOwn(own.noEndpoint, 'no-endpoint')
    this.#forwarding ??= new ForwardingFacts(this.#client)
    this.#upstreamHead = upstreamHead(head, this.#client, this.#forwarding, this.#requestId, upgrade)
    this.#tryEndpoint(pickEndpoint(this.#group.endpoints, this.#core.random, nothingTried, this.#algorithm()), false)
  }

  onRefused(refusal: Refusal, isHead: boolean): void {
    this.#reset(undefined)
    this.#refusedHead = isHead
    this.#requestId = this.#core.nextRequestId()
    this.#answerOwn(refusalAnswer(refusal.status), refusal.rule)
  }

  onBody(bytes: Buffer): void {
    const attempt = this.#attempt
    this.#body.add(bytes)
    if (attempt?.started !== true) return this.#client.pauseBody()
    if (!attempt.sendBody(bytes)) this.#client.pauseBody()
    this.#body.sent(this.#replayBytesMax())
  }

  onBodyEnd(): void {
    this.#bodyComplete = true
    if (this.#attempt?.started === true) this.#attempt.endBody()
  }

  onBodyRead(): void {
    this.#bodyNow = false
    this.#attempt?.uncork()
  }

  onBodyRefused(refusal: Refusal): void {
    this.#cancelAttempt('client')
    if (this.#answering) return this.#cut(refusal.rule)
    this.#answerOwn(refusalAnswer(refusal.status), refusal.rule)
  }

  onWritable(): void {
    if (this.#tunnel) this.#tunnel.clientWritable()
    else this.#attempt?.resumeAnswer()
  }

  onGone(why: GoneReason): void {
    this.#cancelAttempt('client')
    // Nothing was sent: 499 where the client is why, as others log it, 503 where we are.
    if (!this.#answering) this.#status = why === 'shutdown' ? 503 : 499
    this.#record(why, this.#answering ? 'upstream' : 'proxy')
  }

  onExpired(): void {
    this.#cancelAttempt('client')
    if (this.#answering) return this.#cut('shutdown')
    this.#answerOwn(own.shutdown, 'shutdown')
  }

  onTunnelData(bytes: Buffer): void {
    this.#tunnel?.fromClient(bytes)
  }

  onTunnelEnd(): void {
    this.#tunnel?.clientEnded()
  }

  // === From the attempt ===

  attemptReady(attempt: Attempt): void {
    this.#sentAttempts++
    const head = this.#head
    const bodiless = head?.hasBody !== true
    if (bodiless) return attempt.sendHead(this.#upstreamHead, true)
    // Head and first body bytes leave in one write.
    attempt.cork()
    attempt.sendHead(this.#upstreamHead, false)
    let more = true
    for (const bytes of this.#body.kept) more = attempt.sendBody(bytes) && more
    this.#body.sent(this.#replayBytesMax())
    if (this.#bodyComplete) attempt.endBody()
    if (!this.#bodyNow) attempt.uncork()
    if (more) this.#client.resumeBody()
  }

  attemptInformational(head: ResponseHead): void {
    if (this.#head?.minor === 1) this.#client.write(informationalHead(head))
  }

  attemptHead(head: ResponseHead, body: string, complete: boolean): void {
    this.#answering = true
    this.#upstreamHead = ''
    this.#status = head.status
    this.#delivery = deliveryOf(head, this.#head?.minor ?? 0)
    this.#persist = this.#client.mayPersist
    const text = answerHead(head, this.#delivery, this.#persist, head.hasDate ? '' : this.#core.dateLine())
    if (complete) {
      this.#client.write(text + body)
      return this.#finish()
    }
    this.#corked = true
    this.#client.cork()
    this.#client.write(text)
  }

  attemptBody(bytes: Buffer): void {
    let more: boolean
    if (this.#delivery === delivery.chunked) {
      if (bytes.length <= smallBodyBytes)
        more = this.#client.write(chunkHeader(bytes.length) + bytes.toString('latin1') + '\r\n')
      else {
        this.#client.cork()
        this.#client.write(chunkHeader(bytes.length))
        this.#client.writeBytes(Buffer.from(bytes))
        more = this.#client.write('\r\n')
        this.#client.uncork()
      }
    } else more = this.#client.writeBytes(Buffer.from(bytes))
    if (!more) this.#attempt?.pauseAnswer()
  }

  attemptReadEnd(): void {
    this.#uncork()
  }

  attemptComplete(trailers: string): void {
    if (this.#delivery === delivery.chunked)
      this.#client.write(lastChunk(this.#head?.trailers === true ? trailers : ''))
    this.#uncork()
    this.#finish()
  }

  attemptFailed(failure: Failure): void {
    this.#uncork()
    const endpoint = this.#endpoint
    if (this.#answering || endpoint === undefined) return this.#cut(failure.kind)
    const facts: RequestFacts = {
      method: this.#head?.method ?? '',
      replayable: this.#body.isWhole,
      attempts: this.#attempts,
      sentAttempts: this.#sentAttempts,
      attemptsMax: this.#service?.table.policy.retry.attempts ?? 1,
    }
    const decision = decide(failure, facts)
    if (decision.kind === 'retry' && this.#mayRetry(decision.spends))
      return this.#retry(endpoint, failure, decision.reason)
    this.#answerOwn(failureAnswer(failure), failure.kind)
  }

  attemptWritable(): void {
    if (this.#tunnel) this.#tunnel.upstreamWritable()
    else this.#client.resumeBody()
  }

  attemptUpgraded(head: ResponseHead): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    if (head.upgrade !== 'websocket' || !isAccepted(head.lines, this.#webSocketKey)) {
      this.#cancelAttempt('invalid')
      return this.#answerOwn(own.upgradeFailed, 'upgrade')
    }
    this.#answering = true
    this.#upstreamHead = ''
    this.#status = 101
    this.#persist = false
    this.#client.write(
      'HTTP/1.1 101 Switching Protocols\r\n' + head.lines + 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
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
    const counts = attempt.stats.attempts
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    if (attempt.endpoint.state.leaving) this.#core.registry.released(attempt.endpoint.state)
    this.#attempt = undefined
  }

  // === Endpoints ===

  #algorithm(): 'least-request' | 'round-robin' {
    return this.#service?.table.policy.balance ?? 'least-request'
  }

  #tryEndpoint(endpoint: BoundEndpoint | undefined, fresh: boolean): void {
    const head = this.#head
    const group = this.#group
    if (endpoint === undefined || head === undefined || group === undefined)
      return this.#answerOwn(own.noEndpoint, 'no-endpoint')
    const connection = endpoint.state.pool.acquire(fresh)
    if (connection === undefined) {
      this.#tried = [...this.#tried, endpoint.state]
      const other = this.#nextEndpoint()
      if (other === undefined) return this.#answerOwn(own.connectionLimit, 'connection-limit')
      return this.#tryEndpoint(other, fresh)
    }
    this.#attempts++
    this.#endpoint = endpoint
    const attempt = new Attempt(this, endpoint, group.stats, connection, head.chunked)
    this.#attempt = attempt
    const timeouts = this.#service?.table.policy.timeouts
    if (timeouts) attempt.begin(head.method === 'HEAD', this.#webSocketKey !== '', timeouts)
  }

  /** From the table of this moment: the successor of a killed container is only in the new one. Its version stays. */
  #nextEndpoint(): BoundEndpoint | undefined {
    const name = this.#service?.table.name ?? ''
    const service = this.#core.bound.services.get(name) ?? this.#service
    if (service === undefined) return undefined
    const version = this.#group?.version
    const group = service.groups.find((candidate) => candidate.version === version)
    const same = group && pickEndpoint(group.endpoints, this.#core.random, this.#tried, this.#algorithm())
    if (same) {
      this.#group = group
      return same
    }
    const other = pickGroup(service, this.#core.random(), this.#tried)
    const endpoint = other && pickEndpoint(other.endpoints, this.#core.random, this.#tried, this.#algorithm())
    if (endpoint) this.#group = other
    return endpoint
  }

  #retry(failed: BoundEndpoint, failure: Failure, reason: string): void {
    if (!this.#tried.includes(failed.state)) this.#tried = [...this.#tried, failed.state]
    const next = this.#nextEndpoint()
    // A stale connection says nothing of its endpoint: where there is no other, the same gets a fresh one.
    const again = next ?? (failure.reused && !failed.state.leaving ? failed : undefined)
    if (again === undefined) return this.#answerOwn(failureAnswer(failure), failure.kind)
    const stats = this.#service?.stats
    stats?.retries.set(reason, (stats.retries.get(reason) ?? 0) + 1)
    this.#tryEndpoint(again, failure.reused)
  }

  /** Whether the budget allows another execution: a share of what is in flight, but at least three at a time. */
  #mayRetry(spends: boolean): boolean {
    const service = this.#service
    if (!spends || this.#spentBudget || service === undefined) return true
    const { stats } = service
    if (stats.retrying >= Math.max(3, stats.inFlight * service.table.policy.retry.budget)) {
      stats.retryBudgetExhausted++
      return false
    }
    stats.retrying++
    this.#spentBudget = true
    return true
  }

  #replayBytesMax(): number {
    return this.#service?.table.policy.retry.bodyBytes ?? 0
  }

  // === Answers and ends ===

  #answerOwn(answer: OwnAnswer, cause: string): void {
    const page = this.#core.errorPages.get(answer.status)
    this.#status = answer.status
    const persist = this.#client.mayPersist && answer.status !== 508
    const details = this.#client.trusted && this.#endpoint ? this.#endpoint.endpoint.handle : ''
    const isHead = this.#refusedHead || this.#head?.method === 'HEAD'
    const text = ownAnswer(answer, this.#requestId, details, isHead, persist, this.#core.dateLine(), page)
    this.#client.write(text)
    this.#record(cause, 'proxy')
    this.#client.finish(persist)
  }

  #finish(): void {
    this.#record('', 'upstream', this.#core.deadlines.recentMs)
    this.#client.finish(this.#persist)
  }

  /** The answer cannot be completed: the client must see that it is cut. */
  #cut(cause: string): void {
    this.#record(cause, 'upstream')
    this.#client.abort(this.#delivery === delivery.close)
  }

  #endTunnel(): void {
    this.#attempt?.finishTunnel()
    this.#record('', 'upstream')
    this.#client.finish(false)
  }

  #cancelAttempt(outcome: string): void {
    this.#attempt?.cancel(outcome)
  }

  #uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#client.uncork()
  }

  /** Counts the request once and tells the observer. */
  #record(cause: string, origin: 'upstream' | 'proxy', nowMs: number = this.#core.deadlines.now()): void {
    const service = this.#service
    const durationMs = nowMs - this.#client.startedMs
    if (service) {
      service.stats.inFlight--
      if (this.#spentBudget) service.stats.retrying--
    }
    this.#core.count(service, this.#group, this.#status, origin, durationMs)
    if (this.#core.observer) this.#tell(cause, origin, durationMs)
    // An idle connection holds nothing of its last request: its strings would keep the whole head alive.
    this.#service = undefined
    this.#head = undefined
    this.#upstreamHead = ''
    this.#body.reset()
  }

  #tell(cause: string, origin: 'upstream' | 'proxy', durationMs: number): void {
    const endpoint = this.#endpoint?.endpoint
    this.#core.observer?.requestDone({
      requestId: this.#requestId,
      clientAddress: this.#client.remoteAddress,
      method: this.#head?.method ?? '',
      host: this.#head?.host ?? '',
      target: this.#head?.target ?? '',
      status: this.#status,
      origin,
      service: this.#service?.table.name ?? '',
      version: this.#group?.version ?? '',
      endpoint: endpoint ? `${endpoint.address}:${endpoint.port}` : '',
      handle: endpoint?.handle ?? '',
      attempts: this.#attempts,
      durationMs,
      bytesReceived: this.#client.requestBytes,
      bytesSent: this.#client.bytesWritten - this.#writtenBefore,
      cause,
    })
  }

  #reset(head: RequestHead | undefined): void {
    this.#head = head
    this.#refusedHead = false
    this.#service = undefined
    this.#group = undefined
    this.#endpoint = undefined
    this.#tried = nothingTried
    this.#attempts = 0
    this.#sentAttempts = 0
    this.#spentBudget = false
    this.#webSocketKey = ''
    this.#body.reset()
    this.#bodyComplete = head?.hasBody !== true
    this.#answering = false
    this.#delivery = delivery.none
    this.#status = 0
    if (this.#core.observer) this.#writtenBefore = this.#client.bytesWritten
  }
}
