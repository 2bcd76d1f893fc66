/**
 * Reads from a request what a rule, a split or a balancer asks of it: values of headers, cookies and query parameters. Works
 * on the head's text as it came; decodes nothing but queries. Decides nothing.
 */

/** The start of the next line whose field name is `name` (lower case), from the line that begins at `from`; -1: none. */
function nextLine(lines: string, name: string, from: number): number {
  let at = from
  while (at < lines.length) {
    if (lines.charCodeAt(at + name.length) === 0x3a && isNamed(lines, at, name)) return at
    const end = lines.indexOf('\r\n', at)
    if (end < 0) return -1
    at = end + 2
  }
  return -1
}

function isNamed(lines: string, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = lines.charCodeAt(at + i)
    const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code
    if (lower !== name.charCodeAt(i)) return false
  }
  return true
}

function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && (text.charCodeAt(start) === 0x20 || text.charCodeAt(start) === 0x09)) start++
  while (end > start && (text.charCodeAt(end - 1) === 0x20 || text.charCodeAt(end - 1) === 0x09)) end--
  return text.slice(start, end)
}

/** The values of field `name` (lower case), line by line; empty when it is absent. `lines`: each with its CRLF. */
export function headerValues(lines: string, name: string): readonly string[] {
  const values: string[] = []
  for (let at = nextLine(lines, name, 0); at >= 0;) {
    const end = lines.indexOf('\r\n', at)
    values.push(trimmed(lines, at + name.length + 1, end))
    at = nextLine(lines, name, end + 2)
  }
  return values
}

/** The first value of field `name`; undefined: absent. */
export function headerValue(lines: string, name: string): string | undefined {
  const at = nextLine(lines, name, 0)
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
