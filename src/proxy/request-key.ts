/** What ties a request to a version or to an instance, and the cookie that does so. Pure; it chooses neither. */
import type { RequestKey } from '../policy/traffic.ts'
import { cookieValue, headerValue } from '../table/request-text.ts'

/** The request's key, the first where there are several; undefined: it has none, or an empty one. */
export function requestKey(key: RequestKey, lines: string, clientAddress: string): string | undefined {
  switch (key.from) {
    case 'header':
      return headerValue(lines, key.name) || undefined
    case 'cookie':
      return cookieValue(lines, key.name) || undefined
    default:
      return clientAddress || undefined
  }
}

/** The line that sets a cookie of ours, for the whole host; `maxAgeSeconds` 0: until the browser is closed. */
export function cookieLine(name: string, value: string, maxAgeSeconds: number, secure: boolean): string {
  const age = maxAgeSeconds > 0 ? `; Max-Age=${String(maxAgeSeconds)}` : ''
  return `Set-Cookie: ${name}=${value}; Path=/; HttpOnly; SameSite=Lax${age}${secure ? '; Secure' : ''}\r\n`
}
