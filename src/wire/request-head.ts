/**
 * A request's head, strictly read: one latin1 string in, what the gateway needs out, and the header lines to pass on as
 * whole slices of the original. Refuses everything another parser could read differently. Decides framing; routes nothing.
 * Source: RFC 9112 sections 2, 3, 5 and 6; RFC 9110 sections 5, 7 and 10.1.1.
 */
import { sameAuthority, routingHost } from './host.ts'
import type { WireLimits } from './limits.ts'
import { fatalNominations, field, fieldId, isUnderscoreTwin, neverNominated } from './names.ts'
import { Refusal, isFieldSection, isToken, parseLength, tokenList, trimmed, withoutFields } from './syntax.ts'

/** Bytes 0x21 to 0x7e without `"`, `#`, `<`, `>`, `\`, `^`, backtick, `{`, `|`, `}`. */
const TARGET = /^[!$-;=?-[\]_a-z~]+$/

export class RequestHead {
  method = ''
  /** What is sent on: origin-form, or `*`. */
  target = ''
  /** 0 or 1; HTTP/1.2 and above count as 1. */
  minor = 1
  /** The Host value as it came, or the authority of an absolute-form target; '' for HTTP/1.0 without one. */
  host = ''
  /** Lower case, no port, no trailing dot; '' when there is no host. */
  routingHost = ''
  /** -1 without Content-Length. */
  contentLength = -1
  chunked = false
  /** Whether the client lets the connection live on. */
  keepAlive = true
  expectContinue = false
  /** The client takes trailers. */
  trailers = false
  /** The value of Upgrade when Connection names it too, else ''. */
  upgrade = ''
  /** Lines to pass on, each with its CRLF, in their order; hop-by-hop, framing, Host and what we rebuild are not in it. */
  lines = ''
  /** Values of Via, joined; '' without. */
  via = ''
  forwarded = ''
  forwardedFor = ''
  forwardedHost = ''
  forwardedProto = ''
  forwardedPort = ''
  /** X-Real-IP of a trusted peer. */
  realIp = ''
  /** '' when absent or given twice. */
  requestId = ''
  /** -1 when absent. */
  maxForwards = -1
  /** A line such as X-HTTP-Method-Override asks the application for another method than {@link method}. */
  overridesMethod = false

  /** What executing it means: {@link method}, or '' where another one is asked for, which may be any. */
  get meantMethod(): string {
    return this.overridesMethod ? '' : this.method
  }

  /** True when body bytes follow. */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0
  }
}

/** What the header lines gather for decisions that need them all. */
class Gathered {
  hosts = 0
  host = ''
  lengths = 0
  codings = 0
  coding = ''
  connection: string | undefined = undefined
  upgrade = ''
  expect = ''
  requestIds = 0
  te = ''

  reset(): this {
    this.hosts = 0
    this.lengths = 0
    this.codings = 0
    this.connection = undefined
    this.upgrade = ''
    this.expect = ''
    this.requestIds = 0
    this.te = ''
    return this
  }
}

/** Reading a head is synchronous and never nested, so one is enough for all. */
const gathered = new Gathered()

/**
 * Reads the head that stands in `text` from `from` up to its empty line, whose CRLF CRLF begins at `end`.
 * `trusted`: the peer's own words on the client's identity are kept.
 */
export function parseRequestHead(
  text: string,
  from: number,
  end: number,
  limits: WireLimits,
  trusted: boolean,
): RequestHead | Refusal {
  const head = new RequestHead()
  const lineEnd = text.indexOf('\r\n', from)
  const refusedLine = parseRequestLine(head, text, from, lineEnd, limits)
  if (refusedLine) return refusedLine
  const section = text.slice(lineEnd + 2, end + 2)
  if (!isFieldSection(section)) return new Refusal(400, 'header-section')
  const seen = gathered.reset()
  const refusedLines = parseLines(head, seen, section, limits, trusted)
  if (refusedLines) return refusedLines
  return resolveHost(head, seen) ?? resolveFraming(head, seen) ?? resolveConnection(head, seen) ?? head
}

