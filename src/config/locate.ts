/**
 * From a key path to its place in the text, to the value that stands there, and to what the schema says of it. Pure.
 */
import type * as z from 'zod'
import { shapeOf } from './declare.ts'
import type { Shape } from './declare.ts'
import { joinPath } from './read-yaml.ts'
import type { Place, Raw } from './read-yaml.ts'

export type Path = readonly PropertyKey[]

export interface Located {
  readonly place: Place
  /** Undefined when nothing stands there. */
  readonly raw: Raw
  /** True when the path leads to something that is not written. */
  readonly missing: boolean
  /** The path as a person would write it. */
  readonly shown: string
}

/**
 * Follows `path` as far as it is written. Steps that a shorter way of writing left out (a list of one without its
 * brackets, a text for a mapping with one key) are passed over.
 */
export function locate(root: Place, value: Raw, path: Path): Located {
  let place = root
  let raw = value
  let shown = ''
  for (const [depth, key] of path.entries()) {
    const index = typeof key === 'number'
    const child = place.children.get(String(key))
    if (child === undefined) {
      if (index && !place.list) continue
      if (typeof raw === 'string') break
      for (const rest of path.slice(depth)) shown = step(shown, rest)
      return { place, raw: undefined, missing: true, shown }
    }
    raw = childOf(raw, key)
    place = child
    shown = step(shown, key)
  }
  return { place, raw, missing: false, shown }
}

function step(shown: string, key: PropertyKey): string {
  return typeof key === 'number' ? `${shown}[${String(key)}]` : joinPath(shown, String(key))
}

/** One step down; undefined when there is nothing. */
export function childOf(raw: Raw, key: PropertyKey): Raw {
  if (raw === undefined || typeof raw === 'string') return undefined
  if (isList(raw)) return typeof key === 'number' ? raw[key] : undefined
  return Object.hasOwn(raw, key) ? raw[String(key)] : undefined
}

/** Narrows as `Array.isArray` does not for readonly arrays. */
export function isList(raw: Raw): raw is readonly Raw[] {
  return Array.isArray(raw)
}

/** What the schema says of the setting at `path`; undefined beyond what it knows. */
export function shapeAt(schema: z.ZodType, path: Path): Exclude<Shape, { kind: 'setting' }> | undefined {
  let shape = bare(schema)
  for (const key of path) {
    if (shape?.kind === 'section') shape = bare(shape.keys.get(String(key)))
    else if (shape?.kind === 'list') shape = bare(shape.item)
    else if (shape?.kind === 'named') shape = bare(shape.value)
    else return undefined
  }
  return shape
}

/** The shape behind a setting's default. */
export function bare(schema: z.ZodType | undefined): Exclude<Shape, { kind: 'setting' }> | undefined {
  const shape = schema && shapeOf(schema)
  return shape?.kind === 'setting' ? bare(shape.of) : shape
}
