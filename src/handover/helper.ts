/**
 * The process between a running proxy and the one that takes over: it has inherited the running one's listening sockets, and its
 * channel leads to the other. Two processes that did not start each other cannot exchange a socket in Node; a child can have one
 * from its parent, and give it on over its channel. It ends with the channel, and never accepts a connection: a server is opened, sent
 * and closed within one turn.
 */
import { createServer } from 'node:net'
import { writeSync } from 'node:fs'
import { listenBacklog as backlog } from '../core/inherit.ts'
import { handoverProtocol, type ListeningSocket, type ToGiver, type ToTaker } from './messages.ts'

export interface HelperOptions {
  /** Of the running proxy. */
  readonly version: string
  readonly pid: number
  /** Names of its catalogs that do not answer it. */
  readonly unseen: readonly string[]
  /** With this process's descriptors. */
  readonly sockets: readonly ListeningSocket[]
}

export function runHelper({ version, pid, unseen, sockets }: HelperOptions): void {
  const left = new Set(sockets)
  const say = (message: ToTaker): void => void process.send?.(message)
  for (const end of ['disconnect', 'error']) process.on(end, () => process.exit(0))
  process.on('message', (message: ToGiver) => {
    if (message.kind === 'retire') return retire()
    const found = [...left].find(({ host, port }) => host === message.host && port === message.port)
    if (!found) return say({ kind: 'none' })
    left.delete(found)
    const server = createServer()
    server.listen({ fd: found.fd, backlog })
    process.send?.({ kind: 'given' } satisfies ToTaker, server)
    server.close()
  })
  let isRetiring = false
  // The running one has retired; or it says nothing more, since it has ended. Without it these sockets accept nobody, and must not
  // stay open.
  const over = (): void => {
    if (isRetiring) say({ kind: 'retired' })
    else process.exit(0)
  }
  const retire = (): void => {
    isRetiring = true
    try {
      writeSync(1, 'retire\n')
    } catch {
      // It has ended, which the end of our input tells.
    }
  }
  // It asks whether whoever said so is still there: whoever has gone took this process along.
  process.stdin
    .on('error', () => {})
    .on('data', retire)
    .once('end', over)
  say({ kind: 'hello', protocol: handoverProtocol, version, pid, unseen })
}
