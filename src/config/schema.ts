/**
 * Every setting, declared once: name, type, unit, bounds, default and what it does. Validation, messages, spelling help
 * and the README's reference all come from here. What depends on other settings is in `cross-check.ts`. Pure.
 */
import type { HostClaim } from '../policy/host-claims.ts'
import { defaultVersionFrom } from '../policy/policy.ts'
import { cidr, hostPattern, hostPort, optionalAddress } from './addresses.ts'
import type { AccessLog, Address, AdminToken, LogLevel, RouteConfig, ServiceSettings } from './config.ts'
import {
  Because,
  choice,
  list,
  named,
  optional,
  orWord,
  required,
  scalar,
  section,
  withDefault,
  withOwnDefaults,
} from './declare.ts'
import type { Setting } from './declare.ts'
import { duration, integer, maybeText, path, plainText, flag } from './scalars.ts'
import { catalogSchema } from './schema-catalog.ts'
import type { CatalogEntry } from './schema-catalog.ts'
import { limitsSchema } from './schema-limits.ts'
import { routeSchema } from './schema-route.ts'
import { serviceSchema } from './schema-service.ts'
import { workersMax, type Workers } from './workers.ts'

/** The file as written, with the defaults that depend on nothing else. `resolve.ts` makes a Config of it. */
export interface FileConfig {
  readonly listen: readonly ListenEntry[]
  readonly status: { readonly address: Address | 'off' }
  readonly admin: { readonly address: Address | 'off'; readonly tokens: readonly AdminToken[] }
  readonly zone: string
  readonly catalog: readonly CatalogEntry[]
  readonly register: RegisterEntry | undefined
  readonly policy: {
    readonly tags: string | false | undefined
    readonly kv: string | false
    readonly consulEntries: boolean
    readonly claims: readonly HostClaim[] | undefined
    readonly addresses: readonly string[] | undefined
  }
  readonly routes: readonly RouteConfig[]
  readonly services: ReadonlyMap<string, ServiceSettings>
  readonly defaults: ServiceSettings
  readonly versionFrom: { readonly meta: string; readonly tag: string }
  readonly workers: Workers
  readonly stateDir: string | undefined
  readonly shutdown: { readonly lameDuck: number; readonly deadline: number }
  readonly log: { readonly level: LogLevel; readonly access: AccessLog }
  readonly limits: Readonly<Record<string, number>>
  readonly errorPages: ReadonlyMap<number, string>
}

export interface ListenEntry {
  readonly address: { readonly host: string; readonly port: number }
  readonly name: string | undefined
  readonly trust: readonly string[]
}

export interface RegisterEntry {
  readonly source: string | undefined
  readonly service: string
  readonly id: string | undefined
  readonly address: string | undefined
  readonly port: number | undefined
  readonly tags: readonly string[]
  readonly meta: ReadonlyMap<string, string>
  readonly ttl: number
  readonly deregisterAfter: number
}

const second = 1_000
const minute = 60_000
const hour = 3_600_000

const serviceName = plainText('the name of a service')

/** One listener; exported so that each can be judged by itself. */
export const listenSchema: Setting<ListenEntry> = section({
  address: required(hostPort(), 'Where clients connect. Port 0 lets the system choose one.'),
  name: optional(plainText('a name for the listener', 64), 'Its name in logs and metrics.', 'its address'),
  trust: withDefault(
    list(cidr(), 'CIDR ranges'),
    [],
    'Peers whose Forwarded and X-Forwarded-* headers are believed; from all others they are replaced.',
    'none',
  ),
})

const claimSchema: Setting<HostClaim> = section({
  service: required(
    plainText('the name of a service, or a pattern such as shop-*'),
    'Its name; `*` is any characters.',
  ),
  hosts: required(
    list(orWord(hostPattern(), '*'), 'hosts', 1_000),
    'Exact, `*.example.com` for any name below it, or `*` for any host and for tags without one.',
  ),
})

