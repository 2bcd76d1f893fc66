/**
 * Reads from a request what a rule, a split or a balancer asks of it: values of headers, cookies and query parameters. Works
 * on the head's text as it came; decodes nothing but queries. Decides nothing.
 */
import { nextField, trimmed } from '../wire/syntax.ts'

/** Whether `test` holds for a value of field `name` (lower case), asked line by line. `lines`: each with its CRLF. */
export function someHeader(lines: string, name: string, test: (value: string) => boolean): boolean {
  for (let at = nextField(lines, name, 0); at >= 0;) {
    const end = lines.indexOf('\r\n', at)
    if (test(trimmed(lines, at + name.length + 1, end))) return true
    at = nextField(lines, name, end + 2)
  }
  return false
}

/** The first value of field `name`; undefined: absent. */
export function headerValue(lines: string, name: string): string | undefined {
  const at = nextField(lines, name, 0)
  return at < 0 ? undefined : trimmed(lines, at + name.length + 1, lines.indexOf('\r\n', at))
}

/** Whether `test` holds for a value of cookie `name`, as it stands (RFC 6265 section 5.4: nothing is decoded, quotes stay). */
export function someCookie(lines: string, name: string, test: (value: string) => boolean): boolean {
  for (let line = nextField(lines, 'cookie', 0); line >= 0;) {
    const end = lines.indexOf('\r\n', line)
    for (let at = line + 'cookie:'.length; at < end;) {
      const semicolon = lines.indexOf(';', at)
      const stop = semicolon < 0 || semicolon > end ? end : semicolon
      const value = valueOf(lines, at, stop, name)
      if (value !== undefined && test(value)) return true
      at = stop + 1
    }
    line = nextField(lines, 'cookie', end + 2)
  }
  return false
}

/** The value of the pair between `from` and `stop` if its name is `name`; most are not, and are told by their first letters. */
function valueOf(lines: string, from: number, stop: number, name: string): string | undefined {
  let at = from
  while (at < stop && isBlank(lines.charCodeAt(at))) at++
  if (name === '' || !lines.startsWith(name, at)) return undefined
  at += name.length
  while (at < stop && isBlank(lines.charCodeAt(at))) at++
  return at < stop && lines.charCodeAt(at) === 0x3d ? trimmed(lines, at + 1, stop) : undefined
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

/** The values of cookie `name`. */
export function cookieValues(lines: string, name: string): readonly string[] {
  const values: string[] = []
  someCookie(lines, name, (value) => {
    values.push(value)
    return false
  })
  return values
}

/** The first value of cookie `name`; undefined: absent. */
export function cookieValue(lines: string, name: string): string | undefined {
  return cookieValues(lines, name)[0]
}

/**
 * Whether `test` holds for a value of query parameter `name`, decoded: percent-encoded UTF-8, and `+` as a space. What cannot be
 * decoded stays as it is.
 */
export function someQuery(target: string, name: string, test: (value: string) => boolean): boolean {
  const mark = target.indexOf('?')
  if (mark < 0) return false
  let equals = mark
  for (let at = mark + 1; at < target.length;) {
    const ampersand = target.indexOf('&', at)
    const stop = ampersand < 0 ? target.length : ampersand
    // Looked for once: each pair would else read on to the last one's.
    if (equals < at) equals = placeOf(target, '=', at)
    const nameEnd = Math.min(equals, stop)
    if (stop > at && isNamed(target, at, nameEnd, name) && test(decoded(target.slice(nameEnd + 1, stop)))) return true
    at = stop + 1
  }
  return false
}

/** Infinity: nowhere. */
function placeOf(text: string, char: string, from: number): number {
  const place = text.indexOf(char, from)
  return place < 0 ? Infinity : place
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
