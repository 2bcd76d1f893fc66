/**
 * The character-level grammar of HTTP/1.1 heads, shared by requests, answers, trailers and everything we emit.
 * Owns the character classes and the refusal type; knows no header by name. Source: RFC 9110 section 5, RFC 9112
 * sections 2 to 5. Text is latin1 throughout: one character is one byte.
 */

/** Why bytes were refused. `rule` is a stable word for logs and tests; nothing of the input is in it. */
export class Refusal {
  /** The status a client is answered; for an upstream's bytes, the answer is always 502. */
  readonly status: number
  readonly rule: string

  constructor(status: number, rule: string) {
    this.status = status
    this.rule = rule
  }
}

/**
 * Lines of a token, a colon with no white space before it, a value of TAB, SP to `~` and obs-text, and CRLF; so neither
 * folded lines nor bare CR or LF nor control characters pass (RFC 9112 sections 2.2 and 5, RFC 9110 section 5.5). The
 * classes and what ends them have no character in common: nothing is read twice.
 */
const SECTION = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/

/** True for a well-formed header or trailer section, each line with its CRLF, without the empty line; '' is one. */
export function isFieldSection(lines: string): boolean {
  return SECTION.test(lines)
}

/** `tchar` by code (RFC 9110 section 5.6.2). */
const TCHAR = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  TCHAR[char.charCodeAt(0)] = 1

/** The index of the first character at or after `from` that is no tchar, at most `end`. */
export function tokenEnd(text: string, from: number, end: number): number {
  let at = from
  while (at < end && TCHAR[text.charCodeAt(at)] === 1) at++
  return at
}

/** True for a non-empty token. */
export function isToken(text: string): boolean {
  return text.length > 0 && tokenEnd(text, 0, text.length) === text.length
}

/** The value between `from` and `end` without the optional white space around it (RFC 9110 section 5.6.3). */
export function trimmed(text: string, from: number, end: number): string {
  let start = from
  let stop = end
  while (start < stop && isBlank(text.charCodeAt(start))) start++
  while (stop > start && isBlank(text.charCodeAt(stop - 1))) stop--
  return text.slice(start, stop)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/**
 * The lower-case members of a comma-separated list of tokens; empty members are skipped (RFC 9110 section 5.6.1).
 * Undefined when a member is no token.
 */
export function tokenList(value: string): string[] | undefined {
  const members: string[] = []
  for (const part of value.split(',')) {
    const member = trimmed(part, 0, part.length)
    if (member === '') continue
    if (!isToken(member)) return undefined
    members.push(member.toLowerCase())
  }
  return members
}

/** A Content-Length: digits, no sign, no leading zero, at most 15 of them so that no rounding happens; else -1. */
export function parseLength(value: string): number {
  const digits = value.length
  if (digits === 0 || digits > 15 || (digits > 1 && value.charCodeAt(0) === 0x30)) return -1
  let length = 0
  for (let at = 0; at < digits; at++) {
    const digit = value.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return length
}

/** A field value that we may emit: no control character but TAB, one line. */
export function isFieldValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}

/** Header lines without those whose lower-case name is in `names`. */
export function withoutFields(lines: string, names: ReadonlySet<string>): string {
  let kept = ''
  let at = 0
  while (at < lines.length) {
    const next = lines.indexOf('\r\n', at) + 2
    const name = lines.slice(at, lines.indexOf(':', at)).toLowerCase()
    if (!names.has(name)) kept += lines.slice(at, next)
    at = next
  }
  return kept
}

/** The start of the first line at or after `from`, itself the start of a line, with that lower-case name; -1: there is none. */
export function nextField(lines: string, name: string, from: number): number {
  let at = from
  while (at < lines.length) {
    if (isFieldAt(lines, at, name)) return at
    const eol = lines.indexOf('\r\n', at)
    if (eol < 0) return -1
    at = eol + 2
  }
  return -1
}

/** Whether the line at `at` has that lower-case name; without a copy. */
export function isFieldAt(lines: string, at: number, name: string): boolean {
  if (lines.charCodeAt(at + name.length) !== 0x3a) return false
  for (let i = 0; i < name.length; i++) {
    const code = lines.charCodeAt(at + i)
    const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code
    if (lower !== name.charCodeAt(i)) return false
  }
  return true
}

/** The trimmed value of the only line with that lower-case name in well-formed header lines; undefined: none, or several. */
export function fieldValue(lines: string, name: string): string | undefined {
  const at = nextField(lines, name, 0)
  if (at < 0) return undefined
  const eol = lines.indexOf('\r\n', at)
  return nextField(lines, name, eol + 2) < 0 ? trimmed(lines, at + name.length + 1, eol) : undefined
}