const tagsSetting: Setting<string | false> = scalar<string | false>({
  type: 'text \\| false',
  expected: 'the beginning of tags that make routes, such as urlprefix-, or false',
  parse(text) {
    if (text === 'false') return false
    if (text === '') return new Because('an empty beginning would make a route of every tag')
    // A prefix of such a name is nobody's wish: no tag begins so, and the routes of a whole fleet would silently be gone.
    if (/^(?:true|false|on|off|yes|no|y|n|null|~)$/i.test(text))
      return new Because('write false, or a prefix such as urlprefix-')
    return /^[\x21-\x7e]{1,64}$/.test(text) ? text : undefined
  },
})

const kvSetting: Setting<string | false> = scalar<string | false>({
  type: 'text \\| false',
  expected: 'a prefix of keys such as fairlead, or false',
  parse(text) {
    if (text === 'false') return false
    const prefix = text.replace(/^\/+|\/+$/g, '')
    return /^[A-Za-z0-9._~-]{1,64}(?:\/[A-Za-z0-9._~-]{1,64}){0,7}$/.test(prefix) ? prefix : undefined
  },
})

const statusCode: Setting<number> = scalar({
  type: 'status',
  expected: 'a status code of 400 to 599',
  parse: (text) => (/^[45]\d\d$/.test(text) ? Number(text) : undefined),
})

const tokenSchema: Setting<AdminToken> = section({
  name: required(
    scalar({
      type: 'text',
      expected: 'a name of letters, digits and . _ @ -, 64 at most',
      parse: (text) => {
        // Whoever needs no token is called so.
        if (text === 'local') return new Because('that is what those without a token are called')
        return /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(text) ? text : undefined
      },
    }),
    'Who it is; stands in logs and beside orders.',
  ),
  file: required(
    path('the path of a file'),
    'Holds the token: at least 128 bits of chance, such as 32 hexadecimal digits. Read again when it changes.',
  ),
  role: withDefault(choice('operate', 'read'), 'read', '`operate` may change things, `read` only look.'),
})

const registerSchema: Setting<RegisterEntry> = section({
  service: withDefault(serviceName, 'fairlead', 'The name to register under.'),
  id: optional(plainText('an id'), 'The id of the registration.', 'service, host name and port'),
  address: optional(plainText('an IP address or host name'), 'The address others shall use.', "the Consul agent's"),
  port: optional(integer({ min: 1, max: 65_535 }), 'The port others shall use.', 'that of the first listener'),
  tags: withDefault(list(plainText('a tag'), 'tags', 100), [], 'Tags of the registration.', 'none'),
  meta: withDefault(
    named(plainText('a meta key', 128), plainText('a meta value', 512), 'texts by key'),
    new Map(),
    'Meta of the registration.',
    'none',
  ),
  source: optional(plainText('the name of a source', 64), 'The source to register in.', 'the first consul source'),
  ttl: withDefault(
    duration({ min: 2 * second, max: hour }),
    15 * second,
    'The registration turns critical when the proxy has not been ready for this long.',
  ),
  deregisterAfter: withDefault(
    duration({ min: minute, max: 168 * hour }),
    10 * minute,
    'Consul removes the registration after it has been critical for this long.',
  ),
})

