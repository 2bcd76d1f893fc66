/**
 * What balancing and affinity know an instance by: hashes of who and where it is, as the catalog says. How this proxy names its
 * catalog sources does not count, so that every proxy has the same. Part of the contract, as the hash itself is.
 */
import type { Endpoint } from '../table/table.ts'
import { hashText } from './rendezvous.ts'

type Identity = Pick<Endpoint, 'service' | 'id' | 'address' | 'port'>

const textOf = ({ service, id, address, port }: Identity): string => [service, id, address, String(port)].join('\u001f')

/** 0 to 2^32 - 1; the seed of a candidate in `balance/hash.ts`. */
export function identityHash(endpoint: Identity): number {
  return hashText(textOf(endpoint), 0)
}

/** What an affinity cookie says: 16 hexadecimal digits, of other hashes than {@link identityHash}. Tells no address. */
export function affinityToken(endpoint: Identity): string {
  const text = textOf(endpoint)
  return hex(hashText(text, 0x9e3779b9)) + hex(hashText(text, 0x7f4a7c15))
}

const hex = (hash: number): string => hash.toString(16).padStart(8, '0')
