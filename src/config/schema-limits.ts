/**
 * The settings below `limits`: every bound of the wire, named without its unit. Defaults are the wire's own
 * (`wire/limits.ts`), so that there is one place to change one. Pure.
 */
import { defaultWireLimits } from '../wire/limits.ts'
import type { WireLimits } from '../wire/limits.ts'
import { section, withDefault, withOwnDefaults } from './declare.ts'
import type { Setting } from './declare.ts'
import { duration, integer, size } from './scalars.ts'

const KiB = 1_024
const MiB = 1_048_576
const hour = 3_600_000

interface Limit {
  readonly key: string
  readonly type: Setting<number>
  readonly about: string
}

const timeout = duration({ min: 10, max: hour })
const bytes = size({ min: 1 * KiB, max: 64 * MiB })
const count = integer({ min: 1, max: 1_000_000 })
const countOrNone = integer({ min: 1, max: 1_000_000, unlimited: true })

const limits: { readonly [F in keyof WireLimits]: Limit } = {
  targetBytes: {
    key: 'target',
    type: size({ min: 256, max: 1 * MiB }),
    about: 'Longest request-target (path and query); longer ones are answered 414.',
  },
  headBytes: {
    key: 'head',
    type: size({ min: 1 * KiB, max: 1 * MiB }),
    about: 'Longest head, first line and headers together; a longer one is answered 431, from an instance 502.',
  },
  headerLines: {
    key: 'headerLines',
    type: integer({ min: 10, max: 10_000 }),
    about: 'Most header lines in a head; more are answered 431, from an instance 502.',
  },
  bodyBytes: {
    key: 'body',
    type: size({ min: 0, max: 2 ** 50, unlimited: true }),
    about: 'Largest request body; a larger one is answered 413.',
  },
  chunkExtensionBytes: {
    key: 'chunkExtensions',
    type: size({ min: 0, max: 1 * MiB }),
    about: 'Most bytes of chunk extensions in one message.',
  },
  trailerBytes: {
    key: 'trailers',
    type: size({ min: 0, max: 1 * MiB }),
    about: 'Longest trailer section of a message.',
  },
  informational: {
    key: 'informational',
    type: integer({ min: 0, max: 1_000 }),
    about: 'Most 1xx answers that an instance may send before the final one.',
  },
  pipelinedBytes: {
    key: 'pipelined',
    type: bytes,
    about: 'Bytes of further requests held while an answer is under way; then reading stops until it is sent.',
  },
  lingerBytes: {
    key: 'linger',
    type: size({ min: 0, max: 64 * MiB }),
    about: 'Bytes read and dropped after an early error answer, so that the client gets to read it.',
  },
  replayBytes: {
    key: 'replay',
    type: size({ min: 0, max: 2 ** 40 }),
    about: 'Request bodies kept for another attempt, all requests together; beyond, a request is not repeated.',
  },
  connections: {
    key: 'connections',
    type: count,
    about: 'Client connections, all listeners together; more are closed at once.',
  },
  connectionsPerClient: {
    key: 'connectionsPerClient',
    type: countOrNone,
    about: 'Connections from one client address; more are closed at once.',
  },
  connectionsPerEndpoint: {
    key: 'connectionsPerEndpoint',
    type: count,
    about: 'Connections to one instance; beyond, another is taken, or the answer is 503.',
  },
  idleConnectionsPerEndpoint: {
    key: 'idleConnectionsPerEndpoint',
    type: integer({ min: 0, max: 1_000_000 }),
    about: 'Idle connections kept to one instance.',
  },
  headTimeoutMs: {
    key: 'headTimeout',
    type: timeout,
    about: 'From the first byte of a head to its last, as a total; then 408.',
  },
  firstRequestTimeoutMs: {
    key: 'firstRequestTimeout',
    type: timeout,
    about: 'From accepting a connection to its first byte; then it is closed without an answer.',
  },
  keepAliveTimeoutMs: {
    key: 'keepAliveTimeout',
    type: timeout,
    about: "Between two requests on a client's connection; then it is closed without an answer.",
  },
  bodyIdleTimeoutMs: {
    key: 'bodyIdleTimeout',
    type: timeout,
    about: 'Between two bytes of a request body; then 408.',
  },
  bodyRateGraceMs: {
    key: 'bodyRateGrace',
    type: timeout,
    about: 'After this long a request body must have come at `bodyRateMin` on average; else 408.',
  },
  bodyRateMin: {
    key: 'bodyRateMin',
    type: size({ min: 0, max: 64 * MiB }),
    about: 'Least average rate of a request body, per second. 0: any.',
  },
  writeStallTimeoutMs: {
    key: 'writeStallTimeout',
    type: timeout,
    about: 'A client that takes none of its answer for this long is cut off.',
  },
  tunnelIdleTimeoutMs: {
    key: 'tunnelIdleTimeout',
    type: duration({ min: 1_000, max: 168 * hour }),
    about: 'A tunnel (WebSocket) with no byte either way for this long ends.',
  },
  lingerTimeoutMs: {
    key: 'lingerTimeout',
    type: duration({ min: 0, max: 60_000 }),
    about: 'How long a connection is drained after its last answer.',
  },
  upstreamIdleTimeoutMs: {
    key: 'upstreamIdleTimeout',
    type: timeout,
    about: 'Idle connections to instances are closed after this; keep it below what the services use (Node: 5 s).',
  },
}

const fields = Object.entries(limits) as readonly (readonly [keyof WireLimits, Limit])[]

function limitSettings(): Record<string, Setting<number>> {
  const settings: Record<string, Setting<number>> = {}
  for (const [field, limit] of fields)
    settings[limit.key] = withDefault(limit.type, defaultWireLimits[field], limit.about)
  return settings
}

/** What was written below `limits`, by setting name, with defaults filled in. */
export const limitsSchema: Setting<Readonly<Record<string, number>>> = withOwnDefaults(
  section(limitSettings()),
  'Bounds and timers of the HTTP engine. The defaults suit the open internet.',
)

/** The wire's names for what {@link limitsSchema} read. */
export function wireLimits(written: Readonly<Record<string, number>>): WireLimits {
  const result: Record<string, number> = { ...defaultWireLimits }
  for (const [field, limit] of fields) result[field] = written[limit.key] ?? defaultWireLimits[field]
  return Object.freeze(result) as unknown as WireLimits
}
