/**
 * One thing that is wrong with a configuration, with its place, and how it is shown. Nothing here may carry a secret:
 * lines of the file are masked before they get in. Pure.
 */
import { nearest } from './nearest.ts'
import type { Place, ReadText } from './read-yaml.ts'

export interface ConfigError {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units. */
  readonly column: number
  /** `services.shop.retry.attempts`; '' when it concerns the whole text. */
  readonly path: string
  /** The whole sentence. */
  readonly message: string
  /** The parts of it, where it has them. */
  readonly expected: string | undefined
  readonly found: string | undefined
  /** The valid name nearest to a misspelt one. */
  readonly suggestion: string | undefined
  /** The line of the file, secrets masked; '' when there is none. */
  readonly excerpt: string
}

/** `file:line:column: path: message`, as editors and terminals link it. */
export function formatConfigError(error: ConfigError): string {
  const place = `${error.file}:${String(error.line)}:${String(error.column)}`
  return error.path === '' ? `${place}: ${error.message}` : `${place}: ${error.path}: ${error.message}`
}

/** The line at `offset` as it may be shown: without its indentation's excess, its secrets replaced by `***`. */
export function excerptAt(text: string, offset: number, secrets: readonly Place[]): string {
  const at = Math.min(offset, text.length)
  const start = text.lastIndexOf('\n', at - 1) + 1
  const newline = text.indexOf('\n', at)
  const end = newline < 0 ? text.length : newline
  let line = text.slice(start, end)
  // From the right, so that offsets to the left stay true.
  for (const place of secrets.toSorted((a, b) => b.start - a.start)) {
    const from = Math.max(place.start, start) - start
    const to = Math.min(place.end, end) - start
    if (from < to && !line.slice(from, to).includes('${')) line = `${line.slice(0, from)}***${line.slice(to)}`
  }
  // Patterns are for lines of a human length; what follows would not be shown anyway.
  line = line.slice(0, 400)
  if (belongsToSecret(text.slice(Math.max(0, start - 8_192), start), line)) return '***'
  const masked = maskText(line).trimEnd()
  return masked.length > 160 ? `${masked.slice(0, 157)}...` : masked
}

/**
 * Whether a line without a key of its own continues the value of a secret: the nearest line before it that is indented
 * less holds the key. Places say so too, but a text that YAML refuses has none.
 */
function belongsToSecret(before: string, line: string): boolean {
  if (/^[\s{,]*["']?[A-Za-z_][\w-]*["']?\s*:/.test(line)) return false
  const indent = line.search(/\S|$/)
  const owner = before
    .split('\n')
    .slice(-50)
    .map((above) => above.slice(0, 400))
    .findLast((above) => /\S/.test(above) && (above.search(/\S/) < indent || /["']?\w+["']?\s*:/.test(above)))
  const key = owner === undefined ? undefined : /([A-Za-z_][\w-]*)["']?\s*:[^:]*$/.exec(owner)?.[1]
  return key !== undefined && isSecretKey(key)
}

const pair = /([A-Za-z_][A-Za-z0-9_-]*)(["']?\s*:\s*)("[^"]*"?|'[^']*'?|[^,}\s{[][^,}\n]*)/g

/** Masks what stands behind a key that is, or was meant to be, a secret, and passwords in addresses. */
export function maskText(text: string): string {
  return text
    .replaceAll(/\/\/[^/@\s]*@/g, '//***@')
    .replaceAll(pair, (whole: string, key: string, between: string, value: string) =>
      isSecretKey(key) && !value.includes('${') ? `${key}${between}***` : whole,
    )
}

function isSecretKey(key: string): boolean {
  return key === 'token' || nearest(key, ['token']) !== undefined || /secret|passw|(?:token|key)$/i.test(key)
}

/** Every value below a key named `token`, wherever it stands. */
export function secretPlaces(root: Place): readonly Place[] {
  const found: Place[] = []
  for (const [key, child] of root.children) {
    if (key === 'token') found.push(child)
    else found.push(...secretPlaces(child))
  }
  return found
}

/** Puts errors together from what is the same for all of one text. */
export type ErrorMaker = (
  offset: number,
  path: string,
  message: string,
  parts?: { readonly expected?: string; readonly found?: string; readonly suggestion?: string | undefined },
) => ConfigError

export function errorMaker(file: string, text: string, read: ReadText): ErrorMaker {
  const secrets = secretPlaces(read.root)
  return (offset, path, message, parts = {}) => ({
    file,
    ...read.position(offset),
    path,
    message,
    expected: parts.expected,
    found: parts.found,
    suggestion: parts.suggestion,
    excerpt: excerptAt(text, offset, secrets),
  })
}
