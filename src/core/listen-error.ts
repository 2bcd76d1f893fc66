/** Why an address could not be opened, said once and with what moves it. */
import { errorText, FairleadError } from './errors.ts'

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this needs rights that the process does not have',
  ENOTFOUND: 'nobody knows this name',
}

/** The FL_LISTEN error of `what` (with its address); `setting` is the setting or option that says where it listens. */
export function listenError(what: string, setting: string, error: unknown): FairleadError {
  if (error instanceof FairleadError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // The system's own text names the address once more.
  const reason = reasons[code] === undefined ? errorText(error) : `${reasons[code]} (${code})`
  return new FairleadError('FL_LISTEN', `${what} cannot be opened: ${reason}; ${setting} moves it`, {
    cause: error,
  })
}

/** Somebody has the address. Read from the text, which is all that comes from a worker process. */
export function isInUse(error: unknown): boolean {
  return error instanceof FairleadError && error.code === 'FL_LISTEN' && error.message.includes('(EADDRINUSE)')
}
