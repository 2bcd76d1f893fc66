/**
 * YAML 1.2 (so JSON too) to plain values in which no scalar has changed: every one is the string that was written, and
 * each knows its place. Only schemas convert: `9.10`, `4821e57` and `007` stay versions. Bounded in size, depth and
 * what aliases may unfold to; hostile keys never reach an object. Pure.
 */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'

/** A value as written. Undefined stands for a key with nothing behind it. Mappings have no prototype. */
export type Raw = string | undefined | readonly Raw[] | { readonly [key: string]: Raw }

/** Where a value stands in the text, as offsets, and where its children do. */
export interface Place {
  readonly start: number
  readonly end: number
  /** Offset of its key; its own start when it has none. */
  readonly key: number
  readonly list: boolean
  /** By key, or by index as a string. */
  readonly children: ReadonlyMap<string, Place>
}

/** Something that makes the text unusable, whatever it is meant for. */
export interface Mistake {
  readonly offset: number
  /** Key path, for a person; '' where none is known. */
  readonly path: string
  readonly message: string
}

export interface ReadText {
  readonly value: Raw
  readonly root: Place
  readonly mistakes: readonly Mistake[]
  /** Line and column of an offset, both from 1. */
  position(offset: number): { readonly line: number; readonly column: number }
}

/** Changes a scalar, or says in one sentence why it cannot. */
export type ScalarFilter = (text: string) => { readonly text: string } | { readonly refused: string }

export const maxTextLength: number = 1_048_576
/** Levels of nesting. */
export const maxDepth = 32
const tooDeep = 'nested too deeply to be read'
const maxNodes = 200_000
/** No mapping has them: they would reach what all objects share. */
export const hostileKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

const empty: ReadonlyMap<string, Place> = new Map()
const keepText: ScalarFilter = (text) => ({ text })

