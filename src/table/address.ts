/**
 * Whether a catalog's address can be connected to at all: an IPv4 or IPv6 literal, or something that may be a host name
 * (RFC 1123 section 2.1, with the underscore that real networks use). Resolves nothing.
 */

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){4}$/
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i

function isIPv4(text: string): boolean {
  return ipv4.test(text) && !text.endsWith('.')
}

/** RFC 4291 section 2.2, with an optional zone (`fe80::1%eth0`). */
function isIPv6(text: string): boolean {
  const percent = text.indexOf('%')
  if (percent >= 0 && !/^[\w.-]+$/.test(text.slice(percent + 1))) return false
  const address = percent < 0 ? text : text.slice(0, percent)
  const halves = address.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const last = groups.at(-1)
  let count = groups.length
  if (last?.includes('.')) {
    if (!isIPv4(last) || address.endsWith('::')) return false
    groups.pop()
    count++
  }
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  return halves.length === 2 ? count <= 7 : count === 8
}

function isHostName(text: string): boolean {
  if (text.length > 253) return false
  const labels = text.split('.')
  if (labels.length > 1 && labels.at(-1) === '') labels.pop()
  // A last label that is a number is an IPv4 address in a spelling of its own, not a name (RFC 3696 section 2): resolvers
  // take 0x7f000001 and 127.0.0.0x1 for one.
  return labels.every((part) => label.test(part)) && !/^(?:\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? '')
}

/** True when `text` is an IP literal (IPv6 without brackets) or may be a host name. */
export function isPlausibleAddress(text: string): boolean {
  return text.includes(':') ? isIPv6(text) : isIPv4(text) || isHostName(text)
}
