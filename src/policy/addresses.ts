/**
 * Which addresses must not be routed to, whatever a catalog says: those that lead nowhere or to the network itself, those
 * of this proxy and of its catalog, and those outside the ranges that the configuration allows. Whoever may register could
 * otherwise reach through the proxy what only its machine can reach. Pure; host names are not looked up.
 */
import { type Ip, type IpRange, isSameIp, isWithin, parseIp, parseRange } from './ip.ts'

/** Why an instance at this address and port gets no traffic, to follow "its address …"; undefined: it may. */
export type AddressCheck = (address: string, port: number) => string | undefined

/** A socket that must not be routed to. */
export interface ReservedSocket {
  /** An IP literal, or a host name, which then is compared as it is; `0.0.0.0` and `::` are every local address. */
  readonly host: string
  readonly port: number
  /** Such as `the listener edge`. */
  readonly what: string
}

export interface AddressRules {
  /** CIDR ranges; undefined: all. With them, host names are refused, since nobody knows where they lead. */
  readonly allowed: readonly string[] | undefined
  readonly reserved: readonly ReservedSocket[]
  /** The addresses of this machine's interfaces. */
  readonly local: readonly string[]
}

/** Never, even where a range allows them: connecting there means something else than it seems, or nothing. */
const denied = [
  ['0.0.0.0/8', 'it is no host (0.0.0.0/8)'],
  ['::/128', 'it is no host (::)'],
  ['169.254.0.0/16', 'it is link-local (169.254.0.0/16, where clouds keep their machines’ secrets)'],
  ['fe80::/10', 'it is link-local (fe80::/10)'],
  ['224.0.0.0/4', 'it is multicast'],
  ['ff00::/8', 'it is multicast'],
  ['255.255.255.255/32', 'it is broadcast'],
].flatMap(([text = '', why = '']) => {
  const range = parseRange(text)
  return range ? [{ range, why }] : []
})

const loopback = rangesOf(['127.0.0.0/8', '::1'])

interface Reserved {
  readonly ips: readonly Ip[]
  readonly name: string
  readonly everyLocal: boolean
  readonly port: number
  readonly what: string
}

function rangesOf(texts: readonly string[]): readonly IpRange[] {
  return texts.map((text) => parseRange(text)).filter((range) => range !== undefined)
}

function isAmong(ips: readonly Ip[], ranges: readonly IpRange[]): boolean {
  return ips.some((ip) => ranges.some((range) => isWithin(ip, range)))
}

/** `localhost` is either of two, whatever a hosts file says. */
function ipsOf(name: string): readonly Ip[] {
  const texts = name === 'localhost' ? ['127.0.0.1', '::1'] : [name]
  return texts.map((text) => parseIp(text)).filter((ip) => ip !== undefined)
}

function reserve({ host, port, what }: ReservedSocket): Reserved {
  const name = host.toLowerCase().replace(/\.$/, '')
  const everyLocal = name === '0.0.0.0' || name === '::'
  return { ips: ipsOf(name), name, everyLocal, port, what }
}

/** The check that these rules make. Costs a few comparisons per address. */
export function createAddressCheck(rules: AddressRules): AddressCheck {
  const allowed = rules.allowed && rangesOf(rules.allowed)
  const reserved = rules.reserved.map(reserve)
  const local = [...loopback, ...rangesOf(rules.local)]

  return (address, port) => {
    const name = address.toLowerCase().replace(/\.$/, '')
    const ips = ipsOf(name)
    for (const ip of ips) for (const { range, why } of denied) if (isWithin(ip, range)) return why
    for (const one of reserved) {
      if (one.port !== port) continue
      const same = one.name === name || ips.some((ip) => one.ips.some((other) => isSameIp(ip, other)))
      if (same || (one.everyLocal && isAmong(ips, local))) return `it is that of ${one.what}`
    }
    if (!allowed) return undefined
    if (ips.length === 0) return 'it is a host name, and policy.addresses allows IP addresses only'
    return isAmong(ips, allowed) ? undefined : 'policy.addresses does not allow it'
  }
}

/** What holds without any rules: only what leads nowhere is refused. */
export const defaultAddressCheck: AddressCheck = createAddressCheck({ allowed: undefined, reserved: [], local: [] })
