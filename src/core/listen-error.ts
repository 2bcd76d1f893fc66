/** Why an address could not be opened, said once and with what moves it. */
import { errorText, FairleadError } from './errors.ts'

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this needs rights that the process does not have',
  ENOTFOUND: 'nobody knows this name',
}

/** What helps where it may be the same proxy, started before, that has the address. */
export const replaceHint = 'if that is this same proxy, `fairlead serve --replace` takes over from it'

/**
 * The FL_LISTEN error of `what` (with its address); `setting` is the setting or option that says where it listens, `inUse` what
 * else helps when somebody has it.
 */
export function listenError(what: string, setting: string, error: unknown, inUse?: string): FairleadError {
  if (error instanceof FairleadError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // The system's own text names the address once more.
  const reason = reasons[code] === undefined ? errorText(error) : `${reasons[code]} (${code})`
  const hint = inUse !== undefined && code === 'EADDRINUSE' ? `; ${inUse}` : ''
  return new FairleadError('FL_LISTEN', `${what} cannot be opened: ${reason}; ${setting} moves it${hint}`, {
    cause: error,
  })
}
