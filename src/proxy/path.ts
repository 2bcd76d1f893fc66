/**
 * The copy of a request's path that routing reads: percent-encoded unreserved characters decoded, repeated slashes merged.
 * What servers are known to read in different ways is refused, never repaired; the original bytes are what goes on.
 * Source: RFC 3986 section 6.2, RFC 9110 section 7.7.
 */

/** A path that is its own normal form: no escape, no empty, `.` or `..` segment, no parameter, no query. */
const PLAIN = /^(?:\/[^%?/.;][^%?/;]*)*\/?$/

/**
 * The normalised path of an origin-form target (its query left off), or undefined when it must be refused: dot segments
 * in any spelling, `..;`, NUL, backslash, escapes that are no escapes, and bytes that no UTF-8 has.
 */
export function routingPath(target: string): string | undefined {
  if (PLAIN.test(target)) return target
  if (target === '*') return '/'
  const query = target.indexOf('?')
  let path = query < 0 ? target : target.slice(0, query)
  if (path.includes('%')) {
    const decoded = decodeUnreserved(path)
    if (decoded === undefined) return undefined
    path = decoded
  }
  // An escaped slash is no separator to us, but some servers decode it before they look for dot segments.
  if (/(?:\/|%2F)\.{1,2}(?:[/;]|%2F|%3B|$)/.test(path)) return undefined
  return path.replace(/\/{2,}/g, '/')
}

/** Escaped bytes that begin no UTF-8, an overlong form of a shorter one, or a surrogate (RFC 3629 section 3). */
const NOT_UTF8 = /%[cC][01]|%[eE]0%[89]|%[eE][dD]%[abAB]|%[fF]0%8|%[fF][5-9a-fA-F]/

/** Escapes of unreserved characters decoded, the others in upper case; undefined for those that are refused. */
function decodeUnreserved(path: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})|%00|%5[cC]/.test(path) || NOT_UTF8.test(path)) return undefined
  return path.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(char) ? char : escape.toUpperCase()
  })
}
