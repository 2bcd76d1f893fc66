/**
 * What is written to one socket. Texts written in one turn of the event loop are kept and leave at its end, those of all
 * sockets one after the other: the other side is woken once for many messages, and the kernel's code for sending stays in
 * the processor's cache. It owns what is kept and the turn's end; it must not know what the bytes mean.
 */
import type { Socket } from 'node:net'
import { keepRead } from './direct-read.ts'

/** Text kept for one socket, at most; more leaves at once. */
const keptMax = 16_384

/** So many sockets with something to send are not kept waiting for the rest of a long turn. */
const writersMax = 32

type WriteDone = (error?: Error | null) => void

/** Who has something to send in this turn, in the order it came. */
const turn: SocketWriter[] = []
/** Who gathers in this turn what is to be written at its end. */
const gatherers: (() => void)[] = []
let endIsSet = false

function keep(writer: SocketWriter): void {
  if (turn.push(writer) >= writersMax) sendAll()
  else setEnd()
}

/** Calls `gather` once, at the end of this turn, before what is kept leaves: what it writes leaves with the rest. */
export function beforeTurnEnds(gather: () => void): void {
  gatherers.push(gather)
  setEnd()
}

function setEnd(): void {
  if (endIsSet) return
  endIsSet = true
  setImmediate(endTurn)
}

function endTurn(): void {
  for (const gather of gatherers) gather()
  gatherers.length = 0
  endIsSet = false
  sendAll()
}

function sendAll(): void {
  for (const writer of turn) writer.flush()
  turn.length = 0
}

export class SocketWriter {
  readonly #socket: Socket
  /** What leaves at the end of this turn: text, or bytes. */
  #text = ''
  #bytes: Buffer | undefined
  #done: WriteDone | undefined
  #sends = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Bytes handed over that the kernel has not taken yet. */
  get length(): number {
    return this.#keptLength + this.#socket.writableLength
  }

  /** How often something was handed to the socket: as before, and what was written since is still kept. */
  get sends(): number {
    return this.#sends
  }

  /** Bytes handed over since the socket came to be. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten + this.#keptLength
  }

  /** Text of latin1. False: wait for the socket's 'drain' before more. */
  write(text: string): boolean {
    if (this.#bytes !== undefined) this.flush()
    if (this.#text === '') {
      this.#text = text
      keep(this)
    } else this.#text += text
    return this.#text.length < keptMax ? !this.#socket.writableNeedDrain : this.flush()
  }

  /** Bytes, and who is told when they are no longer read (with an error: perhaps they still are). As `write`. */
  writeBytes(bytes: Buffer, done?: WriteDone): boolean {
    this.flush()
    if (bytes.length > keptMax) return this.#send(bytes, done)
    this.#bytes = bytes
    this.#done = done
    keep(this)
    return !this.#socket.writableNeedDrain
  }

  /** As `writeBytes`, for bytes of a client's read: what the kernel does not take at once is kept. */
  writeRead(bytes: Buffer): boolean {
    const more = this.writeBytes(bytes)
    if (this.length > 0) keepRead()
    return more
  }

  /** Sends what is kept. False: wait for the socket's 'drain' before more. */
  flush(): boolean {
    const text = this.#text
    if (text !== '') {
      this.#text = ''
      this.#sends++
      return this.#socket.write(text, 'latin1')
    }
    const bytes = this.#bytes
    if (bytes === undefined) return !this.#socket.writableNeedDrain
    this.#bytes = undefined
    return this.#send(bytes, this.#done)
  }

  /** Sends what is kept, and then the end. */
  end(): void {
    this.flush()
    this.#socket.end()
  }

  /** What is kept is not sent. */
  drop(): void {
    this.#text = ''
    if (this.#bytes === undefined) return
    this.#bytes = undefined
    this.#done?.()
  }

  get #keptLength(): number {
    return this.#text.length + (this.#bytes?.length ?? 0)
  }

  #send(bytes: Buffer, done: WriteDone | undefined): boolean {
    this.#sends++
    return this.#socket.write(bytes, done)
  }
}