function parseRequestLine(
  head: RequestHead,
  text: string,
  from: number,
  lineEnd: number,
  limits: WireLimits,
): Refusal | undefined {
  const space = text.indexOf(' ', from)
  if (space < 0 || space > lineEnd) return new Refusal(400, 'request-line')
  const second = text.indexOf(' ', space + 1)
  if (second < 0 || second > lineEnd) return new Refusal(400, 'request-line')
  head.method = text.slice(from, space)
  if (space - from > 32 || !isToken(head.method)) return new Refusal(400, 'method')
  const version = text.slice(second + 1, lineEnd)
  if (version !== 'HTTP/1.1') {
    if (/^HTTP\/[2-9]\.[0-9]$/.test(version) && head.method !== 'PRI') return new Refusal(505, 'version')
    if (!/^HTTP\/1\.[0-9]$/.test(version)) return new Refusal(400, 'version')
    head.minor = version === 'HTTP/1.0' ? 0 : 1
  }
  if (second - space - 1 > limits.targetBytes) return new Refusal(414, 'target-length')
  head.target = text.slice(space + 1, second)
  if (!TARGET.test(head.target)) return new Refusal(400, 'target')
  if (head.method === 'CONNECT') return new Refusal(405, 'connect')
  if (head.target.charCodeAt(0) === 0x2f) return undefined
  return parseOtherForms(head)
}

/** Everything but origin-form: asterisk-form and absolute-form (RFC 9112 section 3.2). */
function parseOtherForms(head: RequestHead): Refusal | undefined {
  if (head.target === '*') {
    return head.method === 'OPTIONS' ? undefined : new Refusal(400, 'asterisk-form')
  }
  const absolute = /^http:\/\/([^/?]+)(.*)$/i.exec(head.target)
  if (!absolute) return new Refusal(400, 'target-form')
  head.host = absolute[1] ?? ''
  const rest = absolute[2] ?? ''
  head.target = rest.charCodeAt(0) === 0x2f ? rest : '/' + rest
  if (rest === '' && head.method === 'OPTIONS') head.target = '*'
  return undefined
}

function parseLines(
  head: RequestHead,
  seen: Gathered,
  text: string,
  limits: WireLimits,
  trusted: boolean,
): Refusal | undefined {
  const end = text.length
  const underscores = text.includes('_')
  let kept = ''
  let runStart = 0
  let count = 0
  let at = 0
  while (at < end) {
    const colon = text.indexOf(':', at)
    const eol = text.indexOf('\r\n', colon)
    if (++count > limits.headerLines) return new Refusal(431, 'header-lines')
    if (underscores && isUnderscoreTwin(text.slice(at, colon))) return new Refusal(400, 'underscore-name')
    const id = fieldId(text, at, colon)
    if (id !== field.other) {
      const verdict = take(head, seen, id, text, colon + 1, eol, trusted)
      if (verdict === drop) {
        if (at > runStart) kept += text.slice(runStart, at)
        runStart = eol + 2
      } else if (verdict !== keep) return verdict
    }
    at = eol + 2
  }
  head.lines = end > runStart ? kept + text.slice(runStart, end) : kept
  return undefined
}

const keep = 0
const drop = 1

/** Notes what a line says; answers whether it is passed on as it is. */
function take(
  head: RequestHead,
  seen: Gathered,
  id: number,
  text: string,
  from: number,
  end: number,
  trusted: boolean,
): typeof keep | typeof drop | Refusal {
  const value = trimmed(text, from, end)
  switch (id) {
    case field.host:
      seen.hosts++
      seen.host = value
      return drop
    case field.contentLength:
      seen.lengths++
      head.contentLength = parseLength(value)
      if (head.contentLength < 0) return new Refusal(400, 'content-length')
      return drop
    case field.transferEncoding:
      seen.codings++
      seen.coding = value
      return drop
    case field.connection:
      seen.connection = seen.connection === undefined ? value : seen.connection + ',' + value
      return drop
    case field.te:
      seen.te = join(seen.te, value)
      return drop
    case field.upgrade:
      seen.upgrade = join(seen.upgrade, value)
      return drop
    case field.expect:
      seen.expect = join(seen.expect, value === '' ? '?' : value)
      return drop
    case field.via:
      head.via = join(head.via, value)
      return keep
    case field.maxForwards:
      if (head.method !== 'OPTIONS' && head.method !== 'TRACE') return keep
      if (head.maxForwards >= 0 || !/^[0-9]{1,9}$/.test(value)) return new Refusal(400, 'max-forwards')
      head.maxForwards = Number(value)
      return drop
    case field.requestId:
      head.requestId = ++seen.requestIds === 1 ? value : ''
      return drop
    case field.date:
      return keep
    case field.methodOverride:
      head.overridesMethod = true
      return keep
    case field.identity:
      return trusted ? keep : drop
    case field.hop:
    case field.keepAlive:
      return drop
    default:
      if (trusted) noteForwarded(head, id, value)
      return drop
  }
}

