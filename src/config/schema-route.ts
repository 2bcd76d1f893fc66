/** The settings of one route. Declared as in `schema.ts`. Pure. */
import type { AccessPolicy, HeaderChanges, ShapingPolicy } from '../policy/traffic.ts'
import { noHeaderChanges } from '../policy/traffic.ts'
import { cidr, hostPattern, pathPrefix } from './addresses.ts'
import type { RouteConfig } from './config.ts'
import { Because, list, mapped, named, optional, scalar, section, withDefault } from './declare.ts'
import type { Setting } from './declare.ts'
import { headerName, plainText } from './scalars.ts'
import { redirectSchema, trafficKeys } from './schema-traffic.ts'

/** Those that frame a message or belong to a connection, and those that Fairlead writes itself. */
const ours = new Set([
  'connection',
  'content-length',
  'date',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'proxy-connection',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
])

const changeable: Setting<string> = mapped(headerName(), 'the name of a header that may be changed', (name) =>
  ours.has(name) ? new Because(`${name} is Fairlead's own to write`) : name,
)

/** Written as it will be sent. */
const changeableAsWritten: Setting<string> = scalar({
  type: 'header',
  expected: 'the name of a header that may be changed',
  parse(text) {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text)) return undefined
    return ours.has(text.toLowerCase()) ? new Because(`${text} is Fairlead's own to write`) : text
  },
})

/** RFC 9110 section 5.5, without what is obsolete. */
const headerValue: Setting<string> = scalar({
  type: 'text',
  expected: 'a header value of at most 4096 printable ASCII characters, without blanks at its ends',
  parse: (text) => (/^(?:[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?)?$/.test(text) ? text : undefined),
})

/** Names are the same in any case; two that differ in nothing else would both be sent. */
const onceEach = (setting: Setting<ReadonlyMap<string, string>>): Setting<ReadonlyMap<string, string>> =>
  mapped(setting, 'each header once', (values) => {
    const seen = new Set<string>()
    for (const name of values.keys()) {
      if (seen.has(name.toLowerCase())) return new Because(`${name} stands there twice, in other letters`)
      seen.add(name.toLowerCase())
    }
    return values
  })

const changesSchema: Setting<HeaderChanges> = section({
  remove: withDefault(list(changeable, 'header names', 100), [], 'Headers to take out.', 'none'),
  set: withDefault(
    onceEach(named(changeableAsWritten, headerValue, 'values by header', 100)),
    noHeaderChanges.set,
    'Headers to put in the place of those of the same name.',
    'none',
  ),
  add: withDefault(
    named(changeableAsWritten, headerValue, 'values by header', 100),
    noHeaderChanges.add,
    'Headers to put beside those of the same name.',
    'none',
  ),
})

/** A path to take off or put in front; a trailing `/` is dropped, and `/` itself is nothing. */
const pathPart: Setting<string> = mapped(pathPrefix(), 'a path such as /api', (path) =>
  path === '/' ? new Because('it changes nothing') : path,
)

const upstreamHost: Setting<ShapingPolicy['host'] | 'client'> = scalar<ShapingPolicy['host'] | 'client'>({
  type: 'client \\| instance \\| host',
  expected: 'client, instance or a host such as app.internal',
  parse(text) {
    if (text === 'client') return 'client'
    if (text === 'instance') return { kind: 'instance' }
    const [, name = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(text) ?? []
    const host = hostPattern().safeParse(name).data
    if (host === undefined || host.startsWith('*.')) return undefined
    return { kind: 'name', name: port === undefined ? host : `${host}:${port}` }
  },
  format: (host) => (typeof host === 'object' ? (host.kind === 'name' ? host.name : 'instance') : 'client'),
})

const ranges = (): Setting<readonly string[]> => list(cidr(), 'CIDR ranges', 10_000)

/** One route; exported so that each can be judged by itself. */
export const routeSchema: Setting<RouteConfig> = mapped(
  section({
    host: withDefault(hostPattern(), '', 'Exact, or `*.example.com` for any name below it.', 'any host'),
    path: withDefault(
      pathPrefix(),
      '/',
      'Prefix that ends on a segment boundary: `/cart` matches `/cart/1`, not `/carts`.',
    ),
    service: optional(
      plainText('the name of a service'),
      'The service that answers, by its name in the catalog. Required without `redirect`.',
    ),
    redirect: optional(redirectSchema, 'Answers with a redirect instead.', 'none'),
    ...trafficKeys,
    strip: optional(pathPart, 'Taken off the front of the path before it goes upstream.', 'nothing'),
    prepend: optional(pathPart, 'Then put in front of it.', 'nothing'),
    hostHeader: optional(
      upstreamHost,
      "Host as the instance sees it: the client's, the instance's own `address:port`, or this one.",
      'client',
    ),
    headers: optional(
      section({
        request: withDefault(changesSchema, noHeaderChanges, 'On the way to the instance.', 'none'),
        response: withDefault(changesSchema, noHeaderChanges, 'On the way to the client.', 'none'),
      }),
      'Headers to remove, set and add, in this order.',
      'none',
    ),
    allow: withDefault(ranges(), [], 'Client addresses that may; others get 403.', 'everybody'),
    deny: withDefault(ranges(), [], 'Client addresses that may not, whatever `allow` says.', 'none'),
  }),
  'a service, or a redirect',
  ({
    host,
    path,
    service,
    redirect,
    strip,
    prepend,
    hostHeader,
    headers,
    allow,
    deny,
    ...traffic
  }): RouteConfig | Because => {
    if (service === undefined && redirect === undefined) {
      const shared = (['split', 'failover', 'versions'] as const).find((key) => traffic[key] !== undefined)
      return new Because(
        shared === undefined
          ? 'neither stands here'
          : `beside ${shared} a route needs service: the one whose settings hold for it and that parts without a service mean`,
      )
    }
    if (service !== undefined && redirect !== undefined) return new Because('both stand here')
    const access: AccessPolicy | undefined = allow.length + deny.length > 0 ? Object.freeze({ allow, deny }) : undefined
    const shaped = strip !== undefined || prepend !== undefined || hostHeader !== undefined || headers !== undefined
    const shaping: ShapingPolicy | undefined = shaped
      ? Object.freeze({
          strip,
          prepend,
          host: hostHeader === 'client' ? undefined : hostHeader,
          request: headers?.request ?? noHeaderChanges,
          response: headers?.response ?? noHeaderChanges,
        })
      : undefined
    return Object.freeze({ host, path, service: service ?? '', redirect, traffic, shaping, access })
  },
)
