/**
 * The settings that a service may have of its own, and `defaults` for those that have none. Declared as in `schema.ts`; what
 * one leaves out is inherited, so that nothing here has a default, only the built-in policy shown. Pure.
 */
import { defaultPipelining, defaultServicePolicy } from '../policy/policy.ts'
import type { HealthSettings, PipeliningSettings, ServiceSettings, TlsSettings } from './config.ts'
import { Because, choice, optional, orWord, scalar, section, shapeOf, shorthand } from './declare.ts'
import type { Setting } from './declare.ts'
import { duration, flag, headerName, hostName, integer, path, share, size } from './scalars.ts'
import { affinitySchema, hashSchema, trafficKeys } from './schema-traffic.ts'

const second = 1_000
const minute = 60_000
const hour = 3_600_000

const built = defaultServicePolicy

/** A setting of a service: what it leaves out comes from `defaults`, in the end from `value`. */
function inherited<T>(type: Setting<T>, value: T, about: string): Setting<T | undefined> {
  const shape = shapeOf(type)
  return optional(type, about, shape?.kind === 'scalar' ? shape.format(value) : undefined)
}

const { health } = built

/** The path and query of a probe, as it goes into its request line. */
const probePath: Setting<string> = scalar({
  type: 'path',
  expected: 'a path such as /healthz',
  parse(text) {
    if (!text.startsWith('/')) return new Because('it must start with /')
    return /^[!$-;=?-[\]_a-z~]{1,1024}$/.test(text) ? text : undefined
  },
})

const healthSchema: Setting<HealthSettings> = section({
  mode: inherited(
    choice('act', 'observe', 'off'),
    health.mode,
    'Whether ejections are carried out, only told (log, metrics, ledger), or not even judged.',
  ),
  http: optional(
    probePath,
    'Path of a periodic probe by GET: 2xx and 3xx are good. Also asked when an instance is suspected.',
    'none is made; on suspicion `HEAD /`, and any answer is good',
  ),
  tcp: inherited(flag(), health.tcp, 'A periodic probe that only connects; not together with `http`.'),
  interval: inherited(
    duration({ min: 100, max: hour }),
    health.intervalMs,
    'Between two periodic probes of an instance, give or take a tenth.',
  ),
  timeout: inherited(duration({ min: 10, max: minute }), health.timeoutMs, 'How long a periodic probe may take.'),
  unhealthyThreshold: inherited(
    integer({ min: 1, max: 100 }),
    health.unhealthyThreshold,
    'Failed periodic probes in a row that eject.',
  ),
  healthyThreshold: inherited(
    integer({ min: 1, max: 100 }),
    health.healthyThreshold,
    'Good periodic probes in a row that bring back.',
  ),
  identity: optional(
    headerName(),
    "Header of a probe's answer that must equal the Consul service id; another value ejects: the address is somebody else's.",
    'not asked',
  ),
  consecutiveFailures: inherited(
    integer({ min: 0, max: 1_000 }),
    health.consecutiveFailures,
    'Failures in a row (5xx, broken connections, timeouts) that eject; 0: none do.',
  ),
  failureRate: inherited(
    share(),
    health.failureRate,
    'Share of failures within `window` that ejects, where the other instances do clearly better; 0%: none does.',
  ),
  requestVolume: inherited(
    integer({ min: 1, max: 100_000 }),
    health.requestVolume,
    'Least answers within `window` for `failureRate` to be judged.',
  ),
  window: inherited(duration({ min: second, max: 10 * minute }), health.windowMs, 'What `failureRate` looks back on.'),
  baseEjection: inherited(
    duration({ min: 100, max: hour }),
    health.baseEjectionMs,
    'How long the first ejection for failures lasts; each further one twice as long.',
  ),
  maxEjection: inherited(duration({ min: 100, max: 24 * hour }), health.maxEjectionMs, 'How long one lasts at most.'),
  panicThreshold: inherited(
    share(),
    health.panicThreshold,
    "Where fewer than this share of a service's instances are left, all but the certainly dead get traffic.",
  ),
  slowStart: inherited(
    duration({ min: 0, max: hour }),
    health.slowStartMs,
    'How long the weight of a new instance rises from a tenth to all of it; 0s: at once.',
  ),
})

