/**
 * A UUID out of the injected chance. It names things; it is no secret.
 */
import type { Random } from '../../core/random.ts'

/** A version 4 UUID in lower case. */
export function uuid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16))
  hex[12] = 4
  hex[16] = 8 + ((hex[16] ?? 0) % 4)
  const digits = hex.map((digit) => digit.toString(16)).join('')
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => digits.slice(from, to))
    .join('-')
}
