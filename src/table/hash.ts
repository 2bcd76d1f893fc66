/**
 * A stable hash for short names that people see. Not for anything an attacker gains from colliding: collisions cost a
 * longer name, nothing else.
 */

function fnv1a(text: string, start: number): number {
  let hash = start
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    hash = Math.imul(hash ^ (code & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (code >>> 8), 0x01000193)
  }
  // FNV's last bytes reach the high bits poorly; one round of mixing (murmur3's) mends that.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** 16 lower-case hex digits of `text` (two FNV-1a of 32 bit over its UTF-16 bytes); the first 8 are a hash by themselves. */
export function hashHex(text: string): string {
  const high = fnv1a(text, 0x811c9dc5 | 0)
  const low = fnv1a(text, 0x050c5d1f)
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
}
