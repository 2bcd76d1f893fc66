/**
 * Reads one config entry's JSON field by field, and says of what cannot be used which field it is. Empty values are Consul's
 * way of leaving a field out. Pure; never throws anything but {@link Unusable}.
 */

/** Why an entry cannot be used; the message begins with the field's path. */
export class Unusable extends Error {
  constructor(field: string, why: string) {
    super(`${field} ${why}`)
  }
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

export class EntryFields {
  readonly #path: string
  readonly #values: ReadonlyMap<string, unknown>

  /** `path` names the object for people; empty: the entry itself. Fields that are not in `known` cannot be expressed. */
  constructor(path: string, value: unknown, known: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Unusable(path, 'is no object')
    this.#path = path
    this.#values = new Map(
      Object.entries(value).filter(([name, inner]) => !isEmpty(inner) && !isDefaultPlace(name, inner)),
    )
    for (const name of this.#values.keys())
      if (!known.includes(name)) throw new Unusable(this.path(name), 'is not supported')
  }

  path(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name)
    if (value === undefined || typeof value === 'string') return value
    throw new Unusable(this.path(name), 'is no text')
  }

  flag(name: string): boolean {
    const value = this.#values.get(name) ?? false
    if (typeof value === 'boolean') return value
    throw new Unusable(this.path(name), 'is neither true nor false')
  }

  /** Within bounds; undefined when it is left out or 0. */
  number(name: string, min: number, max: number): number | undefined {
    const value = this.#values.get(name)
    if (value === undefined) return undefined
    if (typeof value === 'number' && value >= min && value <= max) return value
    throw new Unusable(this.path(name), `is no number from ${String(min)} to ${String(max)}`)
  }

  /** A Go duration, or a number of nanoseconds, in ms. */
  durationMs(name: string): number | undefined {
    const value = this.#values.get(name)
    if (value === undefined) return undefined
    const ms = typeof value === 'number' ? value / 1e6 : goDurationMs(value)
    if (ms === undefined || !(ms >= 0) || !Number.isFinite(ms))
      throw new Unusable(this.path(name), 'is no duration such as "15s"')
    return Math.round(ms) === 0 ? undefined : Math.round(ms)
  }

  /** Of at most `most` items. */
  list(name: string, most: number = Infinity): readonly unknown[] {
    const value = this.#values.get(name) ?? []
    if (!Array.isArray(value)) throw new Unusable(this.path(name), 'is no list')
    if (value.length > most)
      throw new Unusable(this.path(name), `are ${String(value.length)}, at most ${String(most)} are taken`)
    return value as unknown[]
  }

  /** The inner object, empty when it is left out. */
  object(name: string, known: readonly string[]): EntryFields {
    return new EntryFields(this.path(name), this.#values.get(name) ?? {}, known)
  }

  entries(name: string): readonly (readonly [string, unknown])[] {
    const value = this.#values.get(name) ?? {}
    if (typeof value === 'object' && !Array.isArray(value)) return Object.entries(value)
    throw new Unusable(this.path(name), 'is no object')
  }
}

/** Zero values mean nothing in these entries; an empty list or object neither. */
function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false || value === 0 || value === '0s')
    return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** Consul writes these into entries by itself, also where there are no namespaces. */
function isDefaultPlace(name: string, value: unknown): boolean {
  return (name === 'Namespace' || name === 'Partition') && value === 'default'
}

function goDurationMs(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(value)) return undefined
  let ms = 0
  for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    ms += Number(amount) * (durationUnits[unit ?? ''] ?? Number.NaN)
  return ms
}
