/**
 * How much a door does at one time. One request at a time per connection, and few at a time in all: node:http hands out every
 * request of a read at once, so that one packet of pipelined ones could have us make a thousand answers before anything else
 * runs. Probes have turns of their own, so that nobody who reads slowly or not at all has this proxy taken for dead; and a door
 * that is full lets go of whoever has waited longest without asking anything. It answers nothing but that there is no turn.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Answers that are made or read at one time. */
export const answersMax = 16
/** The same of probes, which cost next to nothing and are out in one packet. */
export const probesMax = 64
/** Open connections. */
export const connectionsMax = 256

/** What whoever runs this proxy asks to see whether it lives. */
const probes: ReadonlySet<string> = new Set(['/livez', '/readyz'])

export interface Turns {
  /** False: there is no turn, and that has been said. */
  take(req: IncomingMessage, res: ServerResponse): boolean
}

/** Bounds the connections of `server` as well. */
export function createTurns(server: Server): Turns {
  const busy = new WeakSet<Socket>()
  const open = new Set<Socket>()
  const underWay = { answers: 0, probes: 0 }
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    if (open.size <= connectionsMax) return
    // There always is one: fewer have a turn than there may be connections.
    for (const oldest of open) {
      if (busy.has(oldest)) continue
      open.delete(oldest)
      oldest.destroy()
      return
    }
  })
  return {
    take(req, res) {
      const { socket } = req
      if (busy.has(socket)) {
        socket.destroy()
        return false
      }
      const kind = probes.has(pathOf(req)) ? 'probes' : 'answers'
      if (underWay[kind] >= (kind === 'probes' ? probesMax : answersMax)) {
        res.writeHead(503, { connection: 'close', 'retry-after': '1', 'content-length': '0' }).end()
        return false
      }
      busy.add(socket)
      underWay[kind]++
      res.once('close', () => {
        busy.delete(socket)
        underWay[kind]--
      })
      return true
    },
  }
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const mark = url.indexOf('?')
  return mark === -1 ? url : url.slice(0, mark)
}
