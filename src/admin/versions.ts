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
  return parsed.settings.versions ?? new Map<string, number>()
}

/** What the weights name that is not registered. */
export interface Unregistered {
  /** Those that are to get something, so that it is hardly meant: a sentence or more; undefined: there are none. */
  readonly refusal: string | undefined
  /** They are hardly meant at all: another service has the name. */
  readonly isService: boolean
  /** A sentence for each. */
  readonly warnings: readonly string[]
}

/** `services`: by name. */
export function unregistered(
  { groups, table }: BoundService,
  versions: ReadonlyMap<string, number>,
  services: Pick<ReadonlyMap<string, unknown>, 'has'>,
): Unregistered {
  const registered = new Set(groups.map(({ version }) => version))
  const unknown = [...versions.keys()].filter((version) => version !== '*' && !registered.has(version))
  // One that is to get nothing may be named before it comes.
  const missed = unknown.filter((version) => versions.get(version) !== 0)
  const warnings = unknown.map((version) => `No instance of version ${version} is registered.`)
  if (missed.length === 0) return { refusal: undefined, isService: false, warnings }
  const other = missed.find((version) => services.has(version))
  if (other !== undefined) {
    const refusal =
      `${other} is a service and no version of ${table.name}: these are weights of its versions alone. What several services ` +
      `share is split: of the route or service, in the configuration file or as settings of services/${table.name} in the KV.`
    return { refusal, isService: true, warnings }
  }
  registered.delete('')
  const near = missed.flatMap((version) => nearest(version, registered) ?? [])
  const help = near.length > 0 ? ` Did you mean ${near.join(', ')}?` : ''
  const there = registered.size > 0 ? ` There is ${[...registered].join(', ')}.` : ''
  return {
    isService: false,
    refusal: `No instance of version ${missed.join(', ')} is registered.${help}${there}`,
    warnings,
  }
}

/** Weights by version are the whole word where a weaker place says a split among several services. */
export const endOfSplit =
  'Weights by version end the split among several services that is in force: this service gets it all.'
