/** The version of this package, from its package.json, which lies two folders up from here in the sources and in the build. */
import { readFileSync } from 'node:fs'

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version?: unknown }
  return typeof version === 'string' ? version : 'unknown'
}

export const packageVersion: string = readVersion()
