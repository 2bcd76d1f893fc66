/** The settings that share requests among several services, and that name who stands by. Declared as in `schema.ts`. Pure. */
import { failoverMax, type SplitPart, splitPartsMax, type SplitTarget } from '../policy/traffic.ts'
import { Because, list, mapped, optional, required, section, shorthand } from './declare.ts'
import type { Setting } from './declare.ts'
import { plainText, weight } from './scalars.ts'

const service = optional(
  plainText('the name of a service'),
  'The service; its rules and its own split are not asked.',
  'the service itself, or that of the route',
)
const version = optional(plainText('a version', 128), 'This version of it alone.', 'by its weights')

const partSchema: Setting<SplitPart> = mapped(
  section({ service, version, weight: required(weight(), 'Its weight, on any scale.') }),
  'a weight, with a service, a version or both',
  ({ service: name, version: one, weight: part }): SplitPart =>
    Object.freeze({ service: name, version: one, weight: part }),
)

export const splitSchema: Setting<readonly SplitPart[]> = mapped(
  list(partSchema, 'parts', splitPartsMax),
  'parts of which one at least has a weight above 0',
  (parts): readonly SplitPart[] | Because => {
    const keys = new Set(parts.map(({ service: name = '', version: one = '' }) => `${name}\n${one}`))
    if (keys.size < parts.length) return new Because('a service and version stand there twice')
    if (!parts.some((part) => (part.weight ?? 0) > 0)) return new Because('nothing would get a request')
    return Object.freeze(parts)
  },
)

const targetSchema: Setting<SplitTarget> = mapped(
  shorthand(section({ service, version }), (raw) => (typeof raw === 'string' ? { service: raw } : raw)),
  'a service, a version or both',
  ({ service: name, version: one }): SplitTarget | Because =>
    name === undefined && one === undefined
      ? new Because('it names neither')
      : Object.freeze({ service: name, version: one }),
)

export const failoverSchema: Setting<readonly SplitTarget[]> = mapped(
  list(targetSchema, 'services', failoverMax),
  'services, as texts, or with a version each',
  (targets): readonly SplitTarget[] => Object.freeze(targets),
)
