/**
 * Who may ask: the checks that keep web pages (also by DNS rebinding) and foreign hosts away from the status and admin
 * addresses. Pure: from a request's head to a refusal or none. It knows no paths.
 */
import { bracketed } from '../core/host.ts'
import type { IncomingHttpHeaders } from 'node:http'

export interface GateRules {
  /** Values of Host that are believed, lower case, compared exactly; undefined: any. */
  readonly hosts: ReadonlySet<string> | undefined
  /** POST is let through to what changes something; else everything only reads. */
  readonly acts?: boolean
}

export interface Refusal {
  readonly status: 403 | 405 | 421
  readonly reason: string
}

/** The Host values that name a loopback listener. */
export function loopbackHosts(host: string, port: number): ReadonlySet<string> {
  const hosts = new Set<string>()
  for (const name of ['localhost', '127.0.0.1', '[::1]', bracketed(host)]) {
    hosts.add(`${name}:${port}`)
    if (port === 80) hosts.add(name)
  }
  return hosts
}

/** Why this request is refused; undefined: it is not. */
export function judge(rules: GateRules, method: string, headers: IncomingHttpHeaders): Refusal | undefined {
  const host = headers.host?.toLowerCase()
  if (rules.hosts && (host === undefined || !rules.hosts.has(host))) {
    return { status: 421, reason: 'This address does not answer for that host name.' }
  }
  // Browsers tell where a request comes from; a page of another origin has no business here.
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return { status: 403, reason: 'Requests from other sites are refused.' }
  }
  const { origin } = headers
  if (origin !== undefined && origin.toLowerCase() !== `http://${host ?? ''}`) {
    return { status: 403, reason: 'Requests from other origins are refused.' }
  }
  if (method !== 'GET' && method !== 'HEAD' && !(rules.acts && method === 'POST')) {
    return { status: 405, reason: `Only GET${rules.acts ? ', HEAD and POST' : ' and HEAD'} are answered here.` }
  }
  return undefined
}
