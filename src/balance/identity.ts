/**
 * What balancing and affinity know an instance by: hashes of who and where it is, as the catalog says. How this proxy names its
 * catalog sources does not count, so that every proxy and every restart has the same. Part of the contract, as the hash itself is.
 */
import type { Endpoint } from '../table/table.ts'
import { hashText } from './rendezvous.ts'

type Identity = Pick<Endpoint, 'service' | 'id' | 'address' | 'port'>

const textOf = ({ service, id, address, port }: Identity): string => [service, id, address, String(port)].join('\u001f')

/** 0 to 2^32 - 1; the seed of a candidate in `balance/hash.ts`. */
export function identityHash(endpoint: Identity): number {
  return hashText(textOf(endpoint), 0)
}

/** Hexadecimal digits of a token that its service has; the rest is the instance. */
export const serviceDigits = 8

/**
 * What an affinity cookie calls it: 24 hexadecimal digits, of other hashes than {@link identityHash}; instances of one service
 * share the first {@link serviceDigits}. Tells no address.
 */
export function affinityToken(endpoint: Identity): string {
  const text = textOf(endpoint)
  return hex(hashText(endpoint.service, 0x2545f491)) + hex(hashText(text, 0x9e3779b9)) + hex(hashText(text, 0x7f4a7c15))
}

const hex = (hash: number): string => hash.toString(16).padStart(8, '0')
