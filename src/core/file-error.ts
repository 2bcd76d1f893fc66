/** What Node says of a file that cannot be read, for a person. Pure. */
import { errorText } from './errors.ts'

const reasons: Readonly<Record<string, (file: string) => string>> = {
  ENOENT: (file) => `there is no file ${file}`,
  ENOTDIR: (file) => `there is no file ${file}: what should be its folder is none`,
  EACCES: (file) => `this user may not read ${file}`,
  EPERM: (file) => `this user may not read ${file}`,
  EISDIR: (file) => `${file} is a folder`,
}

/** Why `file` could not be read, as a clause that names it; what is not known here is said as Node says it. */
export function fileErrorText(error: unknown, file: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return reasons[code]?.(file) ?? errorText(error)
}
