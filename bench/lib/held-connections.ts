/**
 * Opens many client connections through a proxy, holds them, and says how many are still there: idle keep-alive ones that
 * have had one answer, or WebSockets that have echoed once. It must not measure.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { smallBody } from './payload.ts'
import { acceptOf, handshakeKey, readFrame, textFrame } from './websocket.ts'

/** Connections that are being opened at the same time. */
const atOnce = 64
/** How long one may take to be open, or a WebSocket to echo, ms; unless it is said. */
const usualPatienceMs = 10_000

/** One connection that is open, and whatever has come on it. */
export class Held {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined
  #closed = false
  readonly #patienceMs: number

  constructor(port: number, patienceMs: number = usualPatienceMs) {
    this.#patienceMs = patienceMs
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#wake?.()
    })
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      this.#closed = true
      this.#wake?.()
    })
    // an end of the other side is an end
    this.#socket.on('end', () => this.#socket.destroy())
  }

  get open(): boolean {
    return !this.#closed
  }

  /** Sends bytes and takes what `read` finds in what comes; `read` returns undefined while there is too little. */
  async exchange<T>(
    bytes: Buffer,
    read: (received: Buffer) => { readonly value: T; readonly size: number } | undefined,
  ): Promise<T> {
    this.#socket.write(bytes)
    const timer = setTimeout(() => this.#socket.destroy(), this.#patienceMs)
    try {
      for (;;) {
        const found = read(this.#received)
        if (found !== undefined) {
          this.#received = Buffer.from(this.#received.subarray(found.size))
          return found.value
        }
        if (this.#closed) throw new Error(`closed, or nothing within ${this.#patienceMs / 1_000} s`)
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      clearTimeout(timer)
      this.#wake = undefined
    }
  }

  /** Ends it at once, without leaving an address in TIME_WAIT. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }
}

/** The head of an answer and its length with the blank line; undefined while it is not whole. */
function readHead(received: Buffer): { readonly head: string; readonly size: number } | undefined {
  const end = received.indexOf('\r\n\r\n')
  return end < 0 ? undefined : { head: received.toString('latin1', 0, end + 2), size: end + 4 }
}

const idleRequest = Buffer.from('GET /small HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
const upgradeRequest = (path: string): Buffer =>
  Buffer.from(
    `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
      `sec-websocket-version: 13\r\nsec-websocket-key: ${handshakeKey}\r\n\r\n`,
  )

/** Makes a connection an idle keep-alive one: one request, its answer checked. Rejects with what was wrong. */
export async function becomeIdle(held: Held): Promise<void> {
  await held.exchange(idleRequest, (received) => {
    const head = readHead(received)
    if (head === undefined) return undefined
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head.head)?.[1] ?? Number.NaN)
    if (!head.head.startsWith('HTTP/1.1 200') || length !== smallBody.length) throw new Error(`answered ${head.head}`)
    const size = head.size + length
    if (received.length < size) return undefined
    const body = received.toString('latin1', head.size, size)
    if (body !== smallBody) throw new Error('answered with a wrong body')
    return { value: undefined, size }
  })
}

/** Makes a connection a WebSocket. Rejects with what was wrong. */
export async function becomeWebSocket(held: Held): Promise<void> {
  await becomeWebSocketAt(held, '/echo')
}

/** The same of a path. */
export async function becomeWebSocketAt(held: Held, path: string): Promise<void> {
  await held.exchange(upgradeRequest(path), (received) => {
    const head = readHead(received)
    if (head === undefined) return undefined
    if (!head.head.startsWith('HTTP/1.1 101')) throw new Error(`answered ${head.head}`)
    if (/\r\nsec-websocket-accept: *(\S+)/i.exec(head.head)?.[1] !== acceptOf(handshakeKey))
      throw new Error('accepted with a wrong key')
    return { value: undefined, size: head.size }
  })
}

/** Sends a text through a WebSocket and awaits the same. Rejects when something else comes, or nothing. */
export async function echo(held: Held, text: string): Promise<void> {
  const answer = await held.exchange(textFrame(text, true), (received) => {
    const frame = readFrame(received)
    return frame === undefined ? undefined : { value: frame, size: frame.size }
  })
  if (answer.opcode !== 1 || answer.text !== text) throw new Error(`'${answer.text}' came back for '${text}'`)
}

/** Runs `work` on all, some at a time, in order of their index. Rejects with the first failure, once those under way have ended. */
export async function someAtATime<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const index = next++
      try {
        await work(items[index] as T, index)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  if (failure !== undefined) throw failure.error
}

/** Opens `count` connections and makes each one what is wanted. Rejects, with none left open, when one cannot be. */
export async function holdOpen(
  port: number,
  count: number,
  become: (held: Held, index: number) => Promise<void>,
): Promise<readonly Held[]> {
  const all: Held[] = []
  try {
    await someAtATime(Array.from({ length: count }), async (_, index) => {
      const held = new Held(port)
      all.push(held)
      await become(held, index)
    })
    return all
  } catch (error) {
    for (const held of all) held.reset()
    throw new Error(`connection ${all.length} of ${count}`, { cause: error })
  }
}
