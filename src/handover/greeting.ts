/**
 * The lines that are spoken before sockets are handed over, by whoever was started with `--replace` and the process that has the
 * sockets: `take 2` asks for a turn, `yes` gives it, `go` has the helper started, which has the connection from then on. Whoever
 * only looks, or decides otherwise, costs no process and keeps nobody out. Who comes there is the owner, but may be of any version.
 */
import type { Socket } from 'node:net'
import { handoverProtocol } from './messages.ts'

export const take: string = `take ${String(handoverProtocol)}`
/** `busy`: another one has the turn. `no`: it speaks another version. */
export type Reply = 'yes' | 'busy' | 'no'
export const go = 'go'

/** Longer ones are nobody's. */
const lineBytesMax = 256

/**
 * Calls `onLine` with each line until the returned function is called, which leaves the connection paused. A line that is too
 * long is told as ''.
 */
export function readLines(socket: Socket, onLine: (line: string) => void): () => void {
  let text = ''
  let isOver = false
  const read = (bytes: Buffer): void => {
    text += bytes.toString('latin1')
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    if (text.length > lineBytesMax) {
      lines.push('')
      text = ''
    }
    for (const line of lines) if (!isOver) onLine(line)
  }
  socket.on('data', read)
  socket.resume()
  return () => {
    isOver = true
    socket.off('data', read)
    socket.pause()
  }
}
