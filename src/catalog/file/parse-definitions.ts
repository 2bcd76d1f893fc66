/**
 * Consul service definitions as agents read them from files (JSON, or YAML) to instances. Keys are accepted as
 * `CamelCase` or lower case, as an agent does. A bad definition costs only itself. Pure.
 */
import { isList } from '../../config/locate.ts'
import { clip, readYaml } from '../../config/read-yaml.ts'
import type { Place, Raw, ReadText } from '../../config/read-yaml.ts'
import type { Problem } from '../../core/problem.ts'
import type { Instance } from '../snapshot.ts'
import { parseDefinition } from './parse-definition.ts'
import { Fields } from './fields.ts'

export type Definitions =
  | { readonly instances: readonly Instance[]; readonly problems: readonly Problem[]; readonly broken?: undefined }
  /** The text as a whole cannot be used; `broken` says why, with line and column. */
  | { readonly broken: string }

export interface DefinitionsOptions {
  /** Name of the source; part of every instance's key. */
  readonly source: string
  /** Shown in problems. */
  readonly fileName: string
}

/** Never throws. */
export function parseDefinitions(text: string, options: DefinitionsOptions): Definitions {
  const read = readYaml(text)
  const where = (offset: number): string => {
    const { line, column } = read.position(offset)
    return `${options.fileName}:${String(line)}:${String(column)}`
  }
  const first = read.mistakes[0]
  if (first) return { broken: `${where(first.offset)}: ${first.message}` }
  const found = definitionsOf(read)
  if (typeof found === 'string') return { broken: `${where(read.root.start)}: ${found}` }

  const problems: Problem[] = []
  const instances = new Map<string, Instance>()
  for (const { raw, place } of found) {
    const parsed = parseDefinition(new Fields(raw, place), options.source)
    for (const { offset, message } of parsed.faults)
      problems.push({ code: 'bad-definition', where: where(offset), message })
    if (!parsed.instance) continue
    const { service, id } = parsed.instance
    if (instances.has(id)) {
      const message = `another definition has the id "${clip(id)}" already; this one (${clip(service)}) is left out`
      problems.push({ code: 'duplicate-definition', where: where(place.start), message })
    } else instances.set(id, parsed.instance)
  }
  return { instances: [...instances.values()], problems }
}

interface Definition {
  readonly raw: Raw
  readonly place: Place
}

/** `{"services": [...]}`, `{"service": {...}}`, both, a bare list, or one bare definition; or why it is none of these. */
function definitionsOf(read: ReadText): readonly Definition[] | string {
  const { value, root } = read
  const expected = 'expected service definitions: {"services": [...]} or {"service": {...}}'
  // An empty file says that nothing runs; whoever writes it bit by bit is covered by the watch's quiet time.
  if (value === undefined) return 'the file is empty; for no services write {"services": []}'
  if (isList(value)) return itemsOf(value, root)
  if (typeof value === 'string') return `${expected}, found a text`
  const fields = new Fields(value, root)
  const services = fields.take('services')
  const service = fields.take('service')
  if (!services && !service) return fields.take('name') ? [{ raw: value, place: root }] : expected
  const result: Definition[] = []
  if (services?.raw !== undefined) {
    if (!isList(services.raw)) return `${expected}; services is not a list`
    result.push(...itemsOf(services.raw, services.place))
  }
  if (service) result.push(service)
  return result
}

function itemsOf(list: readonly Raw[], place: Place): readonly Definition[] {
  return list.map((raw, index) => ({ raw, place: place.children.get(String(index)) ?? place }))
}
