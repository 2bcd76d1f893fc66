/**
 * The head we send upstream: the request line, Host, the client's lines, and the ones that are ours to write: framing,
 * forwarding, Via, X-Request-Id. One string. Source: RFC 9110 sections 7.2 to 7.6, RFC 7239, RFC 9112 section 6.
 */
import { isIP, isIPv6 } from 'node:net'
import type { Shape } from '../table/plan.ts'
import type { RequestHead } from '../wire/request-head.ts'
import type { ServerConnection } from '../wire/server-connection.ts'
import { isFieldValue, withoutFields } from '../wire/syntax.ts'
import { isStripped, shapeTarget } from './shape.ts'

/** Our name in Via and Proxy-Status. */
export const pseudonym = 'fairlead'

/** How often our own name may stand in Via before we call it a loop. */
export const viaOccurrencesMax = 3

/** What is the same for every request of a connection. */
export class ForwardingFacts {
  /** The client's address as it goes into X-Forwarded-For. */
  readonly address: string
  /** `for=` of Forwarded: quoted where RFC 7239 wants it. */
  readonly forwardedFor: string
  readonly port: string
  /** The lines for a peer that is not trusted, but for Via; they change only with the host. */
  lines = ''
  /** The host of `lines`. */
  linesHost: string | undefined

  constructor(connection: ServerConnection) {
    this.address = plainAddress(connection.remoteAddress)
    this.port = String(connection.localPort)
    this.forwardedFor = isIPv6(this.address) ? `"[${this.address}]"` : this.address
  }
}

/** Without an IPv6 zone, and as IPv4 where it is an IPv4-mapped address. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%')
  const bare = zone < 0 ? address : address.slice(0, zone)
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare
}

/** A request id we pass on: visible ASCII that no log or header trips over, at most 128 characters. */
export function isSaneRequestId(id: string): boolean {
  return /^[A-Za-z0-9._~:/+=@-]{1,128}$/.test(id)
}

/** True when our own name stands in Via as often as a loop would put it there. */
export function isLoop(via: string): boolean {
  if (via === '') return false
  let count = 0
  for (const hop of via.split(','))
    if (
      hop
        .trim()
        .split(/[ \t]+/)[1]
        ?.toLowerCase() === pseudonym
    )
      count++
  return count >= viaOccurrencesMax
}

/**
 * `upgrade`: the request asks for WebSocket and we pass that on. For a chunked body the framing line and the empty line are
 * left to whoever sends it: they depend on how much of the body is there. `instance` is the `address:port` that `shape` may ask for.
 */
export function upstreamHead(
  head: RequestHead,
  connection: ServerConnection,
  facts: ForwardingFacts,
  requestId: string,
  upgrade: boolean,
  shape?: Shape,
  instance = '',
): string {
  const host = head.host === '' ? authority(connection) : head.host
  let text =
    shape === undefined
      ? head.method + ' ' + head.target + ' HTTP/1.1\r\nHost: ' + host + '\r\n' + head.lines
      : shapedLines(head, shape, host, instance)
  text += connection.trusted ? trustedLines(head, connection, facts, host) : ownLines(facts, host)
  text += head.minor === 1 ? via11 : via10
  text += requestId + '\r\n'
  if (head.contentLength >= 0) text += 'Content-Length: ' + head.contentLength + '\r\n'
  if (upgrade) text += 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
  else if (head.trailers) text += 'Connection: TE\r\nTE: trailers\r\n'
  if (head.expectContinue) text += 'Expect: 100-continue\r\n'
  if (head.maxForwards > 0) text += 'Max-Forwards: ' + (head.maxForwards - 1) + '\r\n'
  return head.chunked ? text : text + '\r\n'
}

/** Request line, Host and the client's lines as a route shapes them. The forwarding lines tell of the client's own host. */
function shapedLines(head: RequestHead, shape: Shape, clientHost: string, instance: string): string {
  const { strip, prepend, request } = shape
  const target = strip === '' && prepend === '' ? head.target : shapeTarget(head.target, strip, prepend)
  const host = shape.hostIsInstance ? instance : (shape.host ?? clientHost)
  const lines = request.drop.size === 0 ? head.lines : withoutFields(head.lines, request.drop)
  const prefix = shape.prefixLine !== '' && isStripped(head.target, strip) ? shape.prefixLine : ''
  return `${head.method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}${request.lines}${prefix}`
}

/**
 * A string of its own, in one piece: a slice would keep the whole head it was cut from alive as long as the connection, and what
 * was put together of pieces is gathered anew each time it is sent.
 */
function copied(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Via, and as far as the value of X-Request-Id. */
const via11 = copied(`Via: 1.1 ${pseudonym}\r\nX-Request-Id: `)
const via10 = copied(`Via: 1.0 ${pseudonym}\r\nX-Request-Id: `)

function ownLines(facts: ForwardingFacts, host: string): string {
  if (facts.linesHost !== host) {
    facts.linesHost = copied(host)
    facts.lines = copied(
      `X-Forwarded-For: ${facts.address}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ${facts.port}\r\n` +
        `X-Real-IP: ${facts.address}\r\nX-Forwarded-Host: ${facts.linesHost}\r\n` +
        `Forwarded: for=${facts.forwardedFor};host="${facts.linesHost}";proto=http\r\n`,
    )
  }
  return facts.lines
}

/** A trusted peer's own words come first, ours are appended (RFC 7239 section 4). */
function trustedLines(head: RequestHead, connection: ServerConnection, facts: ForwardingFacts, host: string): string {
  const chain = head.forwardedFor === '' ? facts.address : withoutZones(head.forwardedFor) + ', ' + facts.address
  const proto = head.forwardedProto.toLowerCase() === 'https' ? 'https' : 'http'
  const forwardedHost = head.forwardedHost !== '' && isFieldValue(head.forwardedHost) ? head.forwardedHost : host
  const port = /^[0-9]{1,5}$/.test(head.forwardedPort) ? head.forwardedPort : facts.port
  const element = 'for=' + facts.forwardedFor + ';host="' + host + '";proto=http'
  return (
    `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\nX-Forwarded-Port: ${port}\r\n` +
    `X-Forwarded-Host: ${forwardedHost}\r\nX-Real-IP: ${head.realIp === '' ? realIp(connection, head, facts) : head.realIp}\r\n` +
    `Forwarded: ${head.forwarded === '' ? element : head.forwarded + ', ' + element}\r\n`
  )
}

/** Whose request it is: the peer's address, or what a trusted peer says of it. */
export function clientAddress(head: RequestHead, connection: ServerConnection, facts: ForwardingFacts): string {
  return connection.trusted ? realIp(connection, head, facts) : facts.address
}

/** The nearest address in the chain that is not a trusted peer's; the farthest where all are. */
function realIp(connection: ServerConnection, head: RequestHead, facts: ForwardingFacts): string {
  let nearest = facts.address
  for (const hop of withoutZones(head.forwardedFor).split(',').reverse()) {
    const address = plainAddress(hop.trim())
    if (isIP(address) === 0) break
    nearest = address
    if (!connection.trusts(address)) break
  }
  return nearest
}

function withoutZones(chain: string): string {
  return chain.includes('%') ? chain.replace(/%[^,\s]*/g, '') : chain
}

function authority(connection: ServerConnection): string {
  const address = plainAddress(connection.localAddress)
  return (isIPv6(address) ? `[${address}]` : address) + ':' + connection.localPort
}
