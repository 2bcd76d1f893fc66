/** The problem of a config entry that cannot be used, whichever step of reading it found so. Pure. */
import type { Problem } from '../../core/problem.ts'

/** `key` is `KIND/NAME`; `kept`: a last good form stays in its place. */
export function badEntry(key: string, why: string, kept: boolean): Problem {
  const effect = kept ? 'its last good form stays in force' : 'it has no effect'
  const message = `the entry is not used: ${why}; ${effect}. Change it with consul config write, or say it in Fairlead's own policy`
  return Object.freeze({ code: 'bad-config-entry', where: `config-entries/${key}`, message })
}
