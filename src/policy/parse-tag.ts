/**
 * Reads one `urlprefix-HOST/PATH` tag as fabio writes them (fabio 1.7, registry/consul: the prefix, a source, then
 * options after white space). Only what means the same here is accepted; anything else says what to write instead.
 *
 * Differences that are meant: a path is a prefix on a segment boundary (`/cart` is not `/carton`, `/cart/` is `/cart`), and a
 * host is compared without its port.
 */
import { routePrefix } from '../table/prefix.ts'
import { readTagOptions, readTagWeight, type TagOptions } from './tag-options.ts'

export type ParsedTag =
  | {
      readonly kind: 'route'
      readonly host: string
      readonly path: string
      readonly options: TagOptions
      /** What `weight=` wishes for the instance that carries the tag, above 0; see `tag-weights.ts`. */
      readonly weight?: number
    }
  /** `place` is the host and path where those at least could be read. */
  | { readonly kind: 'bad'; readonly reason: string; readonly place: string | undefined }

const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const hostPattern = new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*$`)

function bad(reason: string, place?: string): ParsedTag {
  return { kind: 'bad', reason, place }
}

function pathFault(path: string): string | undefined {
  if (/[^\x21-\x7e]|[?#\\]/.test(path)) return 'its path has characters that no path of a request has'
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return 'its path has a "%" without two hex digits after it'
  if (/\/\.{1,2}(?:\/|$)/.test(routePrefix(path))) return 'its path has a "." or ".." segment, which no request matches'
  return undefined
}

function hostFault(host: string): string | undefined {
  if (host.includes(':')) return 'a host with a port is not supported: a route is for its host on every port'
  if (host.length > 253 || !hostPattern.test(host))
    return 'its host is neither a name nor "*." and a name (no other pattern is supported)'
  return undefined
}

/** Reads `tag`; undefined when it does not start with `prefix`. Never throws. */
export function parseTag(tag: string, prefix: string): ParsedTag | undefined {
  const trimmed = tag.trim()
  if (!trimmed.startsWith(prefix)) return undefined
  const [source = '', ...options] = trimmed.slice(prefix.length).trim().split(/\s+/)
  const slash = source.indexOf('/')
  if (source === '') return bad('it names neither a host nor a path')
  if (source.includes('$')) return bad('variables such as $DC are not supported')
  if (source.startsWith(':')) return bad('it asks for a TCP port; only HTTP routes are supported')
  if (options.some((option) => /^proto=(?:tcp|tcp\+sni|https\+tcp\+sni|tcp-dynamic)$/i.test(option)))
    return bad('TCP routes are not supported; only HTTP routes are')
  if (slash < 0 && source.includes(':'))
    return bad('a host and a port without a path make a TCP route, which is not supported')
  if (slash < 0) return bad(`it has no path (a TCP or SNI route?); for all of an HTTP host write ${prefix}${source}/`)

  const named = source.slice(0, slash).toLowerCase()
  const host = named === '*' ? '' : named
  const fault = (host === '' ? undefined : hostFault(host)) ?? pathFault(source.slice(slash))
  if (fault !== undefined) return bad(fault)
  const path = routePrefix(source.slice(slash))
  const read = readTagOptions(options, path)
  const weight = readTagWeight(options)
  if (typeof read === 'string') return bad(read, `${host}${path}`)
  if (typeof weight === 'string') return bad(weight, `${host}${path}`)
  return { kind: 'route', host, path, options: read, ...(weight === undefined ? {} : { weight }) }
}
