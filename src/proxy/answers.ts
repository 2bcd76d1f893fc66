/**
 * Every answer that Fairlead makes itself: one table from cause to status, RFC 9209 error type and text. Nothing of the
 * request is echoed. The causes are the words of the access log too. Source: RFC 9110 section 15, RFC 6585, RFC 9209.
 */

export interface OwnAnswer {
  readonly status: number
  readonly reason: string
  /** The `error` of Proxy-Status. */
  readonly error: string
}

const answer = (status: number, reason: string, error: string): OwnAnswer => ({ status, reason, error })

const byStatus = new Map<number, OwnAnswer>([
  [400, answer(400, 'Bad Request', 'http_request_error')],
  [405, answer(405, 'Method Not Allowed', 'http_request_denied')],
  [408, answer(408, 'Request Timeout', 'http_request_error')],
  [413, answer(413, 'Content Too Large', 'http_request_error')],
  [414, answer(414, 'URI Too Long', 'http_request_error')],
  [417, answer(417, 'Expectation Failed', 'http_request_error')],
  [431, answer(431, 'Request Header Fields Too Large', 'http_request_error')],
  [501, answer(501, 'Not Implemented', 'http_request_error')],
  [505, answer(505, 'HTTP Version Not Supported', 'http_request_error')],
])

const badRequest = answer(400, 'Bad Request', 'http_request_error')

/** The answer to a request that was refused by its bytes. */
export function refusalAnswer(status: number): OwnAnswer {
  return byStatus.get(status) ?? badRequest
}

export type OwnAnswerName =
  | 'finalRecipient'
  | 'noRoute'
  | 'denied'
  | 'noEndpoint'
  | 'connectionLimit'
  | 'shutdown'
  | 'lengthRequired'
  | 'unfinished'
  | 'loop'
  | 'refused'
  | 'unreachable'
  | 'terminated'
  | 'invalid'
  | 'untrusted'
  | 'noTls'
  | 'upgradeFailed'
  | 'connectTimeout'
  | 'responseTimeout'

/** Answers to requests that could be read. */
export const own: Readonly<Record<OwnAnswerName, OwnAnswer>> = {
  /** OPTIONS whose Max-Forwards ended here (RFC 9110 section 7.6.2). */
  finalRecipient: answer(200, 'OK', ''),
  /** The route is not for this client's address. */
  denied: answer(403, 'Forbidden', 'http_request_denied'),
  noRoute: answer(404, 'Not Found', 'destination_not_found'),
  noEndpoint: answer(503, 'Service Unavailable', 'destination_unavailable'),
  connectionLimit: answer(503, 'Service Unavailable', 'connection_limit_reached'),
  /** The time to finish in is over, and nothing was sent. */
  shutdown: answer(503, 'Service Unavailable', 'proxy_internal_response'),
  /** It was sent, and waited as long as an instance that leaves, or a proxy that ends, may take. It may have been done. */
  unfinished: answer(504, 'Gateway Timeout', 'http_response_timeout'),
  /** The instance speaks HTTP/1.0, and the body is too large to be kept until its length is known. */
  lengthRequired: answer(411, 'Length Required', 'http_request_error'),
  loop: answer(508, 'Loop Detected', 'proxy_loop_detected'),
  /** Nobody listens where anybody should: nothing was sent, and trying again later may help. */
  refused: answer(503, 'Service Unavailable', 'connection_refused'),
  unreachable: answer(503, 'Service Unavailable', 'destination_ip_unroutable'),
  terminated: answer(502, 'Bad Gateway', 'connection_terminated'),
  invalid: answer(502, 'Bad Gateway', 'http_protocol_error'),
  /** Whoever answers there cannot show that it is who it should be: nothing was sent. */
  untrusted: answer(502, 'Bad Gateway', 'tls_certificate_error'),
  noTls: answer(502, 'Bad Gateway', 'tls_protocol_error'),
  upgradeFailed: answer(502, 'Bad Gateway', 'http_upgrade_failed'),
  connectTimeout: answer(504, 'Gateway Timeout', 'connection_timeout'),
  responseTimeout: answer(504, 'Gateway Timeout', 'http_response_timeout'),
}

/** A file's content in place of the short text, by status. */
export interface ErrorPage {
  readonly body: Buffer
  readonly contentType: string
}
