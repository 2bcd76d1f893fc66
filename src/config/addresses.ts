/**
 * Kinds of value that name places in a network: socket addresses, CIDR ranges, hosts of routes, Consul's address.
 * Nothing is resolved. Pure but for `node:net`'s judgement of IP literals.
 */
import { showHostPort } from '../core/host.ts'
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { routingPath } from '../proxy/path.ts'
import { routePrefix } from '../table/prefix.ts'
import type { Address } from './config.ts'
import { Because, scalar } from './declare.ts'
import type { Setting } from './declare.ts'

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i

/** A host without brackets: an IP literal or a name. */
export function isHost(text: string): boolean {
  // What looks like an IPv4 address must be one: 10.0.2.555 is a slip, never a name.
  return /^[\d.]+$/.test(text) ? isIPv4(text) : isIPv6(text) || hostName.test(text)
}

/** `host:port` or `[v6]:port`, port 0 to 65535. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | Because {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text)
  if (!match) {
    if (/^\d+$/.test(text)) return new Because(`write 0.0.0.0:${text}, or 127.0.0.1:${text} for this machine only`)
    if (isIPv6(text)) return new Because(`an IPv6 address stands in brackets, and a port follows: [${text}]:8080`)
    return new Because(/:\d+$/.test(text) ? 'the host is not valid' : 'a port is missing')
  }
  const [, v6, name, digits] = match
  const host = v6 ?? name ?? ''
  const port = Number(digits)
  if (host === '') return new Because(`write 0.0.0.0:${String(port)} or [::]:${String(port)} for every address`)
  if (port > 65_535) return new Because('a port is 0 to 65535')
  if (v6 === undefined ? !isHost(host) : !isIPv6(host)) return new Because(`${host} is no IP address and no host name`)
  return { host: host.toLowerCase(), port }
}

/** `host:port`, for what only listens on TCP. */
export function hostPort(): Setting<{ readonly host: string; readonly port: number }> {
  return scalar({
    type: 'host:port',
    expected: 'an address such as 0.0.0.0:8080 or [::]:8080',
    parse: parseHostPort,
    format: ({ host, port }) => showHostPort(host, port),
  })
}

/** `host:port`, `unix:/path`, or `off` for none. */
export function optionalAddress(): Setting<Address | 'off'> {
  return scalar<Address | 'off'>({
    type: 'address',
    expected: 'an address such as 127.0.0.1:8082 or unix:/run/fairlead.sock, or off',
    bounds: 'host:port, unix:/path, off',
    parse: (text) => (text === 'off' ? 'off' : parseAddress(text)),
    format: (address) => (address === 'off' ? 'off' : showAddress(address)),
  })
}

/** Either form; a refusal says why it is neither. */
export function parseAddress(text: string): Address | Because {
  const socket = parseUnix(text)
  if (socket !== undefined) return socket instanceof Because ? socket : { kind: 'unix', path: socket }
  const tcp = parseHostPort(text)
  return tcp instanceof Because ? tcp : { kind: 'tcp', ...tcp }
}

/** As people write it, for logs and messages. */
export function showAddress(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : showHostPort(address.host, address.port)
}

/** The path of `unix:/path` or `unix:///path`; undefined when the text is no such address. */
function parseUnix(text: string): string | Because | undefined {
  if (!text.startsWith('unix:')) return undefined
  const path = text.slice(5).replace(/^\/\/(?=\/)/, '')
  if (!path.startsWith('/') || path.includes('\0'))
    return new Because('a socket has an absolute path: unix:/run/x.sock')
  // sun_path holds 108 bytes with its end; longer ones are cut or refused by the kernel.
  return Buffer.byteLength(path) > 107 ? new Because('a socket path has at most 107 bytes') : path
}

/** `http://host:port`, `https://...`, `host:port` (http, as Consul's own tools read it) or `unix:/path`. */
export function consulAddress(): Setting<string> {
  return scalar({
    type: 'address',
    expected: 'an address such as http://127.0.0.1:8500, https://consul.example.com:8501 or unix:/run/consul.sock',
    parse: parseConsulAddress,
  })
}

