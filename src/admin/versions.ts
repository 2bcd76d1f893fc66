/** Weights by version as a client asks for them: read strictly, and what there is to say of them before they are set. Pure. */
import { nearest } from '../config/nearest.ts'
import { parseServiceSettings } from '../config/parse-settings.ts'
import type { BoundService } from '../live/runtime.ts'
import { isObject } from './asked.ts'

/** Weights as a client writes them, or a sentence about what is wrong with them. */
export function readVersions(raw: unknown): ReadonlyMap<string, number> | string {
  if (!isObject(raw) || Object.keys(raw).length === 0)
    return 'versions is an object of weights by version, such as {"9.8.0": 10}.'
  const parsed = parseServiceSettings({ versions: raw })
  if (parsed.kind === 'bad') return parsed.messages.join('; ')
  const versions = parsed.settings.versions ?? new Map<string, number>()
  const total = [...versions.values()].reduce((sum, weight) => sum + weight, 0)
  return total > 0 ? versions : 'Every weight is zero, so that nothing would get a request.'
}

/** What the weights name that is not registered. */
export interface Unregistered {
  /** Those that are to get something, so that it is hardly meant: a sentence or more; undefined: there are none. */
  readonly refusal: string | undefined
  /** A sentence for each. */
  readonly warnings: readonly string[]
}

export function unregistered({ groups }: BoundService, versions: ReadonlyMap<string, number>): Unregistered {
  const registered = new Set(groups.map(({ version }) => version))
  const unknown = [...versions.keys()].filter((version) => version !== '*' && !registered.has(version))
  // One that is to get nothing may be named before it comes.
  const missed = unknown.filter((version) => versions.get(version) !== 0)
  const warnings = unknown.map((version) => `No instance of version ${version} is registered.`)
  if (missed.length === 0) return { refusal: undefined, warnings }
  registered.delete('')
  const near = missed.flatMap((version) => nearest(version, registered) ?? [])
  const help = near.length > 0 ? ` Did you mean ${near.join(', ')}?` : ''
  const there = registered.size > 0 ? ` There is ${[...registered].join(', ')}.` : ''
  return { refusal: `No instance of version ${missed.join(', ')} is registered.${help}${there}`, warnings }
}

/** Weights by version are the whole word where a weaker place says a split among several services. */
export const endOfSplit =
  'Weights by version end the split among several services that is in force: this service gets it all.'
