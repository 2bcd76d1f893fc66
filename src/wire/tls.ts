/**
 * TLS towards upstreams: what a pool's TLS connections are made of, and the connector that opens them (HTTP/1.1 alone, by
 * ALPN) and resumes sessions. Node does not show whether the other side announced an end (close_notify), so none is believed.
 * It reads no files.
 * Source: RFC 8446 section 6.1, RFC 9110 section 4.3.4 (which name is verified), RFC 9112 section 9.8.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { isIP, type OnReadOpts, type Socket, type SocketConstructorOpts } from 'node:net'
import {
  connect,
  type ConnectionOptions,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { codeOf, type Connector, keepAliveDelayMs } from './connector.ts'
import { distrustText } from './distrust.ts'
import { type ConnectFailure, connectFailure } from './failure.ts'

export interface TlsOptions {
  /** Whether the certificate must be valid, of a trusted authority, and for the name. */
  readonly verify: boolean
  /** The name that is asked for (SNI) and verified; undefined: the address where that is a name; an IP address is verified as one, and no name is asked for. */
  readonly serverName: string | undefined
  /** Authorities and client certificate; undefined: the system's authorities, and no client certificate. */
  readonly identity: TlsIdentity | undefined
}

/** Certificates and a key as PEM text. The key leaves by nothing that prints or serialises this. */
export interface TlsPem {
  /** Authorities to trust, and no others; undefined: the system's. */
  readonly ca: string | undefined
  /** With `key`, or neither. */
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Whom a proxy trusts and who it is itself, made ready for handshakes. */
export class TlsIdentity {
  /** Equal for equal PEM texts, and for those alone. */
  readonly digest: string
  readonly #context: SecureContext
  readonly #pem: TlsPem

  /** Throws where a text is no PEM, or the key is not the certificate's. */
  constructor({ ca, cert, key }: TlsPem) {
    this.#pem = { ca, cert, key }
    this.digest = createHash('sha256')
      .update(JSON.stringify([ca, cert, key]))
      .digest('base64url')
    this.#context = createSecureContext({
      ca: ca ?? systemAuthorities(),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      minVersion: 'TLSv1.2',
    })
  }

  /** The texts, the key among them: for another process of the same proxy alone. */
  reveal(): TlsPem {
    return this.#pem
  }

  get context(): SecureContext {
    return this.#context
  }
}

/** Whether connections made with `a` are as good as those made with `b`; undefined is no TLS. */
export function sameTls(a: TlsOptions | undefined, b: TlsOptions | undefined): boolean {
  if (a === b) return true
  if (a?.verify !== b?.verify || a?.serverName !== b?.serverName) return false
  return a?.identity?.digest === b?.identity?.digest
}

let systemIdentity: TlsIdentity | undefined

/** The system's authorities and no client certificate. Reading them takes some 100 ms the first time; kept for good. */
export function systemTlsIdentity(): TlsIdentity {
  systemIdentity ??= new TlsIdentity({ ca: undefined, cert: undefined, key: undefined })
  return systemIdentity
}

/** What the machine trusts and what NODE_EXTRA_CA_CERTS adds; on a machine without any, those that Node carries. */
function systemAuthorities(): string[] {
  const own = getCACertificates('system')
  return [...new Set([...(own.length > 0 ? own : getCACertificates('bundled')), ...getCACertificates('extra')])]
}

/** Takes why a certificate is not believed, see {@link distrustText}; false: it wants to be told the next time instead. */
export type TellDistrust = (reason: string) => boolean

/** The one of a pool: its sessions are resumed with the very endpoint and settings that they were made with. */
export class TlsConnector implements Connector {
  readonly ready = 'secureConnect'
  /** Node shows close_notify and a bare end of TCP, which anybody on the way can forge, as the same end of the stream. */
  readonly endDelimits = false
  readonly #options: TlsOptions
  readonly #identity: TlsIdentity
  #session: Buffer | undefined
  /** What those showed that were refused. */
  readonly #shown = new WeakMap<Socket, X509Certificate>()
  readonly #tellDistrust: TellDistrust | undefined
  /** Why it was not believed, as it was told last; '': it was believed since. */
  #told = ''

  /**
   * Reads the system's authorities where nobody has yet and they are needed: with a table, so that no request does.
   * `tellDistrust` is not called again for what it has taken, until another certificate was believed or refused for another
   * reason.
   */
  constructor(options: TlsOptions, tellDistrust?: TellDistrust) {
    this.#options = options
    this.#tellDistrust = tellDistrust
    this.#identity = options.identity ?? systemTlsIdentity()
  }

  open(host: string, port: number, onread?: OnReadOpts): TLSSocket {
    const { verify, serverName } = this.#options
    const name = serverName ?? (isIP(host) === 0 ? host.replace(/\.$/, '') : undefined)
    const settings: ConnectionOptions & Pick<SocketConstructorOpts, 'allowHalfOpen' | 'onread'> = {
      host,
      port,
      allowHalfOpen: true,
      secureContext: this.#identity.context,
      rejectUnauthorized: verify,
      ALPNProtocols: ['http/1.1'],
      ...(name !== undefined && { servername: name }),
      ...(this.#session && { session: this.#session }),
      ...(onread && { onread }),
    }
    const socket = connect(settings)
    // The kernel's probes can be set only on a connection that stands.
    socket.once('connect', () => socket.setNoDelay(true).setKeepAlive(true, keepAliveDelayMs))
    socket.on('session', (session) => (this.#session = session))
    if (verify) this.#keepRefused(socket)
    return socket
  }

  connectFailure(socket: Socket, error: NodeJS.ErrnoException): ConnectFailure {
    const code = codeOf(error)
    // Set when the certificate was judged, also where the judgement is not heeded.
    if (this.#options.verify && 'authorizationError' in socket && socket.authorizationError) {
      const detail = distrustText({ ...error, code, message: error.message }, this.#shown.get(socket))
      if (detail !== this.#told && this.#tellDistrust?.(detail) === true) this.#told = detail
      return { kind: 'certificate', detail }
    }
    if (code === 'ECONNRESET' || code === 'EPIPE') return { kind: 'reset', detail: code }
    const isTls = code === 'EPROTO' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')
    return { kind: isTls ? 'tls' : connectFailure(code), detail: code }
  }

  /**
   * Node refuses a certificate by destroying the socket, after which nothing is to be had of the certificate. To ask for it any
   * earlier would disturb the judgement: Node 24 then finds no names in it.
   */
  #keepRefused(socket: TLSSocket): void {
    const destroy = socket.destroy.bind(socket)
    socket.destroy = (error) => {
      const shown = error && socket.authorizationError ? socket.getPeerX509Certificate() : undefined
      if (shown) this.#shown.set(socket, shown)
      return destroy(error)
    }
    socket.once('secureConnect', () => (this.#told = ''))
  }
}
