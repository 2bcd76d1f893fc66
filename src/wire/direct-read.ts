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
/** Its memory, where it may be given back. */
let memory: ArrayBuffer | undefined

/** To be called by whoever keeps bytes that a client sent, or hands them to one who does, beyond the call that brought them. */
export function keepRead(): void {
  isKept = true
}

/**
 * As {@link keepRead}, for one who can say when `bytes` are needed no more: their memory, to be given back then, if they are the
 * end of the read under way, so that nothing comes behind them that others may keep. Undefined: it is left to the collector.
 */
export function keepEnd(bytes: Buffer): ArrayBuffer | undefined {
  isKept = true
  return memory === bytes.buffer && bytes.byteOffset + bytes.length === memory.byteLength ? memory : undefined
}

/** Frees memory that nobody reads any more (ECMA-262 section 25.1.6.11): buffers of it are empty from now on. */
export function giveBack(read: ArrayBuffer): void {
  read.transfer(0)
}

/** Calls `onData` for each chunk, in order; pause and resume of the socket hold as for 'data' events. */
export function readDirectly(socket: Socket, onData: (bytes: Buffer) => void): void {
  const take = (chunk: Buffer<ArrayBuffer>): void => {
    const { buffer, length } = chunk
    isKept = false
    memory = length >= givenBackMin && buffer.byteLength === length ? buffer : undefined
    onData(chunk)
    if (memory !== undefined && !isKept) giveBack(memory)
    memory = undefined
  }
  socket.on('data', take)
  const push = socket.push.bind(socket)
  socket.push = (chunk: Buffer<ArrayBuffer> | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null || socket.readableFlowing !== true || socket.readableLength > 0) return push(chunk, encoding)
    take(chunk)
    return true
  }
}
