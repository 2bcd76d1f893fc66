/**
 * Values of JSON, in the form that schemas read (see `read-yaml.ts`): every scalar as the text that stands there, each with its
 * path. Documents come from whoever may write the KV: it looks at each value once and goes no deeper than settings do. Pure.
 */
import { clip, hostileKeys, joinPath, maxDepth } from './read-yaml.ts'
import type { Mistake, Place, Raw, ReadText } from './read-yaml.ts'

const start = { line: 1, column: 1 }

/** `json`: as `JSON.parse` gave it. Never throws. No value has a place in a text, only in its parents. */
export function readJson(json: unknown): ReadText {
  const mistakes: Mistake[] = []
  const { value, place } = convert(json, '', 0, mistakes)
  return { value, root: place, mistakes, position: () => start }
}

interface Converted {
  readonly value: Raw
  readonly place: Place
}

const nowhere: Place = Object.freeze({ start: 0, end: 0, key: 0, list: false, children: new Map<string, Place>() })

function convert(json: unknown, path: string, depth: number, mistakes: Mistake[]): Converted {
  if (typeof json !== 'object' || json === null) return { value: String(json), place: nowhere }
  if (depth > maxDepth) {
    mistakes.push({ offset: 0, path: clip(path), message: `nested more than ${String(maxDepth)} levels deep` })
    return { value: undefined, place: nowhere }
  }
  const children = new Map<string, Place>()
  if (Array.isArray(json)) {
    const items = (json as readonly unknown[]).map((item, index) => {
      const child = convert(item, `${path}[${String(index)}]`, depth + 1, mistakes)
      children.set(String(index), child.place)
      return child.value
    })
    return { value: items, place: { ...nowhere, list: true, children } }
  }
  const value: Record<string, Raw> = Object.create(null) as Record<string, Raw>
  for (const [key, item] of Object.entries(json)) {
    const shown = joinPath(path, key)
    if (hostileKeys.has(key)) {
      mistakes.push({ offset: 0, path: shown, message: `"${key}" cannot be used as a name` })
      continue
    }
    const child = convert(item, shown, depth + 1, mistakes)
    children.set(key, child.place)
    value[key] = child.value
  }
  return { value, place: { ...nowhere, children } }
}
