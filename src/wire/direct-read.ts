/**
 * Hands what a flowing socket reads to its one consumer without the stream's book-keeping per chunk (an event, a tick to
 * ask whether more may be read). It replaces `push`, the documented door by which a Readable is fed, on the one socket; with
 * a chunk that is waiting, a pause, or the end, the stream's own `push` does what it always did. Should a Node release feed
 * sockets by another door, they come as 'data' events as before. It knows nothing of what the bytes mean.
 *
 * A large read's memory is given back with the end of the call, unless somebody said that it is kept: what is left to the
 * collector makes it run all the time (it counts memory outside its heap too), and each read touches memory that is cold.
 */
import type { Socket } from 'node:net'

/** Reads of fewer bytes are left to the collector: to give them back costs as much. */
export const givenBackMin = 4_096

/** Bytes of the read under way are kept beyond it. */
let isKept = false

/** To be called by whoever keeps bytes that a client sent, or hands them to one who does, beyond the call that brought them. */
export function keepRead(): void {
  isKept = true
}

/** Calls `onData` for each chunk, in order; pause and resume of the socket hold as for 'data' events. */
export function readDirectly(socket: Socket, onData: (bytes: Buffer) => void): void {
  socket.on('data', onData)
  const push = socket.push.bind(socket)
  socket.push = (chunk: Buffer<ArrayBuffer> | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null || socket.readableFlowing !== true || socket.readableLength > 0) return push(chunk, encoding)
    isKept = false
    onData(chunk)
    if (!isKept && chunk.length >= givenBackMin) giveBack(chunk)
    return true
  }
}

/** Frees the memory of `bytes` if it is theirs alone: detached (ECMA-262 section 25.1.6.11), the buffer is empty from now on. */
function giveBack({ buffer, length }: Buffer<ArrayBuffer>): void {
  if (buffer.byteLength === length) buffer.transfer(0)
}
