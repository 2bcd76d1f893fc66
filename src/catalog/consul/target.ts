/**
 * Reads a Consul address as people write it. Pure.
 * Source: the forms that `CONSUL_HTTP_ADDR` takes (Consul's command line documentation), with `unix:/path` besides.
 */
import { FairleadError } from '../../core/errors.ts'

export interface Target {
  /** Scheme, host and port, without a path. */
  readonly origin: string
  /** Path of a Unix socket, else undefined. */
  readonly socketPath: string | undefined
  readonly secure: boolean
  /** Put before every path; empty or beginning with a slash, never ending with one. */
  readonly prefix: string
  /** How a person would name it in a log line; holds no secret. */
  readonly shown: string
}

/** Throws {@link FairleadError} `FL_CONFIG` for what is no address. */
export function parseTarget(address: string): Target {
  const unix = /^unix:(?:\/\/)?(\/.+)$/.exec(address)
  if (unix?.[1] !== undefined)
    return { origin: 'http://localhost', socketPath: unix[1], secure: false, prefix: '', shown: `unix:${unix[1]}` }
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new FairleadError(
      'FL_CONFIG',
      `no Consul address: ${JSON.stringify(address)}; write http://host:8500, https://host:8501 or unix:/path`,
    )
  const prefix = url.pathname.replace(/\/+$/, '')
  return {
    origin: url.origin,
    socketPath: undefined,
    secure: url.protocol === 'https:',
    prefix,
    shown: url.origin + prefix,
  }
}
