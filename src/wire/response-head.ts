/**
 * An answer's head from an upstream, strictly read. What cannot be read in one way only is refused and becomes our 502;
 * header lines to pass on stay slices of the original. Source: RFC 9112 sections 4 to 6, RFC 9110 sections 6, 8.6, 15.
 */
import type { WireLimits } from './limits.ts'
import { field, fieldId, fatalNominations, neverNominated } from './names.ts'
import { Refusal, isFieldSection, parseLength, tokenList, trimmed, withoutFields } from './syntax.ts'

/** Where an answer's body ends (RFC 9112 section 6.3). */
export const framing = { none: 0, length: 1, chunked: 2, close: 3 } as const
export type Framing = (typeof framing)[keyof typeof framing]

export class ResponseHead {
  status = 0
  /** Visible ASCII and spaces; anything else makes it ''. */
  reason = ''
  minor = 1
  framing: Framing = framing.none
  /** The declared Content-Length, -1 without; of a HEAD or 304 it describes what is not sent. */
  contentLength = -1
  /** Whether the upstream lets the connection live on. */
  keepAlive = true
  /** Seconds from `Keep-Alive: timeout=N`; -1 without. */
  keepAliveSeconds = -1
  hasDate = false
  /** It has no body by its status or method, yet announces one: broken servers send that after all. */
  announcesBody = false
  /** The value of Upgrade, lower case; '' without, or when Connection does not name it. */
  upgrade = ''
  /** What Connection names besides its own options: removed from the lines, and to be removed from trailers. */
  nominated: ReadonlySet<string> | undefined = undefined
  /** Lines to pass on, each with its CRLF. */
  lines = ''
}

const bad = (rule: string): Refusal => new Refusal(502, rule)

/**
 * Reads the head that stands in `text` from `from` up to its empty line, whose CRLF CRLF begins at `end`.
 * `isHead`: it answers a HEAD request and has no body whatever it says.
 */
export function parseResponseHead(
  text: string,
  from: number,
  end: number,
  isHead: boolean,
  limits: WireLimits,
): ResponseHead | Refusal {
  const head = new ResponseHead()
  const lineEnd = text.indexOf('\r\n', from)
  if (text.startsWith('HTTP/1.1 200 OK\r\n', from)) {
    head.status = 200
    head.reason = 'OK'
  } else if (!parseStatusLine(head, text.slice(from, lineEnd))) return bad('status-line')
  if (!isFieldSection(text.slice(lineEnd + 2, end + 2))) return bad('header-section')
  if (head.status > 599) return bad('status')
  return parseLines(head, text, lineEnd + 2, end + 2, isHead, limits) ?? head
}

function parseStatusLine(head: ResponseHead, text: string): boolean {
  const line = /^HTTP\/1\.([0-9]) ([1-9][0-9]{2})(?: (.*))?$/.exec(text)
  if (!line) return false
  head.minor = line[1] === '0' ? 0 : 1
  head.status = Number(line[2])
  const reason = line[3] ?? ''
  head.reason = /^[\x20-\x7e]*$/.test(reason) ? reason : ''
  return true
}

function parseLines(
  head: ResponseHead,
  text: string,
  from: number,
  end: number,
  isHead: boolean,
  limits: WireLimits,
): Refusal | undefined {
  let kept = ''
  let runStart = from
  let count = 0
  let codings = 0
  let lengths = 0
  let coding = ''
  let connection: string | undefined
  let upgrade = ''
  let at = from
  while (at < end) {
    const colon = text.indexOf(':', at)
    const eol = text.indexOf('\r\n', colon)
    if (++count > limits.headerLines) return bad('header-lines')
    const id = fieldId(text, at, colon)
    let dropped = true
    switch (id) {
      case field.contentLength: {
        const length = parseLength(trimmed(text, colon + 1, eol))
        if (length < 0) return bad('content-length')
        if (++lengths > 1 && length !== head.contentLength) return bad('content-length-twice')
        head.contentLength = length
        break
      }
      case field.transferEncoding:
        codings++
        coding = trimmed(text, colon + 1, eol).toLowerCase()
        break
      case field.connection: {
        const value = trimmed(text, colon + 1, eol)
        connection = connection === undefined ? value : connection + ',' + value
        break
      }
      case field.keepAlive:
        head.keepAliveSeconds = keepAliveTimeout(trimmed(text, colon + 1, eol))
        break
      case field.upgrade:
        upgrade = trimmed(text, colon + 1, eol)
        break
      case field.hop:
      case field.te:
        break
      case field.date:
        head.hasDate = true
        dropped = false
        break
      default:
        dropped = false
    }
    if (dropped) {
      if (at > runStart) kept += text.slice(runStart, at)
      runStart = eol + 2
    }
    at = eol + 2
  }
  head.lines = end > runStart ? kept + text.slice(runStart, end) : kept
  head.upgrade = upgrade.toLowerCase()
  return resolveFraming(head, isHead, codings, coding) ?? resolveConnection(head, connection)
}

function keepAliveTimeout(value: string): number {
  const match = /(?:^|[,\s])timeout=([0-9]{1,6})/i.exec(value)
  return match ? Number(match[1]) : -1
}

function resolveFraming(head: ResponseHead, isHead: boolean, codings: number, coding: string): Refusal | undefined {
  if (head.status < 200) {
    head.framing = framing.none
    head.contentLength = -1
    return undefined
  }
  if (codings > 0) {
    if (head.contentLength >= 0) return bad('length-and-coding')
    if (head.minor === 0) return bad('coding-in-1.0')
    if (codings > 1 || coding !== 'chunked') return bad('coding')
  }
  if (isHead || head.status === 204 || head.status === 304 || head.status === 205) {
    head.framing = framing.none
    head.announcesBody = codings > 0 || head.contentLength > 0
    if (head.status === 204 || head.status === 205) head.contentLength = -1
  } else if (codings > 0) head.framing = framing.chunked
  else if (head.contentLength >= 0) head.framing = head.contentLength === 0 ? framing.none : framing.length
  else head.framing = framing.close
  return undefined
}

function resolveConnection(head: ResponseHead, connection: string | undefined): Refusal | undefined {
  head.keepAlive = head.minor === 1
  if (connection === undefined || connection === 'keep-alive') {
    if (connection !== undefined) head.keepAlive = true
    head.upgrade = ''
    return undefined
  }
  const options = tokenList(connection)
  if (options === undefined) return bad('connection')
  if (!options.includes('upgrade')) head.upgrade = ''
  let nominated: Set<string> | undefined
  for (const option of options) {
    if (option === 'close') head.keepAlive = false
    else if (option === 'keep-alive' && !options.includes('close')) head.keepAlive = true
    else if (fatalNominations.has(option)) return bad('nominated')
    else if (option !== 'upgrade' && !neverNominated.has(option)) (nominated ??= new Set()).add(option)
  }
  if (nominated) head.lines = withoutFields(head.lines, nominated)
  head.nominated = nominated
  return undefined
}

/** How long a connection may rest after this answer, ms: our limit, or what the upstream announced less two seconds for the way. */
export function idleMs(head: ResponseHead, limits: WireLimits): number {
  if (head.keepAliveSeconds < 0) return limits.upstreamIdleTimeoutMs
  return Math.min(limits.upstreamIdleTimeoutMs, Math.max(0, head.keepAliveSeconds * 1_000 - 2_000))
}
