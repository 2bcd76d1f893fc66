/**
 * Clients that come all at once: each opens a connection, asks once, and leaves with the answer. Times count from when a client
 * began to connect, so that what it waits to be accepted is in them.
 *
 * Run as `node newcomers.ts PORT PATH COUNT PATIENCE_SECONDS`; prints its figures as one line of JSON. Who has no answer when
 * PATIENCE_SECONDS are over has failed, and is in no time. It must parse no more than it takes to know an answer is whole.
 */
import { connect } from 'node:net'
import { quantile } from '../lib/statistics.ts'

const [port = 0, , count = 1, patienceSeconds = 60] = process.argv.slice(2).map(Number)
const path = process.argv[3] ?? '/'
const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`
const times: number[] = []
let left = count

function come(): void {
  const startedAt = performance.now()
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let answer = ''
  let isWhole = false
  socket.write(request)
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1')
    const end = answer.indexOf('\r\n\r\n')
    const length = /\r\ncontent-length: *(\d+)/i.exec(answer)?.[1]
    if (isWhole || end < 0 || answer.length - end - 4 < Number(length)) return
    isWhole = true
    if (answer.startsWith('HTTP/1.1 200')) times.push(performance.now() - startedAt)
    socket.end()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    left--
    if (left === 0) finish()
  })
}

function finish(): void {
  const figures = {
    requests: times.length,
    seconds: (performance.now() - beganAt) / 1_000,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: quantile(times, 1),
    errors: count - times.length,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0))
}

const beganAt = performance.now()
setTimeout(finish, patienceSeconds * 1_000)
for (let i = 0; i < count; i++) come()