/** `on` is TLS with what is inherited, `off` is none. */
const tlsSchema: Setting<TlsSettings | 'off'> = shorthand(
  orWord(
    section({
      verify: inherited(
        flag(),
        true,
        'Whether the certificate must be valid, of a trusted authority, and for the name.',
      ),
      ca: optional(path('the path of a file'), 'Authorities to trust, and no others, PEM; watched.', "the system's"),
      serverName: optional(
        hostName(),
        'Name to ask for (SNI) and to verify.',
        "the instance's address: a name is asked for, an IP address is only verified",
      ),
      cert: optional(path('the path of a file'), 'Client certificate, PEM; watched.', 'none is shown'),
      key: optional(path('the path of a file'), 'Its key, PEM; watched.'),
    }),
    'off',
  ),
  (value) => (value === 'on' || value === 'true' ? {} : value === 'false' ? 'off' : value),
)

/** `on` is pipelining with what is inherited, `off` is none. */
const pipeliningSchema: Setting<PipeliningSettings | 'off'> = shorthand(
  orWord(
    section({
      requests: inherited(
        integer({ min: 2, max: 32 }),
        defaultPipelining.requests,
        'Most requests sent together on one connection.',
      ),
      wait: inherited(
        duration({ min: 1, max: second }),
        defaultPipelining.waitMs,
        "How long a request waits behind another's answer before it is sent anew on a connection of its own; twice as long as instances usually take, up to 100ms, where that is more.",
      ),
    }),
    'off',
  ),
  (value) => (value === 'on' || value === 'true' ? {} : value === 'false' ? 'off' : value),
)

/** Settings of one service; exported for `services` and `defaults`. */
export const serviceSchema: Setting<ServiceSettings> = section({
  ...trafficKeys,
  balance: inherited(
    choice('least-request', 'round-robin', 'hash'),
    built.balance,
    'How an instance is picked: the less loaded of two chosen at random; in turn; or by `hash`.',
  ),
  hash: optional(hashSchema, 'What `balance: hash` goes by.', 'the client address'),
  affinity: optional(
    affinitySchema,
    'Keeps a client on one instance by a cookie, as long as that is available; `off`: not.',
    'off',
  ),
  timeouts: optional(
    section({
      connect: inherited(
        duration({ min: 10, max: minute }),
        built.timeouts.connectMs,
        'Until a connection to an instance stands.',
      ),
      firstByte: inherited(
        duration({ min: 10, max: hour }),
        built.timeouts.firstByteMs,
        'From the request being sent until the head of its answer is there; then 504.',
      ),
      idle: inherited(duration({ min: 10, max: 24 * hour }), built.timeouts.idleMs, 'Between two bytes of an answer.'),
    }),
    'How long instances may take.',
  ),
  retry: optional(
    section({
      attempts: inherited(
        integer({ min: 1, max: 10 }),
        built.retry.attempts,
        'Attempts for one request, the first included.',
      ),
      budget: inherited(share(), built.retry.budget, 'Retries allowed, as a share of the requests in flight.'),
      body: inherited(
        size({ min: 0, max: 64 * 2 ** 20 }),
        built.retry.bodyBytes,
        'Largest request body kept so that it can be sent again.',
      ),
    }),
    'When a request is sent again, to another instance.',
  ),
  health: optional(healthSchema, 'How instances are judged, besides what the catalog says of them.'),
  drain: optional(
    section({
      deadline: inherited(
        duration({ min: 0, max: 24 * hour }),
        built.drain.deadlineMs,
        'How long requests may go on at an instance that leaves (deregistered, or in maintenance); then 504, or cut.',
      ),
      tunnelDeadline: inherited(
        duration({ min: 0, max: 168 * hour }),
        built.drain.tunnelDeadlineMs,
        'How long tunnels (WebSocket) may.',
      ),
    }),
    'What an instance that leaves may still finish.',
  ),
  tls: optional(tlsSchema, 'HTTPS to the instances; `on` and `off` alone will do.', 'off'),
  pipelining: optional(
    pipeliningSchema,
    'Sends safe requests that come at the same moment together, one behind another on one connection; `on` and `off` alone will do.',
    'off',
  ),
})
