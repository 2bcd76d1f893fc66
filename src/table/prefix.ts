/**
 * The one place where a route's path is brought to the form that is stored, compared and matched: that to which the proxy
 * normalises the paths of requests (RFC 3986 section 6.2.2), without the slash at its end.
 */

/** Escapes of unreserved characters decoded, the others in upper case. */
function normaliseEscapes(path: string): string {
  return path.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(char) ? char : escape.toUpperCase()
  })
}

/**
 * A route path as the table keeps it: begins with `/` and ends with none, save `/` itself, which is every path.
 * `/cart/`, `/cart`, `cart` and `//%63art` are the same route; so are `` and `/`.
 */
export function routePrefix(path: string): string {
  const merged = normalPath(path)
  const trimmed = merged.endsWith('/') ? merged.slice(0, -1) : merged
  return trimmed.startsWith('/') ? trimmed : `/${trimmed}`
}

/** Escapes and slashes as in the paths that requests are compared by; what it begins and ends with stays. */
export function normalPath(path: string): string {
  const escaped = path.includes('%') ? normaliseEscapes(path) : path
  return escaped.includes('//') ? escaped.replace(/\/{2,}/g, '/') : escaped
}
