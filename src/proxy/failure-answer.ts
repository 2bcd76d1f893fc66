/** Maps what went wrong upstream to the answer the client gets: one table. */
import type { Failure } from '../wire/failure.ts'
import { type OwnAnswer, own } from './answers.ts'

export function failureAnswer(failure: Failure): OwnAnswer {
  switch (failure.kind) {
    case 'refused':
      return own.refused
    case 'unreachable':
      return own.unreachable
    case 'connect-timeout':
      return own.connectTimeout
    case 'local':
      return own.noEndpoint
    case 'closed':
    case 'reset':
      return own.terminated
    case 'invalid':
      return own.invalid
    case 'certificate':
      return own.untrusted
    case 'tls':
      return own.noTls
    case 'first-byte-timeout':
    case 'idle-timeout':
      return own.responseTimeout
  }
}
