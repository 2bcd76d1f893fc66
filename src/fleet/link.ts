/**
 * One end of a connection between control and a worker: messages out, messages in, and whether the other end keeps up. It
 * queues nothing itself but what the socket has taken; whoever sends looks at `pressed` first and keeps the newest meanwhile.
 */
import type { Duplex } from 'node:stream'
import { encodeFrame, FrameReader } from './frames.ts'

/** With more than this waiting to be read by the other end, it does not keep up; bytes. */
export const pressureBytes = 1_048_576

export interface LinkHandlers<In> {
  readonly onMessage: (message: In) => void
  /** The other end keeps up again. */
  readonly onRelief: () => void
  /** It is over; called once. `error`: why, where it was not simply closed. */
  readonly onClose: (error: Error | undefined) => void
}

export class Link<In, Out> {
  readonly #socket: Duplex
  #over = false
  #ended = false
  #error: Error | undefined

  /** The handlers are called from the next turn on. */
  constructor(socket: Duplex, handlers: LinkHandlers<In>) {
    this.#socket = socket
    const reader = new FrameReader()
    socket.on('data', (chunk: Buffer) => {
      if (this.#over) return
      try {
        for (const message of reader.push(chunk)) if (!this.#over) handlers.onMessage(message as In)
      } catch (error) {
        this.#error = error instanceof Error ? error : new Error(String(error))
        this.close()
      }
    })
    socket.on('drain', () => handlers.onRelief())
    socket.on('error', (error) => (this.#error ??= error))
    // The other end has gone; what it would still read is of no use to anybody.
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      this.#over = true
      handlers.onClose(this.#error)
    })
  }

  /** True while the other end does not keep up: send nothing that a later message will say better. */
  get pressed(): boolean {
    return this.#over || this.#ended || this.#socket.writableLength > pressureBytes
  }

  get isOver(): boolean {
    return this.#over
  }

  send(message: Out): void {
    if (!this.#over && !this.#ended) this.#socket.write(encodeFrame(message))
  }

  /** Ends it once what was sent is written; nothing more is sent. */
  end(): void {
    this.#ended = true
    this.#socket.end()
  }

  /** Ends it at once. Idempotent. */
  close(): void {
    this.#over = true
    this.#socket.destroy()
  }
}
