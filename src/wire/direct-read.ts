/**
 * Hands what a flowing socket reads to its one consumer without the stream's book-keeping per chunk (an event, a tick to
 * ask whether more may be read). It replaces `push`, the documented door by which a Readable is fed, on the one socket; with
 * a chunk that is waiting, a pause, or the end, the stream's own `push` does what it always did. Should a Node release feed
 * sockets by another door, they come as 'data' events as before. It knows nothing of what the bytes mean.
 */
import type { Socket } from 'node:net'

/** Calls `onData` for each chunk, in order; pause and resume of the socket hold as for 'data' events. */
export function readDirectly(socket: Socket, onData: (bytes: Buffer) => void): void {
  socket.on('data', onData)
  const push = socket.push.bind(socket)
  socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null || socket.readableFlowing !== true || socket.readableLength > 0) return push(chunk, encoding)
    onData(chunk)
    return true
  }
}
