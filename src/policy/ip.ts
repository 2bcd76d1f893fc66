/**
 * IP addresses as bytes, and ranges of them. Pure, without Node, so that a table can be built anywhere. Host names are not
 * looked up.
 */

/** 4 or 16 bytes. */
export type Ip = readonly number[]

export interface IpRange {
  readonly ip: Ip
  readonly bits: number
}

function parseIPv4(text: string): Ip | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return parts.map(Number)
}

function parseIPv6(text: string): Ip | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => bytesOf(half))
  if (!head || (halves.length === 2 && !tail)) return undefined
  if (!tail) return head.length === 16 ? head : undefined
  const missing = 16 - head.length - tail.length
  return missing >= 2 ? [...head, ...Array.from({ length: missing }, () => 0), ...tail] : undefined
}

/** Groups between colons, the last of which may be an IPv4 address. */
function bytesOf(half: string): Ip | undefined {
  const bytes: number[] = []
  if (half === '') return bytes
  for (const group of half.split(':')) {
    const inner = group.includes('.') ? parseIPv4(group) : undefined
    if (inner) bytes.push(...inner)
    else if (/^[0-9a-f]{1,4}$/i.test(group))
      bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff)
    else return undefined
  }
  return bytes
}

/** IPv4-mapped (RFC 4291 section 2.5.5.2), and the well-known prefix of NAT64 (RFC 6052 section 2.1). */
const wrappers: readonly Ip[] = [
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
  [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
]

/** Undefined for what is no IP address. A zone (`%eth0`) is left out; an IPv4 address inside IPv6 (`::ffff:1.2.3.4`, `64:ff9b::1.2.3.4`) is itself. */
export function parseIp(text: string): Ip | undefined {
  const ip = text.includes(':') ? parseIPv6(text.replace(/%.*$/, '')) : parseIPv4(text)
  if (ip?.length !== 16) return ip
  return wrappers.some((prefix) => prefix.every((byte, at) => ip[at] === byte)) ? ip.slice(12) : ip
}

/** `10.0.0.0/8`, `fd00::/8` or one address; undefined for what is none. */
export function parseRange(text: string): IpRange | undefined {
  const [address = '', prefix, ...more] = text.split('/')
  const ip = parseIp(address)
  if (!ip || more.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return undefined
  const full = address.includes(':') ? 128 : 32
  const given = prefix === undefined ? full : Number(prefix)
  // The prefix of a range inside ::ffff:0:0/96 counts from the front of the long form.
  const bits = given - full + ip.length * 8
  return given <= full && bits >= 0 ? { ip, bits } : undefined
}

export function isWithin(ip: Ip, range: IpRange): boolean {
  if (ip.length !== range.ip.length) return false
  const whole = range.bits >> 3
  for (let at = 0; at < whole; at++) if (ip[at] !== range.ip[at]) return false
  const rest = range.bits & 7
  if (rest === 0) return true
  const mask = (0xff << (8 - rest)) & 0xff
  return ((ip[whole] ?? 0) & mask) === ((range.ip[whole] ?? 0) & mask)
}

export function isSameIp(a: Ip, b: Ip): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
