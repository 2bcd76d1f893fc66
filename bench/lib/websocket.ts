/**
 * As much of WebSocket (RFC 6455) as the bench's own ends need: the handshake, and short unfragmented text frames. Pure.
 * It must not be used for anything but the bench's own messages: what they do not need it refuses.
 */
import { createHash } from 'node:crypto'

/** The key every handshake of the bench uses; it need not differ, since nothing here caches. */
export const handshakeKey = 'ZmFpcmxlYWQtYmVuY2gtMQ=='

/** The longest text a frame of the bench may hold, in bytes: longer ones need another kind of length. */
export const maxText = 125

/** What `Sec-WebSocket-Accept` must say to a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** One text frame; `masked` as a client sends it. Throws when the text is longer than {@link maxText}. */
export function textFrame(text: string, masked: boolean): Buffer {
  const payload = Buffer.from(text)
  if (payload.length > maxText) throw new Error(`a frame of ${payload.length} bytes is not a short one`)
  if (!masked) return Buffer.concat([Buffer.from([0x81, payload.length]), payload])
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78])
  const hidden = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, hidden])
}

export interface Frame {
  /** 1: text, 8: close, 9: ping, 10: pong. */
  readonly opcode: number
  readonly text: string
  /** Bytes of the input it took. */
  readonly size: number
}

/** The first frame of `bytes`; undefined while it is not whole. Throws for a long or fragmented one. */
export function readFrame(bytes: Buffer): Frame | undefined {
  const [first, second] = bytes
  if (first === undefined || second === undefined) return undefined
  const length = second & 0x7f
  if ((first & 0x80) === 0 || length > maxText) throw new Error('only short frames in one piece are understood')
  const masked = (second & 0x80) !== 0
  const start = masked ? 6 : 2
  const size = start + length
  if (bytes.length < size) return undefined
  const payload = bytes.subarray(start, size)
  const shown = masked ? payload.map((byte, index) => byte ^ (bytes[2 + (index % 4)] ?? 0)) : payload
  return { opcode: first & 0x0f, text: Buffer.from(shown).toString(), size }
}
