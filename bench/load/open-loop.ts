/**
 * Load at a fixed rate: requests are sent when they are due, however slow the answers are, and latency counts from then, so
 * that a stall shows in every request that fell into it. A request takes a free connection or opens one; when as many as
 * allowed are busy it waits, and the wait counts too.
 *
 * Run as `node open-loop.ts PORT METHOD PATH BODY_BYTES RATE SECONDS MAX_CONNECTIONS [DRAIN_SECONDS [WARM_UP_SECONDS]]`; prints
 * its figures as one line of JSON. What is due in the WARM_UP_SECONDS (0) before the others is sent, and in no figure but the errors:
 * a process that has just started is slow by itself. What has no answer DRAIN_SECONDS (5) after the last was due has failed, and its wait is counted.
 *
 * Timers are too coarse for arrivals some 50 µs apart, so it polls when the next is near, and takes all of its core that
 * nobody else wants: see `lib/load.ts` for how it is kept from taking more. It must parse and allocate as little as it can.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Arrivals } from './arrivals.ts'
import { LatencyHistogram } from './latency-histogram.ts'

/** Connections that are open before the first request is due. */
const openAtFirst = 32
/** Timers are not sooner than 1 ms, and often later: nearer arrivals are polled for. */
const pollMs = 3

const [, method = 'GET', path = '/', ...numbers] = process.argv.slice(2)
const port = Number(process.argv[2])
const [bodyBytes = 0, rate = 1, seconds = 1, maxConnections = 1, drainSeconds = 5, warmUpSeconds = 0] =
  numbers.map(Number)

const body = method === 'POST' ? `content-type: application/octet-stream\r\ncontent-length: ${bodyBytes}\r\n` : ''
const request = Buffer.from(
  `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${body}\r\n${'x'.repeat(method === 'POST' ? bodyBytes : 0)}`,
)
const headEnd = Buffer.from('\r\n\r\n')
const warmUpMs = warmUpSeconds * 1_000
const arrivals = new Arrivals(rate, warmUpSeconds + seconds)
const latency = new LatencyHistogram()
/** How late this process itself noticed that a request was due, when a connection was free: its own fault, not the proxy's. */
const ownLateness = new LatencyHistogram()
/** What every socket reads into: nothing read is kept, but for a head that came in pieces. */
const readBuffer = Buffer.allocUnsafe(65_536)
const connections = new Set<Connection>()
const free: Connection[] = []
let startedAt = performance.now()
let started = false
let finished = 0
let errors = 0
/** Of those that are finished. */
let measured = 0
let opening = 0
let wasBlocked = false

class Connection {
  /** When the request that is under way was due; undefined: none is. */
  dueMs: number | undefined
  readonly #socket: Socket
  #connected = false
  #head = ''
  #missing = -1

  constructor(dueMs: number | undefined) {
    this.dueMs = dueMs
    opening++
    const onread = { buffer: readBuffer, callback: (size: number): boolean => this.#read(size) }
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
    this.#socket.on('connect', () => this.#opened())
    this.#socket.on('error', () => this.fail())
    this.#socket.on('close', () => this.fail())
  }

  send(dueMs: number): void {
    this.dueMs = dueMs
    this.#socket.write(request)
  }

  /** Ends it; a request that is under way has failed. Idempotent. */
  fail(): void {
    if (!connections.delete(this)) return
    if (!this.#connected) opening--
    this.#socket.destroy()
    const index = free.indexOf(this)
    if (index >= 0) free.splice(index, 1)
    const due = this.dueMs
    this.dueMs = undefined
    if (due !== undefined) count(due, true)
  }

  #opened(): void {
    this.#connected = true
    opening--
    if (this.dueMs === undefined) free.push(this)
    else this.#socket.write(request)
  }

  #read(size: number): boolean {
    if (this.#missing > 0) this.#missing -= size
    else if (!this.#readHead(size)) return true
    if (this.#missing > 0) return true
    if (this.#missing < 0 || this.dueMs === undefined) this.fail()
    else {
      const due = this.dueMs
      this.dueMs = undefined
      this.#missing = -1
      free.push(this)
      count(due, false)
      // what waited for a connection goes out now, not at the next turn
      sendDue()
    }
    return true
  }

  /** True once the head is whole and `#missing` says how much of the body is still to come. */
  #readHead(size: number): boolean {
    const end = this.#head === '' ? readBuffer.subarray(0, size).indexOf(headEnd) : -1
    let head: string
    let bodyRead: number
    if (end >= 0) {
      head = readBuffer.toString('latin1', 0, end + 2)
      bodyRead = size - end - 4
    } else {
      this.#head += readBuffer.toString('latin1', 0, size)
      const late = this.#head.indexOf('\r\n\r\n')
      if (late < 0) return false
      head = this.#head.slice(0, late + 2)
      bodyRead = this.#head.length - late - 4
      this.#head = ''
    }
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (!head.startsWith('HTTP/1.1 200') || length === undefined) this.fail()
    else this.#missing = Number(length) - bodyRead
    // a failed one is over, whatever is missing
    return connections.has(this)
  }
}

const nowMs = (): number => performance.now() - startedAt

function count(dueMs: number, failed: boolean): void {
  if (dueMs >= warmUpMs) {
    latency.record(nowMs() - dueMs)
    measured++
  }
  if (failed) errors++
  finished++
  if (finished >= arrivals.total) finish()
}

function open(dueMs: number | undefined): void {
  connections.add(new Connection(dueMs))
}

/** Sends what is due, for as long as there is something to send it on. */
function sendDue(): void {
  if (!started) return
  for (let now = nowMs(); arrivals.nextMs <= now; now = nowMs()) {
    const connection = free.pop()
    if (connection === undefined && connections.size >= maxConnections) {
      wasBlocked = true
      return
    }
    const due = arrivals.take()
    if (!wasBlocked && due >= warmUpMs) ownLateness.record(now - due)
    if (connection === undefined) open(due)
    else connection.send(due)
  }
  wasBlocked = false
}

function turn(): void {
  if (!started && opening === 0) {
    started = true
    startedAt = performance.now()
  }
  sendDue()
  const wait = started ? arrivals.nextMs - nowMs() : pollMs + 1
  if (wait === Number.POSITIVE_INFINITY) return
  if (wait > pollMs) setTimeout(turn, Math.max(1, wait - pollMs + 1))
  // blocked: the next answer sends, and no turn before it can
  else if (wasBlocked) setTimeout(turn, 1)
  else setImmediate(turn)
}

function finish(): void {
  // connections that end now have nothing under way
  const elapsed = nowMs() / 1_000 - warmUpSeconds
  clearTimeout(deadline)
  for (const connection of connections) connection.fail()
  const figures = {
    requests: Math.max(0, measured - errors),
    seconds: elapsed,
    p50Ms: latency.percentile(50),
    p99Ms: latency.percentile(99),
    p999Ms: latency.percentile(99.9),
    maxMs: latency.max,
    ownLatenessP99Ms: ownLateness.percentile(99),
    errors,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0))
}

/** What has no answer by now is counted with the time it has waited, sent or not. */
const deadline = setTimeout(
  () => {
    for (const connection of connections) connection.fail()
    if (finished >= arrivals.total) return
    for (const due of arrivals.rest()) {
      latency.record(nowMs() - due)
      errors++
      finished++
    }
    finish()
  },
  (warmUpSeconds + seconds + drainSeconds) * 1_000,
)

for (let index = 0; index < Math.min(openAtFirst, maxConnections); index++) open(undefined)
turn()
