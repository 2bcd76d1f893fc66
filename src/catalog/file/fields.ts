/**
 * Reads the keys of one definition whatever their case: `Name`, `name` and `NAME` are one key to a Consul agent. None of
 * those that matter here has two words, so `snake_case` and `CamelCase` need no more. Pure.
 */
import { isList } from '../../config/locate.ts'
import type { Place, Raw } from '../../config/read-yaml.ts'

export interface Field {
  readonly key: string
  readonly raw: Raw
  readonly place: Place
}

export class Fields {
  readonly place: Place
  /** False when it is a text or a list, which has no fields. */
  readonly isMapping: boolean
  readonly #byName = new Map<string, Field>()

  constructor(raw: Raw, place: Place) {
    this.place = place
    this.isMapping = typeof raw === 'object' && !isList(raw)
    if (typeof raw !== 'object' || isList(raw)) return
    for (const [key, value] of Object.entries(raw)) {
      const name = key.toLowerCase()
      const at = place.children.get(key)
      if (at && !this.#byName.has(name)) this.#byName.set(name, { key, raw: value, place: at })
    }
  }

  /** The field of that lower-case name; undefined when it is absent or has nothing behind it (JSON's null too). */
  take(name: string): Field | undefined {
    const field = this.#byName.get(name)
    return field?.raw === undefined || field.raw === 'null' ? undefined : field
  }
}
