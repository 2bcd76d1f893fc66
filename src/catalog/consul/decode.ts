/**
 * From a body's bytes to what a reader wants, by kind: one pure function, run on the main thread for small bodies and in
 * a worker for large ones, so that both mean the same.
 */
import { type KvEntry, parseKv } from './parse-kv.ts'
import { type ParsedService, parseHealthService } from './parse.ts'
import { type CatalogServices, type HealthState, parseCatalogServices, parseHealthState } from './parse-streams.ts'

/** What a body is; `health-service` also says for whom it is read. */
export type DecodeKind =
  | { readonly kind: 'health-service'; readonly source: string; readonly service: string }
  | { readonly kind: 'catalog-services' }
  | { readonly kind: 'health-state' }
  | { readonly kind: 'kv' }
  | { readonly kind: 'json' }

interface Results {
  readonly 'health-service': ParsedService
  readonly 'catalog-services': CatalogServices
  readonly 'health-state': HealthState
  readonly kv: readonly KvEntry[]
  readonly json: unknown
}

export type DecodeResult<K extends DecodeKind> = Results[K['kind']]

/** Throws a plain Error for what is no JSON or not of that kind. */
export function decode(kind: DecodeKind, bytes: Uint8Array): Results[keyof Results] {
  const json = parseJson(bytes)
  if (kind.kind === 'health-service') return parseHealthService(json, kind.source, kind.service)
  if (kind.kind === 'catalog-services') return parseCatalogServices(json)
  if (kind.kind === 'kv') return parseKv(json)
  return kind.kind === 'health-state' ? parseHealthState(json) : json
}

function parseJson(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
}
