/**
 * The Host header and the authority of a request-target: validated, and normalised for routing. The original goes on.
 * Source: RFC 9110 sections 4.2.3 and 7.2, RFC 3986 section 3.2.2; stricter than those where gateways were fooled.
 */
import { isIPv6 } from 'node:net'

const NAME = /^[A-Za-z0-9_~-]+(?:\.[A-Za-z0-9_~-]+)*\.?$/

/**
 * The host in lower case, without port and without a trailing dot, for routing; undefined when it is not valid: empty,
 * with user information, a list, a path, a port outside 1 to 65535, or a bad IPv6 literal.
 */
export function routingHost(value: string): string | undefined {
  // Requests in a row mostly name the same host.
  if (value === lastValue) return lastRouting
  lastRouting = readHost(value)
  lastValue = value
  return lastRouting
}

let lastValue = ''
let lastRouting: string | undefined

function readHost(value: string): string | undefined {
  let host = value
  if (value.charCodeAt(0) === 0x5b) {
    const close = value.indexOf(']')
    if (close < 0 || !validPort(value, close + 1)) return undefined
    host = value.slice(0, close + 1)
    const address = host.slice(1, -1)
    return isIPv6(address) && !address.includes('%') ? host.toLowerCase() : undefined
  }
  const colon = value.indexOf(':')
  if (colon >= 0) {
    if (!validPort(value, colon)) return undefined
    host = value.slice(0, colon)
  }
  if (host.length > 255 || !NAME.test(host)) return undefined
  if (host.charCodeAt(host.length - 1) === 0x2e) host = host.slice(0, -1)
  return host.toLowerCase()
}

/** True when nothing, or `:` and a port of 1 to 65535, follows from `at` to the end. */
function validPort(value: string, at: number): boolean {
  if (at === value.length) return true
  const port = value.slice(at + 1)
  return value.charCodeAt(at) === 0x3a && /^[0-9]{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535
}

/** True when two valid authorities name the same host and port of the `http` scheme. */
export function sameAuthority(a: string, b: string): boolean {
  return withDefaultPort(a) === withDefaultPort(b)
}

function withDefaultPort(authority: string): string {
  const lower = authority.toLowerCase()
  const bare = lower.replace(/:0*80$/, '')
  return bare.endsWith('.') ? bare.slice(0, -1) : bare
}
