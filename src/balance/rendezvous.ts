/**
 * Weighted rendezvous hashing: each candidate scores a key by a hash of both, and the highest score wins. No state; raising a
 * candidate's weight moves keys only to it, and lowering it only away from it, whatever the number of candidates.
 * The hash and the score are part of the contract: every proxy and every release must agree on them.
 * Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); weights by Schindelhauer and
 * Schomaker's logarithmic method (2005).
 */

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

function scramble(block: number): number {
  const product = Math.imul(block, C1)
  return Math.imul((product << 15) | (product >>> 17), C2)
}

/**
 * MurmurHash3_x86_32 (Appleby, public domain) of the low bytes of the text's UTF-16 units, 0 to 2^32 - 1. Texts off the wire
 * are latin1, so these are their bytes.
 */
export function hashText(text: string, seed: number): number {
  let hash = seed | 0
  const whole = text.length & ~3
  for (let i = 0; i < whole; i += 4) {
    const block =
      (text.charCodeAt(i) & 0xff) |
      ((text.charCodeAt(i + 1) & 0xff) << 8) |
      ((text.charCodeAt(i + 2) & 0xff) << 16) |
      ((text.charCodeAt(i + 3) & 0xff) << 24)
    hash ^= scramble(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let i = text.length - 1; i >= whole; i--) tail = (tail << 8) | (text.charCodeAt(i) & 0xff)
  if (whole < text.length) hash ^= scramble(tail)
  return mix(hash ^ text.length)
}

/** Murmur3's last step: every bit of the input moves half of the output's. 0 to 2^32 - 1. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The score of a candidate of this weight (above 0) to which the key hashes so (0 to 2^32 - 1); the highest wins. */
export function rank(hash: number, weight: number): number {
  return weight / -Math.log((hash + 0.5) / 4_294_967_296)
}

/**
 * The hash of `key` for the candidate whose own name hashes to `seed` (`hashText(name, 0)`). Mixed again, since with one key
 * and many seeds the last block alone would tell candidates apart.
 */
export function pairHash(key: string, seed: number): number {
  return mix(hashText(key, seed) ^ seed)
}

/** As {@link pairHash}, of a key that was hashed once for all candidates: a pick among many only mixes. Other hashes than there. */
export function mixedHash(keyHash: number, seed: number): number {
  return mix(keyHash ^ seed)
}
