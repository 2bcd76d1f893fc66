/**
 * `GET /v1/what-if`: how a service's requests would be shared among versions and endpoints if one endpoint died, or with
 * another split. It reckons with what is in force at this moment; it changes nothing and asks nobody.
 */
import { isUsable } from '../balance/usable.ts'
import { showHostPort } from '../core/host.ts'
import type { BoundService, BoundTable } from '../live/runtime.ts'
import { sharesOf } from '../table/shares.ts'
import { weighGroups } from '../table/weigh.ts'
import { unknownService } from './asked.ts'
import { json, type Answer } from './door.ts'
import { readVersions } from './policy.ts'
import { readQuery } from './query.ts'

/** Parts of the service's requests that no rule decides, 0 to 1. */
export interface NowAfter {
  readonly now: number
  readonly after: number
}

export interface WhatIfView {
  readonly service: string
  readonly versions: readonly (NowAfter & { readonly version: string })[]
  /** By weights; a hash key, affinity, zones and who is busy may lead elsewhere. */
  readonly endpoints: readonly (NowAfter & {
    readonly handle: string
    readonly address: string
    readonly version: string
  })[]
  /** Nobody is there for them: they would be answered 503. */
  readonly unanswered: NowAfter
}

interface Load {
  readonly versions: ReadonlyMap<string, number>
  /** By handle. */
  readonly endpoints: ReadonlyMap<string, number>
  readonly unanswered: number
}

export function whatIfAnswer(bound: BoundTable, query: string): Answer {
  const asked = readQuery(query, ['service', 'without', 'split'])
  if (typeof asked === 'string') return json(400, { error: asked })
  const [name, without, split] = [asked.get('service'), asked.get('without'), asked.get('split')]
  if (name === undefined) return json(400, { error: 'service is missing: the name of a service.' })
  if ((without === undefined) === (split === undefined))
    return json(400, { error: 'Give one of without, the handle of an endpoint, and split, such as 9.7.0=90,9.8.0=10.' })
  const service = bound.services.get(name)
  if (!service) return json(404, { error: `service: ${unknownService(name, bound.services.keys())}` })
  const handles = service.groups.flatMap(({ endpoints }) => endpoints.map(({ endpoint }) => endpoint.handle))
  if (without !== undefined && !handles.includes(without))
    return json(404, { error: 'without: no endpoint of this service that the catalog gives traffic has this handle.' })
  const versions = split === undefined ? undefined : readSplit(split)
  if (typeof versions === 'string') return json(400, { error: `split: ${versions}` })
  const now = loadOf(service, weightsNow(service), undefined)
  const weights = versions ? weighGroups('', service.table.groups, versions).weights : weightsNow(service)
  return json(200, viewOf(service, now, loadOf(service, weights, without), versions))
}

/** `v1=90,v2=10`, or a sentence about what is wrong with it. */
function readSplit(text: string): ReadonlyMap<string, number> | string {
  const raw: Record<string, string> = Object.create(null)
  for (const part of text.split(',')) {
    const equals = part.lastIndexOf('=')
    const version = part.slice(0, Math.max(0, equals))
    if (version === '' || equals === part.length - 1) return 'a version and its weight are written like 9.8.0=10.'
    if (version in raw) return 'a version stands there twice.'
    raw[version] = part.slice(equals + 1)
  }
  return readVersions(raw)
}

const weightsNow = ({ groups }: BoundService): ReadonlyMap<string, number> =>
  new Map(groups.map(({ version, weight }) => [version, weight]))

function loadOf(
  { groups, table: { policy } }: BoundService,
  weights: ReadonlyMap<string, number>,
  without: string | undefined,
): Load {
  const strict = policy.fallback === 'none'
  const usable = groups.map(({ endpoints }) =>
    endpoints.filter((one) => one.endpoint.handle !== without && isUsable(one, [])),
  )
  const shares = sharesOf(
    groups.map(({ version }, at) => ({
      weight: weights.get(version) ?? 0,
      counts: strict || (usable[at]?.length ?? 0) > 0,
    })),
  )
  const endpoints = new Map<string, number>()
  let answered = 0
  for (const [at, share] of shares.entries()) {
    const able = usable[at] ?? []
    if (able.length > 0) answered += share
    const parts = sharesOf(able.map(({ endpoint, state }) => ({ weight: endpoint.weight * state.ramp })))
    for (const [i, { endpoint }] of able.entries()) endpoints.set(endpoint.handle, share * (parts[i] ?? 0))
  }
  const versions = new Map(groups.map(({ version }, at) => [version, shares[at] ?? 0]))
  return { versions, endpoints, unanswered: Math.max(0, 1 - answered) < 1e-9 ? 0 : 1 - answered }
}

function viewOf(
  { table, groups }: BoundService,
  now: Load,
  after: Load,
  split: ReadonlyMap<string, number> | undefined,
): WhatIfView {
  const missing = [...(split?.keys() ?? [])].filter((one) => one !== '*' && !now.versions.has(one))
  const both = (a: number | undefined, b: number | undefined): NowAfter => ({ now: a ?? 0, after: b ?? 0 })
  return {
    service: table.name,
    versions: [...groups.map(({ version }) => version), ...missing].map((version) => ({
      version,
      ...both(now.versions.get(version), after.versions.get(version)),
    })),
    endpoints: groups.flatMap(({ version, endpoints }) =>
      endpoints.map(({ endpoint: { handle, address, port } }) => ({
        handle,
        address: showHostPort(address, port),
        version,
        ...both(now.endpoints.get(handle), after.endpoints.get(handle)),
      })),
    ),
    unanswered: { now: now.unanswered, after: after.unanswered },
  }
}
