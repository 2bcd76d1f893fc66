/**
 * The backend for machines without nginx: canned answers straight from `node:net`, run as `node raw.ts PORT`.
 * It reads heads with any split and bodies by Content-Length; chunked bodies it does not know, and says so with 501.
 */
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { largeBody, smallBody } from '../lib/payload.ts'

function answer(body: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

const small = answer(smallBody)
const large = answer(largeBody)
const notFound = Buffer.from('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')
const notKnown = Buffer.from('HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
const answers = new Map([
  ['/small', small],
  ['/post', small],
  ['/large', large],
])

class Connection {
  readonly #socket: Socket
  #pending = ''
  #bodyLeft = 0
  #due: Buffer = notFound

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      this.#pending += chunk.toString('latin1')
      while (this.#bodyLeft > 0 ? this.#readBody() : this.#readHead());
    })
  }

  /** True when there may be more to do with what is pending. */
  #readBody(): boolean {
    const taken = Math.min(this.#bodyLeft, this.#pending.length)
    this.#bodyLeft -= taken
    this.#pending = this.#pending.slice(taken)
    if (this.#bodyLeft > 0) return false
    this.#socket.write(this.#due)
    return true
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf('\r\n\r\n')
    if (end < 0) return false
    const head = this.#pending.slice(0, end + 2)
    this.#pending = this.#pending.slice(end + 4)
    if (/\r\ntransfer-encoding:/i.test(head)) {
      this.#socket.end(notKnown)
      return false
    }
    this.#due = answers.get(head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP/'))) ?? notFound
    this.#bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#bodyLeft === 0) this.#socket.write(this.#due)
    return true
  }
}

const server = createServer((socket) => void new Connection(socket))
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 })
