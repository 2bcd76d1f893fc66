/**
 * How to reach Consul and how to watch it: the settings of one Consul source, their defaults, and what the standard
 * `CONSUL_*` variables say. Pure: it reads no file and no environment itself.
 */
import type { Milliseconds } from '../../core/clock.ts'

export interface ConsulTls {
  /** Path of a PEM file with the authorities that are trusted; absent: the system's. Read again when it changes. */
  readonly ca?: string | undefined
  /** Path of a PEM file with the client's certificate. */
  readonly cert?: string | undefined
  /** Path of a PEM file with the client's key. */
  readonly key?: string | undefined
  /** The name expected in the server's certificate; default: the address's host. */
  readonly serverName?: string | undefined
  /** Default true. False accepts any certificate. */
  readonly verify?: boolean | undefined
}

/** Where Consul is and who we are. */
export interface ConsulConnection {
  /** `http://host:8500`, `https://host:8501`, `host:8500`, `unix:/path`, with or without a path prefix. */
  readonly address?: string | undefined
  readonly token?: string | undefined
  /** A file that holds the token; read again when it changes or the token is refused. Beats `token`. */
  readonly tokenFile?: string | undefined
  /** `user:password` for a proxy before Consul that wants basic authentication. */
  readonly httpAuth?: string | undefined
  /** Absent: the agent's own. */
  readonly datacenter?: string | undefined
  readonly tls?: ConsulTls | undefined
}

export interface ConsulOptions extends ConsulConnection {
  /** Unique among the sources of one proxy; default `consul`. */
  readonly name?: string | undefined
  /** Blocking queries may be answered by any server, also without a leader. Default true. */
  readonly stale?: boolean | undefined
  /** How long a blocking query may wait, 1 s to 10 min; default 60 s. */
  readonly waitMs?: Milliseconds | undefined
  /** Watches of single services above which the catalog and health streams are used instead; default 100, over HTTP/2 600. */
  readonly watchesMax?: number | undefined
  /** How long a service that lost all (after trouble: most) of its instances must stay so before it is believed; default 10 s. */
  readonly emptyHoldMs?: Milliseconds | undefined
}

export const defaultAddress = 'http://127.0.0.1:8500'
export const waitDefaultMs: Milliseconds = 60_000
export const emptyHoldDefaultMs: Milliseconds = 10_000

/** The variables the `consul` command knows, as a connection; what is unset or empty is absent. */
export function connectionFromEnv(env: Readonly<Record<string, string | undefined>>): ConsulConnection {
  const text = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const address = text('CONSUL_HTTP_ADDR')
  const ssl = truth(text('CONSUL_HTTP_SSL'))
  const verify = truth(text('CONSUL_HTTP_SSL_VERIFY'))
  const tls = dropUndefined({
    ca: text('CONSUL_CACERT'),
    cert: text('CONSUL_CLIENT_CERT'),
    key: text('CONSUL_CLIENT_KEY'),
    serverName: text('CONSUL_TLS_SERVER_NAME'),
    verify,
  })
  return dropUndefined({
    address: ssl === true ? withTls(address) : address,
    token: text('CONSUL_HTTP_TOKEN'),
    tokenFile: text('CONSUL_HTTP_TOKEN_FILE'),
    httpAuth: text('CONSUL_HTTP_AUTH'),
    datacenter: text('CONSUL_DATACENTER'),
    tls: Object.keys(tls).length === 0 ? undefined : tls,
  })
}

/**
 * Settings over environment: a setting that is given wins. A token or token file in the settings replaces both of the
 * environment's, so that a stray variable never beats a setting.
 */
export function withEnvironment(
  settings: ConsulOptions,
  env: Readonly<Record<string, string | undefined>>,
): ConsulOptions {
  const fromEnv = connectionFromEnv(env)
  const ownToken = settings.token !== undefined || settings.tokenFile !== undefined
  const tls = { ...fromEnv.tls, ...dropUndefined({ ...settings.tls }) }
  return {
    ...fromEnv,
    ...(ownToken ? { token: undefined, tokenFile: undefined } : {}),
    ...dropUndefined({ ...settings }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  }
}

/** Go's reading of a boolean, as the `consul` command does; anything else is as if unset. */
function truth(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  return undefined
}

function withTls(address: string | undefined): string | undefined {
  if (address === undefined) return 'https://127.0.0.1:8500'
  if (/^https:|^unix:/.test(address)) return address
  return `https://${address.replace(/^http:\/\//, '')}`
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T
}
