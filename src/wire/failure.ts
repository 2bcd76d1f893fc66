/** What can go wrong with an upstream, as facts: the words that retries, answers and logs are decided by. */

export type FailureKind =
  | 'refused' // nothing listens there
  | 'unreachable' // no way there
  | 'connect-timeout'
  | 'local' // our own lack: descriptors, ports
  | 'certificate' // whoever answers there cannot show that it is who it should be
  | 'tls' // no TLS could be agreed on, or it broke
  | 'closed' // ended without, or in the middle of, an answer
  | 'reset'
  | 'invalid' // an answer that cannot be trusted
  | 'first-byte-timeout'
  | 'idle-timeout'

/** What a failure to connect was. */
export interface ConnectFailure {
  readonly kind: FailureKind
  /** As {@link Failure.detail}. */
  readonly detail: string
}

/** What is known when an exchange with an upstream failed. */
export interface Failure {
  readonly kind: FailureKind
  /** An error code or the name of the broken rule, and of a certificate also why (up to some 600 characters); for logs. */
  readonly detail: string
  /** The connection had served a request before this one. */
  readonly reused: boolean
  /** Some byte of the request was handed to the connection. */
  readonly sent: boolean
  /** Some byte of the final answer came. */
  readonly received: boolean
}

/**
 * The detail of a `closed` that is nobody's failing: an answer that only its connection's end delimits, where that end proves
 * nothing. It is cut all the same.
 */
export const unprovenEnd = 'unproven-end'

/** The kind of a failure to connect, by the system's error code. */
export function connectFailure(code: string): FailureKind {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused'
    case 'ETIMEDOUT':
      return 'connect-timeout'
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EADDRNOTAVAIL':
      return 'local'
    default:
      return 'unreachable'
  }
}
