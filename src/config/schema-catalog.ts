/**
 * The settings below `catalog`: where Fairlead learns what is running. One source, or a list of them. Pure.
 */
import { waitDefaultMs } from '../catalog/consul/options.ts'
import { consulAddress, hostPort } from './addresses.ts'
import { list, optional, required, section, shorthand, withDefault, withOwnDefaults } from './declare.ts'
import type { Setting } from './declare.ts'
import { duration, flag, path, plainText, secret } from './scalars.ts'

export interface ConsulEntry {
  readonly name: string | undefined
  readonly address: string | undefined
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly datacenter: string | undefined
  readonly stale: boolean
  readonly wait: number
  readonly tls: {
    readonly ca: string | undefined
    readonly cert: string | undefined
    readonly key: string | undefined
    readonly serverName: string | undefined
    readonly verify: boolean | undefined
  }
}

export interface FileEntry {
  readonly path: string
  readonly name: string | undefined
}

export interface EmbeddedEntry {
  readonly name: string | undefined
  readonly address: { readonly host: string; readonly port: number }
  readonly stateDir: string | undefined
}

/** Exactly one of the three is set; `cross-check.ts` sees to it. */
export interface CatalogEntry {
  readonly consul: ConsulEntry | undefined
  readonly file: FileEntry | undefined
  readonly embedded: EmbeddedEntry | undefined
}

const name: Setting<string | undefined> = optional(
  plainText('a name for the source', 64),
  'Its name in logs and metrics; unique.',
  "the source's kind",
)

const consul: Setting<ConsulEntry> = section({
  name,
  address: optional(
    consulAddress(),
    'The agent to ask: `http://`, `https://` or `unix:/path`.',
    '`CONSUL_HTTP_ADDR`, else `http://127.0.0.1:8500`',
  ),
  token: optional(secret('a token'), 'ACL token; better kept in a file or the environment.', '`CONSUL_HTTP_TOKEN`'),
  tokenFile: optional(
    path('the path of a file with a token'),
    'File with the ACL token; read again when it changes.',
    '`CONSUL_HTTP_TOKEN_FILE`',
  ),
  datacenter: optional(
    plainText('the name of a datacenter'),
    'Datacenter to ask about.',
    "`CONSUL_DATACENTER`, else the agent's own",
  ),
  stale: withDefault(
    flag(),
    true,
    'Any server may answer, not just the leader: survives elections, and may lag by milliseconds.',
  ),
  wait: withDefault(
    duration({ min: 1_000, max: 600_000 }),
    waitDefaultMs,
    'How long Consul may hold a question for which there is nothing new.',
  ),
  tls: withOwnDefaults(
    section({
      ca: optional(path('the path of a file'), 'Authorities to trust, PEM.', "`CONSUL_CACERT`, else the system's"),
      cert: optional(path('the path of a file'), 'Client certificate, PEM.', '`CONSUL_CLIENT_CERT`'),
      key: optional(path('the path of a file'), 'Its key, PEM.', '`CONSUL_CLIENT_KEY`'),
      serverName: optional(
        plainText('a host name'),
        'Name to ask for and to verify.',
        "`CONSUL_TLS_SERVER_NAME`, else the address's host",
      ),
      verify: optional(flag(), 'Whether the certificate must be valid.', '`CONSUL_HTTP_SSL_VERIFY`, else `true`'),
    }),
    'For an `https://` address.',
  ),
})

const file: Setting<FileEntry> = section({
  path: required(path('the path of a file'), 'Consul service definitions, JSON or YAML; watched.'),
  name,
})

const embedded: Setting<EmbeddedEntry> = section({
  address: withDefault(hostPort(), { host: '127.0.0.1', port: 8500 }, "Where Consul's HTTP API is spoken."),
  stateDir: optional(path('the path of a folder'), 'Keeps registrations and KV.', 'the top-level `stateDir`'),
  name,
})

const entry: Setting<CatalogEntry> = section({
  consul: optional(consul, 'A Consul agent, watched.'),
  file: optional(
    shorthand(file, (value) => (typeof value === 'string' ? { path: value } : value)),
    'Consul service definitions in a file; the path alone will do.',
  ),
  embedded: optional(embedded, "Fairlead's own catalog, in this process."),
})

/** One source or a list; always a list inside. Empty: Consul, as the environment says. */
export const catalogSchema: Setting<readonly CatalogEntry[]> = withDefault(
  shorthand(list(entry, 'sources'), (value) => (Array.isArray(value) ? value : [value])),
  [],
  'Where Fairlead learns what is running: one of these, or a list of them, whose instances are merged.',
  'Consul, as the environment says',
)