/** Never throws. `filter` sees every scalar value (not keys), once parsing is done. */
export function readYaml(text: string, filter: ScalarFilter = keepText): ReadText {
  if (text.length > maxTextLength)
    return unusable(`the text is longer than ${String(maxTextLength)} characters, which is the most that is read`)
  const lines = new LineCounter()
  let document: Document.Parsed
  try {
    document = parseDocument(text, {
      schema: 'failsafe',
      version: '1.2',
      lineCounter: lines,
      prettyErrors: false,
      // Theirs compares each key with all others; `convertMap` does it in linear time.
      uniqueKeys: false,
    })
  } catch (error) {
    if (error instanceof RangeError) return unusable(tooDeep)
    throw error
  }
  const position: ReadText['position'] = (offset) => {
    const { line, col } = lines.linePos(Math.min(offset, text.length))
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const syntax = [...document.errors, ...document.warnings].map((error): Mistake => ({
    offset: error.pos[0],
    path: '',
    message: syntaxMessage(error.code, error.message),
  }))
  if (syntax.length > 0) return { value: undefined, root: nowhere, mistakes: firstPerLine(syntax, position), position }
  const reader = new Reader(filter)
  const { value, place } = reader.convert(document.contents, '', 0, 0)
  return { value, root: place, mistakes: reader.mistakes, position }
}

const nowhere: Place = { start: 0, end: 0, key: 0, list: false, children: empty }

function unusable(message: string): ReadText {
  return {
    value: undefined,
    root: nowhere,
    mistakes: [{ offset: 0, path: '', message }],
    position: () => ({ line: 1, column: 1 }),
  }
}

/** One broken line makes the parser complain several times; the first complaint is the useful one. */
function firstPerLine(mistakes: readonly Mistake[], position: ReadText['position']): readonly Mistake[] {
  const byLine = new Map<number, Mistake>()
  for (const mistake of mistakes.toSorted((a, b) => a.offset - b.offset)) {
    const { line } = position(mistake.offset)
    if (!byLine.has(line)) byLine.set(line, mistake)
  }
  return [...byLine.values()]
}

/** The library's sentence without the piece of source it may quote: that could be a secret. */
function syntaxMessage(code: string, message: string): string {
  if (code === 'TAG_RESOLVE_FAILED') return 'YAML tags are not supported: write the plain value'
  if (code === 'MULTIPLE_DOCS') return 'only one YAML document is read; remove what follows the second "---"'
  if (/call stack|stack overflow/i.test(message)) return tooDeep
  if (code === 'BAD_DIRECTIVE') return 'YAML: this directive is not known; quote a text that begins with %'
  return `YAML: ${message.replace(/:.*$/s, '')}`
}

interface Converted {
  readonly value: Raw
  readonly place: Place
}

/** Walks the parsed document once; aliases are followed, so what it visits is what they unfold to. */
class Reader {
  readonly mistakes: Mistake[] = []
  /** Filled in the order of the text, in which an anchor stands before its aliases. Theirs searches the whole document. */
  readonly #anchors = new Map<string, unknown>()
  readonly #filter: ScalarFilter
  #nodes = 0

  constructor(filter: ScalarFilter) {
    this.#filter = filter
  }

  convert(node: unknown, path: string, key: number, depth: number): Converted {
    const [start, end] = rangeOf(node, key)
    const place: Place = { start, end, key, list: false, children: empty }
    this.#nodes++
    if (this.#nodes > maxNodes) return this.#refuse(place, path, 'too many values, aliases unfolded')
    if (depth > maxDepth) return this.#refuse(place, path, `nested more than ${String(maxDepth)} levels deep`)
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source)
      if (!target)
        return this.#refuse(place, path, 'no anchor of this name stands before it; quote a text that begins with *')
      // Positions inside belong to the anchor's text; the value itself stands where the alias does.
      return { ...this.convert(target, path, key, depth + 1) }
    }
    this.#remember(node)
    if (isMap(node)) return this.#convertMap(node, path, place, depth)
    if (isSeq(node)) return this.#convertSeq(node, path, place, depth)
    if (isScalar(node)) return this.#convertScalar(node, path, place)
    return { value: undefined, place }
  }

  #remember(node: unknown): void {
    if (isNode(node) && !isAlias(node) && node.anchor !== undefined) this.#anchors.set(node.anchor, node)
  }

  #convertScalar(node: Scalar, path: string, place: Place): Converted {
    const text = typeof node.value === 'string' ? node.value : ''
    if (text === '' && node.type === 'PLAIN') return { value: undefined, place }
    const filtered = this.#filter(text)
    if ('refused' in filtered) return this.#refuse(place, path, filtered.refused)
    return { value: filtered.text, place }
  }

  #convertSeq(node: YAMLSeq, path: string, place: Place, depth: number): Converted {
    const children = new Map<string, Place>()
    const value: Raw[] = []
    for (const [index, item] of node.items.entries()) {
      if (this.#nodes > maxNodes) break
      const [start] = rangeOf(item, place.start)
      const child = this.convert(item, `${path}[${String(index)}]`, start, depth + 1)
      children.set(String(index), child.place)
      value.push(child.value)
    }
    return { value, place: { ...place, list: true, children } }
  }

  #convertMap(node: YAMLMap, path: string, place: Place, depth: number): Converted {
    const children = new Map<string, Place>()
    const value: Record<string, Raw> = Object.create(null) as Record<string, Raw>
    for (const pair of node.items as readonly Pair[]) {
      if (this.#nodes > maxNodes) break
      this.#remember(pair.key)
      const [keyStart] = rangeOf(pair.key, place.start)
      const name = isScalar(pair.key) && typeof pair.key.value === 'string' ? pair.key.value : undefined
      const shown = name === undefined ? path : joinPath(path, name)
      const problem = this.#keyProblem(name, children)
      if (name === undefined || problem !== undefined) {
        this.mistakes.push({ offset: keyStart, path: shown, message: problem ?? '' })
        continue
      }
      const child = this.convert(pair.value, shown, keyStart, depth + 1)
      children.set(name, child.place)
      value[name] = child.value
    }
    return { value, place: { ...place, children } }
  }

  #keyProblem(name: string | undefined, seen: ReadonlyMap<string, Place>): string | undefined {
    if (name === undefined) return 'a key must be a plain name'
    if (hostileKeys.has(name)) return `"${name}" cannot be used as a name`
    if (name === '<<') return 'merge keys are not supported; repeat the settings, or put them into defaults'
    return seen.has(name) ? `"${clip(name)}" stands here twice` : undefined
  }

  #refuse(place: Place, path: string, message: string): Converted {
    this.mistakes.push({ offset: place.start, path, message })
    return { value: undefined, place }
  }
}

/** `a.b`, or `a["b.c"]` where a name would read as two. */
export function joinPath(path: string, name: string): string {
  if (!/^[^\s.[\]"]+$/.test(name)) return `${path}[${JSON.stringify(clip(name))}]`
  return path === '' ? name : `${path}.${name}`
}

/** Text from outside, short enough for a message. */
export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function rangeOf(node: unknown, otherwise: number): readonly [number, number] {
  const range = (node as { readonly range?: readonly [number, number, number] | null } | null)?.range
  return range ? [range[0], range[1]] : [otherwise, otherwise]
}
