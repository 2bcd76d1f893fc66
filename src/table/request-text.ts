/**
 * Reads from a request what a rule, a split or a balancer asks of it: values of headers, cookies and query parameters. Works
 * on the head's text as it came; decodes nothing but queries. Decides nothing.
 */
import { isFieldAt, nextField, trimmed } from '../wire/syntax.ts'
import { Spans } from './spans.ts'

/** What is asked of values, such as a rule's condition: of what stands between two places of a text. */
export interface ValueTest {
  holds(text: string, from: number, end: number): boolean
}

/** Finds the header lines of `lines`, each with its CRLF; none has a line break inside. */
export function findFields(lines: string, fields: Spans): void {
  fields.clear()
  for (let at = 0; at < lines.length;) {
    const end = lines.indexOf('\n', at)
    if (end < 0) return
    fields.add(at, end - 1, lines.charCodeAt(at))
    at = end + 1
  }
}

/** Whether `test` holds for a value of field `name` (lower case), asked line by line. */
export function someHeader(lines: string, fields: Spans, name: string, test: ValueTest): boolean {
  for (let at = fields.first(name.charCodeAt(0)); at >= 0; at = fields.next[at] ?? -1) {
    const start = fields.starts[at] ?? 0
    if (isFieldAt(lines, start, name) && holdsTrimmed(test, lines, start + name.length + 1, fields.ends[at] ?? 0))
      return true
  }
  return false
}

