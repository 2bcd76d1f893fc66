/**
 * Sends one probe on a connection of its own and says what came of it. Nothing is kept alive: a connection that stood
 * before would hide that nobody accepts any more. It keeps no state between probes and judges nothing.
 */
import type { Socket } from 'node:net'
import type { Clock, Milliseconds, Timer } from '../core/clock.ts'
import { showHostPort } from '../core/host.ts'
import { brokenKind } from '../wire/connector.ts'
import type { FailureKind } from '../wire/failure.ts'
import { readAnswer } from './probe-answer.ts'
import type { Prober, ProbeRequest, ProbeResult } from './port.ts'

function requestText(request: ProbeRequest, http: NonNullable<ProbeRequest['http']>): string {
  return (
    `${http.method} ${http.path} HTTP/1.1\r\nHost: ${showHostPort(request.host, request.port)}\r\n` +
    'User-Agent: fairlead-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n'
  )
}

/** What an error before the connection stood means. */
function failedConnect(code: string, kind: FailureKind): ProbeResult {
  // The other side's stack answered, and ended what it had begun.
  if (code === 'ECONNRESET') return { kind: 'closed' }
  switch (kind) {
    case 'certificate':
    case 'tls':
      return { kind: 'invalid' }
    case 'refused':
    case 'local':
      return { kind }
    case 'connect-timeout':
      return { kind: 'timeout' }
    default:
      return { kind: 'unreachable' }
  }
}

class Probe {
  readonly #request: ProbeRequest
  readonly #clock: Clock
  readonly #done: (result: ProbeResult) => void
  readonly #startedMs: Milliseconds
  readonly #timer: Timer
  readonly #socket: Socket
  #connected = false
  #over = false
  #text = ''

  constructor(request: ProbeRequest, clock: Clock, done: (result: ProbeResult) => void) {
    this.#request = request
    this.#clock = clock
    this.#done = done
    this.#startedMs = clock.now()
    this.#timer = clock.setTimer(request.deadlineMs, this.#onDeadline)
    this.#socket = request.connector.open(request.host, request.port)
    this.#socket.unref()
    this.#socket.on(request.connector.ready, this.#onConnect)
    this.#socket.on('data', this.#onData)
    this.#socket.on('end', this.#onEnd)
    this.#socket.on('close', this.#onEnd)
    this.#socket.on('error', this.#onError)
  }

  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#timer.clear()
    // 'error' stays listened to: one may be on its way.
    this.#socket.destroy()
  }

  #finish(result: ProbeResult): void {
    if (this.#over) return
    this.cancel()
    this.#done(result)
  }

  #took(): Milliseconds {
    return this.#clock.now() - this.#startedMs
  }

  readonly #onConnect = (): void => {
    if (this.#over) return
    this.#connected = true
    const { http } = this.#request
    if (!http) this.#finish({ kind: 'connected', tookMs: this.#took() })
    else this.#socket.write(requestText(this.#request, http), 'latin1')
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#over) return
    this.#text += bytes.toString('latin1')
    const answer = readAnswer(this.#text, this.#request.http?.identity ?? '')
    if (answer === 'more') return
    if (answer === 'invalid') this.#finish({ kind: 'invalid' })
    else this.#finish({ kind: 'answer', ...answer, tookMs: this.#took() })
  }

  readonly #onEnd = (): void => this.#finish(this.#ended())

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    const code = error.code ?? ''
    const { connector } = this.#request
    if (!this.#connected) this.#finish(failedConnect(code, connector.connectFailure(this.#socket, error).kind))
    // It says only after its own handshake what it thinks of our certificate.
    else this.#finish(brokenKind(code) === 'tls' ? { kind: 'invalid' } : this.#ended())
  }

  #ended(): ProbeResult {
    return this.#text === '' ? { kind: 'closed' } : { kind: 'invalid' }
  }

  readonly #onDeadline = (): void => {
    // Where the loop was late, the answer may be waiting to be read: timers come first.
    setImmediate(() => this.#finish({ kind: 'timeout' }))
  }
}

/** Makes the prober that asks over real sockets. A probe's `http.path` and `http.identity` must be valid in a head. */
export function createProber(clock: Clock): Prober {
  return (request, done) => new Probe(request, clock, done)
}