/** The address in one form, without a trailing slash. */
export function parseConsulAddress(text: string): string | Because | undefined {
  const socket = parseUnix(text)
  if (socket !== undefined) return socket instanceof Because ? socket : `unix:${socket}`
  // As host:port it would be a host called `http` and a path: never what was meant.
  if (/^https?(?:\/|:\/(?!\/[^/]))/i.test(text))
    return new Because('write http://host:port, with :// behind the scheme')
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!/^https?:\/\//i.test(full)) return new Because('only http, https and unix are spoken')
  if (!URL.canParse(full)) return undefined
  const url = new URL(full)
  if (url.username !== '' || url.password !== '') return new Because('credentials do not belong into an address')
  if (url.search !== '' || url.hash !== '') return new Because('nothing may follow the path')
  if (!isHost(url.hostname.replace(/^\[|\]$/g, '')) || url.pathname.startsWith('//')) return undefined
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
}

/** A range of addresses: `10.0.0.0/8`, `fd00::/8`, or one address. */
export function cidr(): Setting<string> {
  return scalar({
    type: 'cidr',
    expected: 'a range of IP addresses such as 10.0.0.0/8 or fd00::/8',
    parse(text) {
      const [address = '', prefix, ...more] = text.split('/')
      const family = isIP(address)
      if (family === 0 || address.includes('%') || more.length > 0)
        return new Because(`${address === '' ? 'nothing' : address} is no IP address`)
      const bits = family === 4 ? 32 : 128
      if (prefix === undefined) return `${address}/${String(bits)}`
      if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return new Because(`the prefix is 0 to ${String(bits)}`)
      return `${address}/${String(Number(prefix))}`
    },
  })
}

/** The host of a route: exact, or `*.` and a suffix. Lower case inside, without a trailing dot. */
export function hostPattern(): Setting<string> {
  return scalar({
    type: 'host',
    expected: 'a host such as shop.example.com or *.example.com',
    parse(text) {
      const host = text.toLowerCase().replace(/\.$/, '')
      if (host === '*') return new Because('leave host out for any host')
      if (/^[a-z]+:\/\//.test(host)) return new Because('only the host, without scheme and path')
      if (/^\[.*\]$/.test(host)) return isIPv6(host.slice(1, -1)) ? host : undefined
      if (host.includes('/')) return new Because('the path belongs into path')
      if (/:\d+$/.test(host)) return new Because('ports play no part in routing; leave it out')
      // eslint-disable-next-line no-control-regex -- everything beyond ASCII is what is looked for
      if (/[^\x00-\x7f]/.test(host)) return new Because(`write it as browsers send it: ${asciiHost(host)}`)
      const name = host.startsWith('*.') ? host.slice(2) : host
      if (name.includes('*')) return new Because('a * stands only for the whole first label')
      return isHost(name) && !(host !== name && isIP(name) !== 0) ? host : undefined
    },
  })
}

function asciiHost(host: string): string {
  const url = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : ''
  return url === '' ? 'in its xn-- form' : url
}

/** The path of a route: a prefix that ends on a segment boundary, in the form requests are compared in. */
export function pathPrefix(): Setting<string> {
  return scalar({
    type: 'path',
    expected: 'a path such as /cart',
    parse(text) {
      if (!text.startsWith('/')) return new Because('it begins with /')
      if (/[?#]/.test(text)) return new Because('query and fragment play no part in routing')
      if (text.includes('*')) return new Because('it is a prefix as it is, without *')
      if (!/^[\x21-\x7e]*$/.test(text)) return new Because('write what is not printable ASCII as %XX')
      // Requests are compared in their normal form, so a path in any other form would match none.
      const normal = routingPath(text)
      if (normal === undefined) return new Because('no request gets through with such a path')
      return normal === text ? routePrefix(text) : new Because(`write it as requests are compared: ${normal}`)
    },
  })
}