function noteForwarded(head: RequestHead, id: number, value: string): void {
  if (id === field.forwarded) head.forwarded = join(head.forwarded, value)
  else if (id === field.forwardedFor) head.forwardedFor = join(head.forwardedFor, value)
  else if (id === field.forwardedHost) head.forwardedHost = value
  else if (id === field.forwardedProto) head.forwardedProto = value
  else if (id === field.forwardedPort) head.forwardedPort = value
  else if (id === field.realIp) head.realIp = value
}

function join(before: string, value: string): string {
  return before === '' ? value : before + ', ' + value
}

function resolveHost(head: RequestHead, seen: Gathered): Refusal | undefined {
  if (seen.hosts > 1) return new Refusal(400, 'host-twice')
  if (seen.hosts === 0 && head.minor === 1) return new Refusal(400, 'host-missing')
  if (seen.hosts === 1) {
    const routing = routingHost(seen.host)
    if (routing === undefined) return new Refusal(400, 'host')
    if (head.host !== '') {
      if (routingHost(head.host) === undefined) return new Refusal(400, 'host')
      if (!sameAuthority(head.host, seen.host)) return new Refusal(400, 'host-mismatch')
    }
    head.routingHost = routing
    if (head.host === '') head.host = seen.host
  } else if (head.host !== '') {
    const routing = routingHost(head.host)
    if (routing === undefined) return new Refusal(400, 'host')
    head.routingHost = routing
  }
  return undefined
}

function resolveFraming(head: RequestHead, seen: Gathered): Refusal | undefined {
  if (seen.lengths > 1) return new Refusal(400, 'content-length-twice')
  if (seen.codings > 0) {
    if (seen.lengths > 0) return new Refusal(400, 'length-and-coding')
    if (seen.codings > 1) return new Refusal(400, 'coding-twice')
    if (head.minor === 0) return new Refusal(400, 'coding-in-1.0')
    const coding = seen.coding.toLowerCase()
    if (coding !== 'chunked')
      return new Refusal(/^[a-z]+(?: *, *[a-z]+)* *, *chunked$/.test(coding) ? 501 : 400, 'coding')
    head.chunked = true
  }
  if (seen.expect !== '' && head.minor === 1) {
    if (seen.expect.toLowerCase() !== '100-continue') return new Refusal(417, 'expect')
    head.expectContinue = head.hasBody
  }
  return undefined
}

function resolveConnection(head: RequestHead, seen: Gathered): Refusal | undefined {
  const connection = seen.connection
  if (head.minor === 0) head.keepAlive = false
  if (seen.te !== '') {
    head.trailers = seen.te.split(',').some((member) => trimmed(member, 0, member.length).toLowerCase() === 'trailers')
  }
  if (connection === undefined || connection === 'keep-alive' || connection === '') return undefined
  const options = tokenList(connection)
  if (options === undefined) return new Refusal(400, 'connection')
  let nominated: Set<string> | undefined
  for (const option of options) {
    if (option === 'close') head.keepAlive = false
    else if (option === 'upgrade') head.upgrade = head.minor === 1 ? seen.upgrade : ''
    else if (fatalNominations.has(option)) return new Refusal(400, 'nominated')
    else if (!neverNominated.has(option)) (nominated ??= new Set()).add(option)
  }
  if (nominated) head.lines = withoutFields(head.lines, nominated)
  return undefined
}
