/**
 * How the connections of one pool are opened, and what is particular to a kind of them: when one is ready, what its failures
 * mean, whether its end can be believed. Here the plain ones. It knows no requests.
 */
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { type ConnectFailure, type FailureKind, connectFailure } from './failure.ts'

export interface Connector {
  /** The socket's event that says that requests may be sent. */
  readonly ready: 'connect' | 'secureConnect'
  /** A socket that is connecting; what it reads goes to `onread`, or comes as 'data' events. */
  open(host: string, port: number, onread?: OnReadOpts): Socket
  /** What `error` means on a socket that is not ready yet; called once for each. */
  connectFailure(socket: Socket, error: NodeJS.ErrnoException): ConnectFailure
  /** Whether an end that is read is all the end there is, so that an answer may be delimited by it; else it may be a cut. */
  readonly endDelimits: boolean
}

/** A peer whose machine vanished is noticed by the kernel's probes, the first after this long without a byte, ms. */
export const keepAliveDelayMs = 1_000

export const plainConnector: Connector = {
  ready: 'connect',
  open: (host, port, onread) =>
    connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      allowHalfOpen: true,
      ...(onread && { onread }),
    }),
  connectFailure: (_socket, error) => {
    const detail = codeOf(error)
    return { kind: connectFailure(detail), detail }
  },
  // TCP alone has no other end (RFC 9112 section 9.8 wants more only of what has).
  endDelimits: true,
}

export const codeOf = ({ code }: NodeJS.ErrnoException): string => code ?? 'error'

/** What the error `code` means on a connection that was ready. */
export function brokenKind(code: string): FailureKind {
  if (code.startsWith('ERR_SSL_')) return 'tls'
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : 'closed'
}
