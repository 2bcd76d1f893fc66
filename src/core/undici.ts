/**
 * The HTTP client undici, loaded by its first user: a proxy without Consul never needs it, and the 6 MB and 50 ms stay unspent.
 */
import { createRequire } from 'node:module'
import type * as Undici from 'undici'

const require = createRequire(import.meta.url)

/** Loads it the first time; later calls cost nothing. */
export const undici = (): typeof Undici => require('undici') as typeof Undici
