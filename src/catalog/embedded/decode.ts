/**
 * Reads request bodies the way Consul does: keys in any case and with underscores too, unknown ones refused, wrong types
 * refused with Go's words (`json: cannot unmarshal number into Go struct field .Name of type string`).
 * Owns the JSON border: nothing behind it sees an unchecked value.
 */
import { parseGoDuration } from './duration.ts'
import { Refusal } from './reply.ts'

const PREFIX = 'Request decode failed: '

/** One JSON object whose keys are asked for by name. */
export class Fields {
  readonly #values = new Map<string, unknown>()

  /** `known` lists every key that may be there, in Consul's spelling; another one is refused. */
  constructor(value: object, known: readonly string[]) {
    const allowed = new Set(known.map(normal))
    for (const [key, member] of Object.entries(value)) {
      if (!allowed.has(normal(key))) throw new Refusal(400, `${PREFIX}json: unknown field ${JSON.stringify(key)}`)
      if (member !== null) this.#values.set(normal(key), member)
    }
  }

  has(name: string): boolean {
    return this.#values.has(normal(name))
  }

  string(name: string): string {
    const value = this.#values.get(normal(name))
    if (value === undefined) return ''
    if (typeof value === 'string') return value
    throw mismatch(value, name, 'string')
  }

  boolean(name: string): boolean {
    const value = this.#values.get(normal(name))
    if (value === undefined) return false
    if (typeof value === 'boolean') return value
    throw mismatch(value, name, 'bool')
  }

  /** An integer, `fallback` if absent. */
  integer(name: string, fallback: number = 0): number {
    const value = this.#values.get(normal(name))
    if (value === undefined) return fallback
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value
    throw mismatch(value, name, 'int')
  }

  strings(name: string): string[] {
    return this.list(name).map((item) => {
      if (typeof item === 'string') return item
      throw mismatch(item, name, 'string')
    })
  }

  list(name: string): unknown[] {
    const value = this.#values.get(normal(name))
    if (value === undefined) return []
    if (Array.isArray(value)) return value as unknown[]
    throw mismatch(value, name, '[]string')
  }

  /** Undefined if absent or null. */
  object(name: string): object | undefined {
    const value = this.#values.get(normal(name))
    if (value === undefined) return undefined
    if (isObject(value)) return value
    throw mismatch(value, name, 'map')
  }

  stringMap(name: string): Record<string, string> {
    const map: Record<string, string> = Object.create(null) as Record<string, string>
    for (const [key, value] of Object.entries(this.object(name) ?? {})) {
      if (typeof value !== 'string') throw mismatch(value, name, 'string')
      map[key] = value
    }
    return map
  }

  /** In ms: a Go duration, or a number of nanoseconds. 0 if absent. */
  duration(name: string): number {
    const value = this.#values.get(normal(name))
    if (value === undefined || value === '') return 0
    if (typeof value === 'number') return value / 1e6
    if (typeof value !== 'string') throw mismatch(value, name, 'time.Duration')
    const ms = parseGoDuration(value)
    if (ms === undefined) throw new Refusal(400, `${PREFIX}time: invalid duration ${JSON.stringify(value)}`)
    return ms
  }
}

/** The body as one JSON object. Throws a 400 Refusal. */
export function parseObject(body: Buffer): object {
  const source = body.toString('utf8')
  if (source.trim() === '') throw new Refusal(400, `${PREFIX}EOF`)
  let value: unknown
  try {
    value = JSON.parse(source)
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const position = Number(/at position (\d+)/.exec(message)?.[1] ?? 0)
    const cut = /end of JSON|Unterminated/.test(message) || position >= source.length
    throw new Refusal(400, PREFIX + (cut ? 'unexpected EOF' : `invalid JSON: ${message}`))
  }
  if (!isObject(value))
    throw new Refusal(400, `${PREFIX}json: cannot unmarshal ${goKind(value)} into Go value of type object`)
  return value
}

export function asObject(value: unknown, name: string): object {
  if (isObject(value)) return value
  throw mismatch(value, name, 'object')
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function normal(key: string): string {
  return key.replaceAll(/[_-]/g, '').toLowerCase()
}

function goKind(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function mismatch(value: unknown, name: string, wanted: string): Refusal {
  return new Refusal(
    400,
    `${PREFIX}json: cannot unmarshal ${goKind(value)} into Go struct field .${name} of type ${wanted}`,
  )
}
