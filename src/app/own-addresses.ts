/**
 * The addresses of this proxy and of its catalogs, which no instance may have: found in the configuration, and in what is
 * open where that left the choice to the system. It refuses nothing itself.
 */
import { networkInterfaces } from 'node:os'
import type { Address, Config } from '../config/config.ts'
import { type AddressCheck, createAddressCheck, type ReservedSocket } from '../policy/addresses.ts'
import type { ListenerAddress } from '../proxy/options.ts'

/** What is open. */
export interface OpenSockets {
  readonly listeners: readonly ListenerAddress[]
  /** `host:port` as people write it; anything else has no port. */
  readonly status: string | undefined
  readonly admin: string | undefined
  /** URLs of the catalogs' APIs; undefined: not known, or none. */
  readonly catalogs: readonly (string | undefined)[]
}

export interface OwnAddresses {
  /** The same function while nothing differs, so that nothing is read again for it. */
  check(config: Config, open: OpenSockets): AddressCheck
}

export function createOwnAddresses(
  interfaces: () => readonly string[] = () =>
    Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []),
): OwnAddresses {
  let last: { readonly key: string; readonly check: AddressCheck } | undefined
  return {
    check: (config, open) => {
      const rules = { allowed: config.addresses, reserved: reservedSockets(config, open), local: interfaces() }
      const key = JSON.stringify(rules)
      if (last?.key !== key) last = { key, check: createAddressCheck(rules) }
      return last.check
    },
  }
}

/** Each once; without port 0, which is none. */
export function reservedSockets(config: Config, open: OpenSockets): readonly ReservedSocket[] {
  const found: ReservedSocket[] = []
  for (const { name, host, port } of [...config.listen, ...open.listeners])
    found.push({ host, port, what: `the listener ${name}` })
  const doors = [
    ['the status pages', config.status, open.status],
    ['the admin address', config.admin, open.admin],
  ] as const
  for (const [what, address, shown] of doors) found.push(...doorSockets(what, address, shown))
  for (const catalog of config.catalog) {
    const what = `the catalog ${catalog.name}`
    if (catalog.kind === 'consul') found.push(...urlSocket(what, catalog.address))
    else if (catalog.kind === 'embedded') found.push({ ...catalog.address, what })
  }
  for (const url of open.catalogs) if (url !== undefined) found.push(...urlSocket('a catalog', url))
  const seen = new Set<string>()
  return found.filter(({ host, port }) => {
    const key = `${host} ${port}`
    return port !== 0 && !seen.has(key) && seen.add(key)
  })
}

function doorSockets(what: string, address: Address | undefined, shown: string | undefined): readonly ReservedSocket[] {
  if (address?.kind !== 'tcp') return []
  const port = address.port === 0 ? Number(shown?.split(':').at(-1)) : address.port
  return Number.isInteger(port) ? [{ host: address.host, port, what }] : []
}

function urlSocket(what: string, address: string): readonly ReservedSocket[] {
  if (!URL.canParse(address)) return []
  const { protocol, hostname, port } = new URL(address)
  if (protocol !== 'http:' && protocol !== 'https:') return []
  const host = hostname.replace(/^\[|\]$/g, '')
  return [{ host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), what }]
}
