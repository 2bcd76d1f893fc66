/**
 * How messages lie on the stream between control and a worker: four bytes of length (little-endian), then the value as V8's
 * serializer writes it, which keeps Maps, Infinity and one object for one object. Both ends are the same program on the same
 * machine, behind a socket that only its own user reaches: what comes is trusted, but not its length.
 */
import { deserialize, serialize } from 'node:v8'

/** Longest value in a frame, bytes: some hundred thousand endpoints. */
export const frameBytesMax = 268_435_456

const headBytes = 4

/** One frame. Throws a RangeError for a value that is longer than {@link frameBytesMax}. */
export function encodeFrame(message: unknown): Buffer {
  const body = serialize(message)
  if (body.length > frameBytesMax) throw new RangeError(`a message of ${String(body.length)} bytes is too long to send`)
  const frame = Buffer.allocUnsafe(headBytes + body.length)
  frame.writeUInt32LE(body.length, 0)
  body.copy(frame, headBytes)
  return frame
}

/** Puts frames together from whatever pieces come. */
export class FrameReader {
  #chunks: Buffer[] = []
  #bytes = 0

  /** The values that `chunk` completes, in order. Throws when what came is no frame; nothing can be read from then on. */
  push(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const messages: unknown[] = []
    for (;;) {
      if (this.#bytes < headBytes) return messages
      const length = this.#gather(headBytes).readUInt32LE(0)
      if (length > frameBytesMax) throw new RangeError(`a message of ${String(length)} bytes is announced`)
      if (this.#bytes < headBytes + length) return messages
      const bytes = this.#gather(headBytes + length)
      messages.push(deserialize(bytes.subarray(headBytes, headBytes + length)))
      this.#chunks = bytes.length > headBytes + length ? [bytes.subarray(headBytes + length)] : []
      this.#bytes -= headBytes + length
    }
  }

  /** The first chunk, with at least so many bytes of those that are there; joins no more than it must. */
  #gather(bytes: number): Buffer {
    const [first] = this.#chunks
    if (first && first.length >= bytes) return first
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }
}
