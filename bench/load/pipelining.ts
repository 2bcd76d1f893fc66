/**
 * One client that asks without end on one connection, and waits for no answer: whenever what it sent has been taken it sends more.
 *
 * Run as `node pipelining.ts PORT PATH SECONDS`; prints its figures as one line of JSON. It counts the bytes of answers, and takes all of
 * one's length from the first: it must cost little, and answers to one request are alike but for their dates.
 */
import { connect } from 'node:net'

const [port = 0, , seconds = 1] = process.argv.slice(2).map(Number)
const path = process.argv[3] ?? '/'
const batch = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`.repeat(256))
let bytes = 0
let first = ''
let answerBytes = Number.NaN
let ended = false

const socket = connect({ port, host: '127.0.0.1', noDelay: true })
const send = (): void => {
  while (socket.writable && socket.write(batch));
}
socket.on('connect', send)
socket.on('drain', send)
socket.on('data', (chunk: Buffer) => {
  bytes += chunk.length
  if (!Number.isNaN(answerBytes)) return
  first += chunk.toString('latin1')
  const end = first.indexOf('\r\n\r\n')
  if (end >= 0) answerBytes = end + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(first.slice(0, end + 2))?.[1] ?? 0)
})
socket.on('error', () => {})
socket.on('close', () => (ended = true))

const startedAt = performance.now()
setTimeout(() => {
  const figures = {
    requests: Math.floor(bytes / answerBytes) || 0,
    seconds: (performance.now() - startedAt) / 1_000,
    p50Ms: null,
    p99Ms: null,
    errors: ended || !first.startsWith('HTTP/1.1 200') ? 1 : 0,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0))
}, seconds * 1_000)