function holdsTrimmed(test: ValueTest, text: string, from: number, end: number): boolean {
  let start = from
  let stop = end
  while (start < stop && isBlank(text.charCodeAt(start))) start++
  while (stop > start && isBlank(text.charCodeAt(stop - 1))) stop--
  return test.holds(text, start, stop)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

/** The first value of field `name`; undefined: absent. */
export function headerValue(lines: string, name: string): string | undefined {
  const at = nextField(lines, name, 0)
  return at < 0 ? undefined : trimmed(lines, at + name.length + 1, lines.indexOf('\r\n', at))
}

/** Finds the pairs of all Cookie lines, without the blanks before them. */
export function findCookies(lines: string, fields: Spans, cookies: Spans): void {
  cookies.clear()
  for (let line = fields.first(cookieLetter); line >= 0; line = fields.next[line] ?? -1) {
    const start = fields.starts[line] ?? 0
    const end = fields.ends[line] ?? 0
    if (isFieldAt(lines, start, 'cookie')) findPairs(lines, start + 'cookie:'.length, end, cookies)
  }
}

const cookieLetter = 0x63

function findPairs(lines: string, from: number, end: number, cookies: Spans): void {
  for (let at = from; at < end;) {
    const semicolon = lines.indexOf(';', at)
    const stop = semicolon < 0 || semicolon > end ? end : semicolon
    let letter = lines.charCodeAt(at)
    while (at < stop && isBlank(letter)) letter = lines.charCodeAt(++at)
    if (at < stop) cookies.add(at, stop, letter)
    at = stop + 1
  }
}

/** Whether `test` holds for a value of cookie `name`, as it stands (RFC 6265 section 5.4: nothing is decoded, quotes stay). */
export function someCookie(lines: string, cookies: Spans, name: string, test: ValueTest): boolean {
  for (let at = cookies.first(name.charCodeAt(0)); at >= 0; at = cookies.next[at] ?? -1) {
    const end = cookies.ends[at] ?? 0
    const value = valueStart(lines, cookies.starts[at] ?? 0, end, name)
    if (value >= 0 && holdsTrimmed(test, lines, value, end)) return true
  }
  return false
}

/** Where the value of the pair between `from` and `stop` begins if its name is `name`; else -1. */
function valueStart(lines: string, from: number, stop: number, name: string): number {
  if (name === '' || !lines.startsWith(name, from)) return -1
  let at = from + name.length
  while (at < stop && isBlank(lines.charCodeAt(at))) at++
  return at < stop && lines.charCodeAt(at) === 0x3d ? at + 1 : -1
}

/** The values of cookie `name`. */
export function cookieValues(lines: string, name: string): readonly string[] {
  const values: string[] = []
  findFields(lines, ownFields)
  findCookies(lines, ownFields, ownCookies)
  someCookie(lines, ownCookies, name, {
    holds(text, from, end) {
      values.push(text.slice(from, end))
      return false
    },
  })
  return values
}

const ownFields = new Spans()
const ownCookies = new Spans()

/** The first value of cookie `name`; undefined: absent. */
export function cookieValue(lines: string, name: string): string | undefined {
  return cookieValues(lines, name)[0]
}

/** Finds the pairs of a target's query. */
export function findQuery(target: string, pairs: Spans): void {
  pairs.clear()
  const mark = target.indexOf('?')
  if (mark < 0) return
  for (let at = mark + 1; at < target.length;) {
    const ampersand = target.indexOf('&', at)
    const stop = ampersand < 0 ? target.length : ampersand
    if (stop > at) pairs.add(at, stop, target.charCodeAt(at))
    at = stop + 1
  }
}

/**
 * Whether `test` holds for a value of query parameter `name`, in no certain order, decoded: percent-encoded UTF-8, and `+` as a
 * space. What cannot be decoded stays as it is.
 */
export function someQuery(target: string, pairs: Spans, name: string, test: ValueTest): boolean {
  // A name stands there as it is, or it begins with an escape.
  const letter = name === '' ? equalsSign : name.charCodeAt(0)
  return (
    someOfPairs(target, pairs, letter, name, test) ||
    (letter !== percentSign && someOfPairs(target, pairs, percentSign, name, test)) ||
    (letter === space && someOfPairs(target, pairs, plusSign, name, test))
  )
}

const [space, percentSign, plusSign, equalsSign] = [0x20, 0x25, 0x2b, 0x3d]

/** Of the pairs that begin with `letter`. */
function someOfPairs(target: string, pairs: Spans, letter: number, name: string, test: ValueTest): boolean {
  for (let at = pairs.first(letter); at >= 0; at = pairs.next[at] ?? -1) {
    const start = pairs.starts[at] ?? 0
    const stop = pairs.ends[at] ?? 0
    if (target.charCodeAt(start) !== letter) continue
    const far = Math.min(stop, start + name.length * escapedCharsMax + 1)
    let nameEnd = start
    while (nameEnd < far && target.charCodeAt(nameEnd) !== equalsSign) nameEnd++
    if (!isNamed(target, start, nameEnd, name)) continue
    const value = decoded(target.slice(nameEnd + 1, stop))
    if (test.holds(value, 0, value.length)) return true
  }
  return false
}

/** The most characters that one UTF-16 unit is written with: three bytes, `%` and two digits each. */
const escapedCharsMax = 9

/** Whether what stands between `from` and `end` is `name`, decoded only where its length allows that. */
function isNamed(target: string, from: number, end: number, name: string): boolean {
  const length = end - from
  if (length === name.length && target.startsWith(name, from)) return !/[%+]/.test(name) || decoded(name) === name
  if (length < name.length || length > name.length * escapedCharsMax) return false
  return decoded(target.slice(from, end)) === name
}

/** Escapes of UTF-8 (RFC 3629 section 4) and no others, which is what `decodeURIComponent` takes. */
const ESCAPED = new RegExp(
  '^[^%]*(?:(?:' +
    [
      '%[0-7]H',
      '%[cC][2-9a-fA-F]T',
      '%[dD]HT',
      '%[eE]0%[abAB]HT',
      '%[eE][1-9a-cA-CefEF]TT',
      '%[eE][dD]%[89]HT',
      '%[fF]0%[9abAB]HTT',
      '%[fF][1-3]TTT',
      '%[fF]4%8HTT',
    ]
      .join('|')
      .replaceAll('T', '%[89abAB]H')
      .replaceAll('H', '[0-9a-fA-F]') +
    ')[^%]*)*$',
)

/** Asks before it decodes: to throw costs a thousand times as much, and a request may hold thousands of broken escapes. */
function decoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  return ESCAPED.test(spaced) ? decodeURIComponent(spaced) : spaced
}
