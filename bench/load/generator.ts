/**
 * The bench's own load, for machines without wrk: a closed loop over keep-alive connections, one request at a time on
 * each. Run as `node generator.ts PORT METHOD PATH BODY_BYTES CONNECTIONS SECONDS`; prints its figures as one line of JSON.
 * It must not allocate per request more than it has to, since it shares a core with the backend.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { LatencyHistogram } from './latency-histogram.ts'

const [port = 0, , , bodyBytes = 0, connections = 1, seconds = 1] = process.argv.slice(2).map(Number)
const [, method = 'GET', path = '/'] = process.argv.slice(2)

const body = method === 'POST' ? `content-type: application/octet-stream\r\ncontent-length: ${bodyBytes}\r\n` : ''
const request = Buffer.from(
  `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${body}\r\n${'x'.repeat(method === 'POST' ? bodyBytes : 0)}`,
)
const latency = new LatencyHistogram()
let requests = 0
let errors = 0
let ending = false

/** One connection: sends, reads the answer to its declared length, sends again. Ends for good on the first error. */
function run(): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  let sentAt = 0
  let head = ''
  let missing = -1
  const send = (): void => {
    head = ''
    missing = -1
    sentAt = performance.now()
    socket.write(request)
  }
  const fail = (): void => {
    if (!ending) errors++
    ending ||= errors >= connections
    socket.destroy()
  }
  socket.on('connect', send)
  socket.on('data', (chunk: Buffer) => {
    if (missing >= 0) missing -= chunk.length
    else {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end + 2))?.[1]
      if (!head.startsWith('HTTP/1.1 200') || length === undefined) return fail()
      missing = Number(length) - (head.length - end - 4)
    }
    if (missing < 0) return fail()
    if (missing > 0) return
    if (ending) return
    requests++
    latency.record(performance.now() - sentAt)
    send()
  })
  socket.on('error', fail)
  socket.on('end', fail)
  return socket
}

const startedAt = performance.now()
const sockets = Array.from({ length: connections }, run)
setTimeout(() => {
  ending = true
  const elapsed = (performance.now() - startedAt) / 1_000
  for (const socket of sockets) socket.destroy()
  const figures = { requests, seconds: elapsed, p50Ms: latency.percentile(50), p99Ms: latency.percentile(99), errors }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}, seconds * 1_000)
