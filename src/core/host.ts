/** Hosts and addresses as people and URLs write them, and the one answer to what only this machine can reach. Pure. */
import { isIPv4 } from 'node:net'

/** True for what only this machine can reach: `localhost`, 127.0.0.0/8, `::1`. A name is not looked up. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** An IPv6 address in brackets, anything else as it is. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** `host:port`, an IPv6 address in brackets. */
export function showHostPort(host: string, port: number): string {
  return `${bracketed(host)}:${String(port)}`
}
