/**
 * Reads from a request what a rule, a split or a balancer asks of it: values of headers, cookies and query parameters. Works
 * on the head's text as it came; decodes nothing but queries. Decides nothing.
 */
import { nextField, trimmed } from '../wire/syntax.ts'

/** The values of field `name` (lower case), line by line; empty when it is absent. `lines`: each with its CRLF. */
export function headerValues(lines: string, name: string): readonly string[] {
  const values: string[] = []
  for (let at = nextField(lines, name, 0); at >= 0;) {
    const end = lines.indexOf('\r\n', at)
    values.push(trimmed(lines, at + name.length + 1, end))
    at = nextField(lines, name, end + 2)
  }
  return values
}

/** The first value of field `name`; undefined: absent. */
export function headerValue(lines: string, name: string): string | undefined {
  const at = nextField(lines, name, 0)
  return at < 0 ? undefined : trimmed(lines, at + name.length + 1, lines.indexOf('\r\n', at))
}

/** The values of cookie `name`, as they stand (RFC 6265 section 5.4: nothing is decoded, quotes stay). */
export function cookieValues(lines: string, name: string): readonly string[] {
  const values: string[] = []
  for (const header of headerValues(lines, 'cookie')) {
    for (const pair of header.split(';')) {
      const equals = pair.indexOf('=')
      if (equals > 0 && trimmed(pair, 0, equals) === name) values.push(trimmed(pair, equals + 1, pair.length))
    }
  }
  return values
}

/** The first value of cookie `name`; undefined: absent. */
export function cookieValue(lines: string, name: string): string | undefined {
  return cookieValues(lines, name)[0]
}

/** The values of query parameter `name`, decoded: percent-encoded UTF-8, and `+` as a space. What cannot be decoded stays as it is. */
export function queryValues(target: string, name: string): readonly string[] {
  const mark = target.indexOf('?')
  if (mark < 0) return []
  const values: string[] = []
  for (const pair of target.slice(mark + 1).split('&')) {
    const equals = pair.indexOf('=')
    if (decoded(equals < 0 ? pair : pair.slice(0, equals)) === name && pair !== '')
      values.push(equals < 0 ? '' : decoded(pair.slice(equals + 1)))
  }
  return values
}

function decoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}
