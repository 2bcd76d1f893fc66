/**
 * The HTTP client undici, loaded by its first user: a proxy without Consul never needs it, and the 6 MB and 50 ms stay unspent.
 */
import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import type * as Undici from 'undici'

const require = createRequire(import.meta.url)
let loaded: typeof Undici | undefined

/** Loads it the first time; later calls cost nothing. */
export const undici = (): typeof Undici => (loaded ??= load())

function load(): typeof Undici {
  // Its parser is one huge function in WebAssembly, which nothing else here uses. To optimize it, V8 takes 12 MiB and keeps
  // them; as first compiled it is fast enough for what Consul sends.
  setFlagsFromString('--no-wasm-tier-up')
  setFlagsFromString('--no-wasm-dynamic-tiering')
  return require('undici') as typeof Undici
}
