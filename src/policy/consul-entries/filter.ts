/**
 * Reads the part of Consul's filter language that tells versions apart: conditions on the service's meta and tags, joined
 * by `and`. Anything else is refused, never guessed at. Pure. Source: Consul's documentation of filtering (go-bexpr).
 */
import type { SubsetCondition } from './result.ts'

const tokenPattern = /\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(==|!=)|([^\s"`=!()]+)|(.))/y

interface Token {
  readonly kind: 'quoted' | 'operator' | 'word' | 'other'
  readonly text: string
}

/** The conditions, all of which must hold; undefined: it says more than that, or nothing that can be read. */
export function readFilter(filter: string): readonly SubsetCondition[] | undefined {
  const tokens = tokensOf(filter)
  const conditions: SubsetCondition[] = []
  let at = 0
  for (;;) {
    const read = conditionAt(tokens, at)
    if (!read) return undefined
    conditions.push(read.condition)
    at = read.next
    if (at === tokens.length) return conditions
    if (!isWord(tokens[at], 'and')) return undefined
    at += 1
  }
}

interface ReadCondition {
  readonly condition: SubsetCondition
  readonly next: number
}

function conditionAt(tokens: readonly Token[], at: number): ReadCondition | undefined {
  const [first, second, third, fourth] = tokens.slice(at, at + 4)
  if (!first || !second || !third) return undefined
  const meta = metaKey(first)
  if (meta !== undefined && second.kind === 'operator' && isValue(third)) {
    const condition = { kind: 'meta', key: meta, value: third.text, negated: second.text === '!=' } as const
    return { condition, next: at + 3 }
  }
  if (isTags(first) && isWord(second, 'contains') && isValue(third))
    return { condition: { kind: 'tag', value: third.text, negated: false }, next: at + 3 }
  if (!isValue(first)) return undefined
  if (isWord(second, 'in') && isTags(third))
    return { condition: { kind: 'tag', value: first.text, negated: false }, next: at + 3 }
  if (isWord(second, 'not') && isWord(third, 'in') && isTags(fourth))
    return { condition: { kind: 'tag', value: first.text, negated: true }, next: at + 4 }
  return undefined
}

/** `Service.Meta.KEY`; other forms of a selector are not read. */
function metaKey(token: Token): string | undefined {
  return token.kind === 'word' ? /^Service\.Meta\.([A-Za-z0-9_-]+)$/.exec(token.text)?.[1] : undefined
}

function isTags(token: Token | undefined): boolean {
  return token?.kind === 'word' && token.text === 'Service.Tags'
}

function isWord(token: Token | undefined, text: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === text
}

/** A quoted text, or a bare one that Consul takes as a value. */
function isValue(token: Token): boolean {
  return (
    token.kind === 'quoted' ||
    (token.kind === 'word' && !/^(?:and|or|not|in|is|contains|matches|empty)$/i.test(token.text))
  )
}

function tokensOf(filter: string): readonly Token[] {
  const tokens: Token[] = []
  const text = filter.trim()
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < text.length) {
    const match = tokenPattern.exec(text)
    if (!match) break
    const [, quoted, operator, word, other] = match
    if (quoted !== undefined) tokens.push({ kind: 'quoted', text: unquote(quoted) })
    else if (operator !== undefined) tokens.push({ kind: 'operator', text: operator })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word })
    else tokens.push({ kind: 'other', text: other ?? '' })
  }
  return tokens
}

function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1)
  return quoted.startsWith('`') ? inner : inner.replaceAll(/\\(.)/g, '$1')
}
