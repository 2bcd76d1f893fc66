/**
 * Every bound and every timer of the HTTP/1.1 engine, in one place, with its default and the reason for it.
 * Sources: RFC 9112 and 9110 where named; else what gateways with many users settled on. Times are ms, sizes bytes.
 */

export interface WireLimits {
  /** Longest request-target; longer is 414. RFC 9112 section 3 asks for request lines of at least 8000. */
  readonly targetBytes: number
  /** Longest head (request line or status line and header section); longer is 431, from an upstream 502. */
  readonly headBytes: number
  /** Most header lines in a head; more is 431, from an upstream 502. */
  readonly headerLines: number
  /** Largest request body; larger is 413. Infinity: no limit. */
  readonly bodyBytes: number
  /** Most bytes of chunk extensions in one message (RFC 9112 section 7.1.1). */
  readonly chunkExtensionBytes: number
  /** Most bytes of a trailer section. */
  readonly trailerBytes: number
  /** Most 1xx answers before the final one. */
  readonly informational: number
  /** Bytes of pipelined requests held while an answer is under way; then reading stops. */
  readonly pipelinedBytes: number
  /** Bytes discarded after an error so that the client reads its answer (RFC 9112 section 9.6). */
  readonly lingerBytes: number
  /** Bytes of request bodies kept for another attempt, all requests together; beyond, a request is not repeated. */
  readonly replayBytes: number
  /** Connections of clients, all listeners together; more are closed at once. */
  readonly connections: number
  /** Connections from one client address; more are closed at once. Infinity: no limit. */
  readonly connectionsPerClient: number
  /** Connections to one endpoint; beyond, another endpoint is taken, or the answer is 503. */
  readonly connectionsPerEndpoint: number
  /** Idle connections kept per endpoint. */
  readonly idleConnectionsPerEndpoint: number

  /** From the first byte of a head to its last: a total, so that a byte a second gains nothing. Then 408. */
  readonly headTimeoutMs: number
  /** From accept to the first byte; then closed without an answer. */
  readonly firstRequestTimeoutMs: number
  /** Between two requests of a client; then closed without an answer. */
  readonly keepAliveTimeoutMs: number
  /** Between two bytes of a request body; then 408. */
  readonly bodyIdleTimeoutMs: number
  /** After this long a request body must have come at `bodyRateMin` on average; else 408. */
  readonly bodyRateGraceMs: number
  /** Bytes per second. */
  readonly bodyRateMin: number
  /** A client that takes none of its answer for this long is cut off. */
  readonly writeStallTimeoutMs: number
  /** No byte either way for this long ends a tunnel. */
  readonly tunnelIdleTimeoutMs: number
  /** How long a connection is drained after its last answer. */
  readonly lingerTimeoutMs: number
  /** Idle connections to endpoints are closed after this; below the 5 s after which Node servers close theirs. */
  readonly upstreamIdleTimeoutMs: number
}

export const defaultWireLimits: WireLimits = Object.freeze({
  targetBytes: 8_192,
  headBytes: 65_536,
  headerLines: 100,
  bodyBytes: Infinity,
  chunkExtensionBytes: 16_384,
  trailerBytes: 16_384,
  informational: 16,
  pipelinedBytes: 65_536,
  lingerBytes: 1_048_576,
  replayBytes: 67_108_864,
  connections: 16_384,
  connectionsPerClient: Infinity,
  connectionsPerEndpoint: 1_024,
  idleConnectionsPerEndpoint: 1_024,
  headTimeoutMs: 10_000,
  firstRequestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  bodyIdleTimeoutMs: 30_000,
  bodyRateGraceMs: 10_000,
  bodyRateMin: 1_024,
  writeStallTimeoutMs: 30_000,
  tunnelIdleTimeoutMs: 3_600_000,
  lingerTimeoutMs: 2_000,
  upstreamIdleTimeoutMs: 4_000,
})