/** The whole file. */
export const fileSchema: Setting<FileConfig> = section({
  listen: withDefault(
    list(listenSchema, 'listeners'),
    [{ address: { host: '0.0.0.0', port: 8080 }, name: undefined, trust: [] }],
    'Where clients are served. Those that stay equal keep their sockets when the file changes.',
    '`0.0.0.0:8080`',
  ),
  status: withOwnDefaults(
    section({
      address: withDefault(optionalAddress(), { kind: 'tcp', host: '0.0.0.0', port: 8081 }, 'Where they are served.'),
    }),
    'Read-only pages: `/metrics`, `/livez`, `/readyz`.',
  ),
  admin: withOwnDefaults(
    section({
      address: withDefault(
        optionalAddress(),
        { kind: 'tcp', host: '127.0.0.1', port: 8082 },
        'Where it is served: a loopback address or a Unix socket; with `tokens`, any.',
      ),
      tokens: withDefault(
        list(tokenSchema, 'tokens', 100),
        [],
        'Who may use the API: with any, each request below /v1 needs one as `Authorization: Bearer`. Without, whoever reaches the address may.',
        'none',
      ),
    }),
    'The status pages and the API.',
  ),
  zone: withDefault(maybeText('the name of a zone'), '', 'Where this proxy is.', 'none'),
  catalog: catalogSchema,
  register: optional(
    registerSchema,
    'Registers the proxy itself in Consul, so that what stands in front can find it.',
    'it is not registered',
  ),
  policy: withOwnDefaults(
    section({
      tags: optional(
        tagsSetting,
        'Catalog tags that begin with this make routes: `urlprefix-shop.example.com/cart`. `false`: none do.',
        '`urlprefix-` while no routes are configured, else `false`',
      ),
      kv: withDefault(
        kvSetting,
        'fairlead',
        'Prefix in the KV of the first consul or embedded source, where `fairlead split` and others keep policy for all proxies. Another prefix is another environment. `false`: none is read.',
      ),
      consulEntries: withDefault(
        flag(),
        true,
        "Whether Consul's `service-router`, `service-splitter` and `service-resolver` entries of the first consul source are followed.",
        'true',
      ),
      claims: optional(
        list(claimSchema, 'claims'),
        'Which services may route which hosts by tags; what no entry allows is refused and listed. Routes of this file and of the KV need none.',
        'any service, any host',
      ),
      addresses: optional(
        list(cidr(), 'CIDR ranges'),
        'Where instances may be; with it, host names are refused. Link-local, multicast and unspecified addresses, and those ' +
          'of this proxy and its catalogs, are refused in any case.',
        'anywhere',
      ),
    }),
    'What makes routes besides this file, and where they may lead.',
  ),
  routes: withDefault(
    list(routeSchema, 'routes'),
    [],
    'Which service answers for what. An exact host beats a wildcard, a longer path a shorter one, an earlier route a later one.',
    'none',
  ),
  services: withDefault(
    named(serviceName, serviceSchema, 'settings by service name'),
    new Map(),
    'Settings of single services, by name.',
    'none',
  ),
  defaults: withDefault(serviceSchema, {}, 'Settings of every service that has none of its own; the same keys.'),
  versionFrom: withOwnDefaults(
    section({
      meta: withDefault(plainText('a meta key', 128), defaultVersionFrom.metaKey, 'The meta key that holds it.'),
      tag: withDefault(
        plainText('the beginning of a tag', 128),
        defaultVersionFrom.tagPrefix,
        'Else what follows this in a tag.',
      ),
    }),
    "Where an instance's version is looked for.",
  ),
  workers: withDefault(
    scalar<Workers>({
      type: 'integer \\| auto',
      expected: `a number of processes, 1 to ${String(workersMax)}, or auto`,
      bounds: `1 to ${String(workersMax)}`,
      parse: (text) => {
        if (text === 'auto') return text
        const count = /^\d{1,4}$/.test(text) ? Number(text) : 0
        return count >= 1 && count <= workersMax ? count : undefined
      },
    }),
    1,
    'Processes that carry requests: 1 is all in one process; with more, as many beside a control process; `auto`: one for each core. A change needs a new start.',
  ),
  stateDir: optional(
    path('the path of a folder'),
    'Folder for what shall outlive a restart; `serve --replace` finds the running proxy there.',
    'nothing is kept',
  ),
  shutdown: withOwnDefaults(
    section({
      lameDuck: withDefault(
        duration({ min: 0, max: hour }),
        2 * second,
        'After SIGTERM: not ready but still serving, for this long, so that balancers in front look elsewhere.',
      ),
      deadline: withDefault(
        duration({ min: 0, max: 24 * hour }),
        8 * second,
        'Then what runs may finish for this long before it is cut.',
      ),
    }),
    'What SIGTERM and SIGINT do.',
  ),
  log: withOwnDefaults(
    section({
      level: withDefault(choice('debug', 'info', 'warn', 'error'), 'info', 'The least that is logged.'),
      access: withDefault(
        choice('all', 'errors', 'off'),
        'all',
        'Lines for requests: all; those that went wrong (5xx, cut, refused, given up by the client); or none.',
      ),
    }),
    'What is written to standard output.',
  ),
  limits: limitsSchema,
  errorPages: withDefault(
    named(statusCode, path('the path of a file'), 'files by status code'),
    new Map(),
    'Files whose content is the body of the answers that Fairlead makes itself, by exact status.',
    'short plain texts',
  ),
})
