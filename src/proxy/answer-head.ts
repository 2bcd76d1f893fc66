/**
 * The heads we send to clients: an upstream's answer with our own framing, or an answer of our own, complete.
 * Source: RFC 9112 section 6 (framing), RFC 9110 sections 6.6.1 (Date) and 8.6, RFC 9209 (Proxy-Status).
 */
import { STATUS_CODES } from '../core/http.ts'
import { type ResponseHead, framing } from '../wire/response-head.ts'
import type { ErrorPage, OwnAnswer } from './answers.ts'
import type { RouteAnswer } from './redirect.ts'
import { pseudonym } from './upstream-head.ts'

/** How the body goes to the client. */
export const delivery = { none: 0, length: 1, chunked: 2, close: 3 } as const
export type Delivery = (typeof delivery)[keyof typeof delivery]

/** The delivery of an answer's body to a client of HTTP/1.`minor`. */
export function deliveryOf(head: ResponseHead, minor: number): Delivery {
  switch (head.framing) {
    case framing.none:
      return delivery.none
    case framing.length:
      return delivery.length
    default:
      return minor === 0 ? delivery.close : delivery.chunked
  }
}

/**
 * The head of an upstream's answer, as far as its empty line. `dateLine`: '' where the upstream set one; `added` are
 * lines of ours.
 */
export function answerHead(
  head: ResponseHead,
  how: Delivery,
  persist: boolean,
  dateLine: string,
  added: string,
): string {
  let text = statusLine(head) + head.lines
  if (added !== '') text += added
  text += dateLine
  // Every piece is one more to gather when it is sent: what is always the same is one.
  const end = persist ? '\r\n\r\n' : '\r\nConnection: close\r\n\r\n'
  if (how === delivery.chunked) return text + 'Transfer-Encoding: chunked' + end
  if (head.contentLength >= 0) return text + 'Content-Length: ' + head.contentLength + end
  if (head.status === 205) return text + 'Content-Length: 0' + end
  return persist ? text + '\r\n' : text + 'Connection: close\r\n\r\n'
}

function statusLine({ status, reason }: ResponseHead): string {
  return status === 200 && reason === 'OK' ? 'HTTP/1.1 200 OK\r\n' : 'HTTP/1.1 ' + status + ' ' + reason + '\r\n'
}

/** The head of a 1xx answer. */
export function informationalHead(head: ResponseHead): string {
  return statusLine(head) + head.lines + '\r\n'
}

/** A complete answer of our own; `details` are shown to trusted peers only, by leaving them '' for others. */
export function ownAnswer(
  answer: OwnAnswer,
  requestId: string,
  details: string,
  isHead: boolean,
  persist: boolean,
  dateLine: string,
  page: ErrorPage | undefined,
): string {
  const body = page === undefined ? `${answer.status} ${answer.reason}\n` : page.body.toString('latin1')
  const type = page === undefined ? 'text/plain; charset=utf-8' : page.contentType
  let text =
    `HTTP/1.1 ${answer.status} ${answer.reason}\r\n${dateLine}` +
    `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\nCache-Control: no-store\r\n`
  if (answer.error !== '')
    text += `Proxy-Status: ${pseudonym}; error=${answer.error}${details === '' ? '' : `; details="${details}"`}\r\n`
  if (requestId !== '') text += `X-Request-Id: ${requestId}\r\n`
  if (answer.status === 503) text += 'Retry-After: 1\r\n'
  if (answer.status === 405 || answer.status === 200) text += 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n'
  if (!persist) text += 'Connection: close\r\n'
  return text + '\r\n' + (isHead ? '' : body)
}

/** An answer that a rule or a route gives, complete. */
export function fixedAnswer(
  { answer, lines }: RouteAnswer,
  requestId: string,
  isHead: boolean,
  persist: boolean,
  dateLine: string,
): string {
  const body = Buffer.from(answer.body, 'utf8').toString('latin1')
  let text = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}\r\n${dateLine}${lines}`
  if (!bodiless.has(answer.status)) text += `Content-Type: ${answer.contentType}\r\nContent-Length: ${body.length}\r\n`
  text += `X-Request-Id: ${requestId}\r\n`
  if (!persist) text += 'Connection: close\r\n'
  return text + '\r\n' + (isHead ? '' : body)
}

/** RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5. */
const bodiless = new Set([204, 304])
