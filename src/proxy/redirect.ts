/** What a route answers by itself: pure text. What comes from the request is what was checked when its head was read. */
import type { FixedAnswer, Redirect } from '../policy/traffic.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { Answered } from './course.ts'
import { routingPath } from './path.ts'
import { queryOf } from './shape.ts'

export interface RouteAnswer {
  readonly answer: FixedAnswer
  /** Lines of its own, each with its CRLF. */
  readonly lines: string
}

/** Undefined: a redirect asks for a host, and the request names none. */
export function routeAnswer(
  answered: Exclude<Answered, { kind: 'denied' }>,
  head: RequestHead,
  routePath: string,
): RouteAnswer | undefined {
  if (answered.kind === 'answer') return { answer: answered.answer, lines: 'Cache-Control: no-store\r\n' }
  const path = routingPath(head.target) ?? '/'
  const location = locationOf(answered.redirect, path, head.target, routePath, head.routingHost)
  if (location === undefined) return undefined
  const answer = { status: answered.redirect.status, body: '', contentType: 'text/plain; charset=utf-8' }
  return { answer, lines: `Location: ${location}\r\n` }
}

/**
 * The Location. `path` is the request's path as it is routed (normalised, so that no encoding leads elsewhere), `target` as it
 * came (for the query), `routePath` the route's own, of which `$path` is the rest. Never a path that begins with `//`, which
 * browsers take for another host. Undefined: it asks for a host, and the request names none.
 */
function locationOf(
  { to }: Redirect,
  path: string,
  target: string,
  routePath: string,
  host: string,
): string | undefined {
  if (to.includes('$host') && host === '') return undefined
  const rest = (routePath === '/' ? path : path.slice(routePath.length)) + queryOf(target)
  const location = to.replaceAll('$host', () => host).replaceAll('$path', () => rest)
  if (/^https?:\/\//.test(to)) return location
  const local = location.startsWith('/') ? location : '/' + location
  return local.replace(/^\/{2,}/, '/')
}
