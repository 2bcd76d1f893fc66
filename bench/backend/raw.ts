/**
 * The backend for machines without nginx: canned answers straight from `node:net`, run as `node raw.ts PORT`.
 * It reads heads with any split and bodies by Content-Length; chunked bodies it does not know, and says so with 501.
 * A WebSocket is accepted on any path, and its short text frames are sent back.
 */
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { largeBody, smallBody } from '../lib/payload.ts'
import { acceptOf, readFrame, textFrame } from '../lib/websocket.ts'

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
  ['/upload', small],
  ['/large', large],
])

class Connection {
  readonly #socket: Socket
  /** Set once the connection is a WebSocket: what has come of a frame. */
  #frames: Buffer | undefined
  #pending = ''
  #bodyLeft = 0
  #due: Buffer = notFound

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      if (this.#frames !== undefined) return this.#echo(Buffer.concat([this.#frames, chunk]))
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
    if (/\r\nupgrade: *websocket/i.test(head)) return this.#upgrade(head)
    if (/\r\ntransfer-encoding:/i.test(head)) {
      this.#socket.end(notKnown)
      return false
    }
    this.#due = answers.get(head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP/'))) ?? notFound
    this.#bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#bodyLeft === 0) this.#socket.write(this.#due)
    return true
  }

  #upgrade(head: string): boolean {
    const accept = acceptOf(/\r\nsec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? '')
    this.#socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    const early = Buffer.from(this.#pending, 'latin1')
    this.#pending = ''
    this.#echo(early)
    return false
  }

  #echo(bytes: Buffer): void {
    let rest = bytes
    for (let frame = readFrame(rest); frame !== undefined; frame = readFrame(rest)) {
      rest = rest.subarray(frame.size)
      if (frame.opcode === 1) this.#socket.write(textFrame(frame.text, false))
      if (frame.opcode === 8) this.#socket.end()
    }
    this.#frames = Buffer.from(rest)
  }
}

const server = createServer((socket) => void new Connection(socket))
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 })
