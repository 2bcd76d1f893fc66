/**
 * Opens connections to Consul for undici: plain, TLS or Unix socket. Certificates are read again when their files change,
 * so that a rotated one needs no restart. It tells its owner which protocol TLS agreed on.
 */
import { readFile, stat } from 'node:fs/promises'
import { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { undici } from '../../core/undici.ts'
import type { ConsulTls } from './options.ts'
import type { Target } from './target.ts'

export type Connector = buildConnector.connector

const connectTimeoutMs = 5_000
/** A peer whose machine vanished is noticed by the kernel's probes from then on. */
const keepAliveDelayMs = 15_000

/** `onProtocol` is called for each new TLS connection, before its first request. */
export function createConnector(
  target: Target,
  tls: ConsulTls,
  onProtocol: (protocol: 'h2' | 'http/1.1') => void,
): Connector {
  const { buildConnector } = undici()
  const common = { timeout: connectTimeoutMs, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs }
  if (target.socketPath !== undefined) return buildConnector({ ...common, socketPath: target.socketPath })
  if (!target.secure) return buildConnector({ ...common, autoSelectFamily: true })
  let mark = ''
  let connector: Connector | undefined
  const current = async (): Promise<Connector> => {
    const now = await fileMark([tls.ca, tls.cert, tls.key])
    if (connector !== undefined && now === mark) return connector
    const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(async (file) => readPem(file)))
    connector = buildConnector({
      ...common,
      autoSelectFamily: true,
      allowH2: true,
      rejectUnauthorized: tls.verify ?? true,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    })
    mark = now
    return connector
  }
  const open = async (options: buildConnector.Options, callback: buildConnector.Callback): Promise<void> => {
    let connect: Connector
    try {
      connect = await current()
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null)
      return
    }
    connect(options, (...result) => {
      const socket = result[1]
      if (socket instanceof TLSSocket) onProtocol(socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1')
      callback(...result)
    })
  }
  return (options, callback) => void open(options, callback)
}

async function readPem(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined ? undefined : await readFile(file)
}

async function fileMark(files: readonly (string | undefined)[]): Promise<string> {
  const marks = await Promise.all(
    files.map(async (file) => {
      if (file === undefined) return ''
      const info = await stat(file)
      return `${String(info.ino)} ${String(info.mtimeMs)} ${String(info.size)}`
    }),
  )
  return marks.join('\n')
}
