/**
 * Sends bytes that others lend only for the call, in blocks that are used again once their write is done. It owns the
 * blocks of the process; it must not know what the bytes are, nor whether a socket may take more.
 */
import { BlockPool } from './block-pool.ts'
import type { SocketWriter } from './socket-writer.ts'

const blocks = new BlockPool()

/** Writes `bytes` between two texts of latin1. True: more may be written at once. */
export function sendLent(writer: SocketWriter, before: string, bytes: Buffer, after: string): boolean {
  const length = before.length + bytes.length + after.length
  // Behind others a block would be held for long, and most of it in vain.
  const block = writer.length < bytes.length ? blocks.take(length) : undefined
  const copy = block ?? Buffer.allocUnsafe(length)
  copy.write(before, 0, 'latin1')
  bytes.copy(copy, before.length)
  copy.write(after, before.length + bytes.length, 'latin1')
  if (block === undefined) return writer.writeBytes(copy)
  const give = (error?: Error | null): void => {
    if (!error) blocks.give(block)
  }
  // Where the kernel has taken all of it there is nothing to wait for.
  return writer.writeBytes(block.subarray(0, length), give) || writer.length === 0
}
