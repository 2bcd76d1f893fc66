/** A `service-resolver`. Pure; throws {@link Unusable} for what cannot be expressed. */
import { failoverMax } from '../traffic.ts'
import { EntryFields, Unusable } from './fields.ts'
import { readFilter } from './filter.ts'
import type { EntryResolver, EntrySubset, Target } from './result.ts'

/** `common` are the fields of any entry; `service` is the one that the resolver is of. */
export function readResolver(json: unknown, common: readonly string[], service: string): EntryResolver {
  const own = ['DefaultSubset', 'Subsets', 'Redirect', 'Failover', 'ConnectTimeout']
  const fields = new EntryFields('', json, [...common, ...own])
  const subsets = new Map(
    fields.entries('Subsets').map(([name, value]) => [name, readSubset(`Subsets.${name}`, value)] as const),
  )
  const failover = new Map(
    fields
      .entries('Failover')
      .map(([name, value]) => [name, readFailover(`Failover.${name}`, value, service)] as const),
  )
  const defaultSubset = fields.text('DefaultSubset')
  if (defaultSubset !== undefined && !subsets.has(defaultSubset))
    throw new Unusable('DefaultSubset', `names ${JSON.stringify(defaultSubset)}, which is none of its subsets`)
  for (const name of failover.keys())
    if (name !== '*' && !subsets.has(name)) throw new Unusable(`Failover.${name}`, 'is of none of its subsets')
  const redirect = fields.has('Redirect') ? readTarget('Redirect', fields, service) : undefined
  if (redirect !== undefined && (subsets.size > 0 || failover.size > 0 || defaultSubset !== undefined))
    throw new Unusable('Redirect', 'stands beside other settings, which it leaves without effect')
  const connectTimeoutMs = fields.durationMs('ConnectTimeout')
  return Object.freeze({ subsets, defaultSubset, redirect, failover, connectTimeoutMs })
}

function readSubset(path: string, value: unknown): EntrySubset {
  const fields = new EntryFields(path, value, ['Filter', 'OnlyPassing'])
  const filter = fields.text('Filter')
  const conditions = filter === undefined ? [] : readFilter(filter)
  if (!conditions)
    throw new Unusable(
      fields.path('Filter'),
      `${JSON.stringify(filter)} is not supported: only Service.Meta.KEY == VALUE, != VALUE, VALUE in Service.Tags, ` +
        `not in, joined by and`,
    )
  return Object.freeze({ conditions: Object.freeze(conditions), onlyPassing: fields.flag('OnlyPassing') })
}

function readTarget(name: string, fields: EntryFields, service: string): Target {
  // A datacenter, a namespace or a peer is a place that the catalog here does not show.
  return targetOf(fields.object(name, ['Service', 'ServiceSubset']), service)
}

function readFailover(path: string, value: unknown, service: string): readonly Target[] {
  const fields = new EntryFields(path, value, ['Service', 'ServiceSubset', 'Targets'])
  const targets = fields.list('Targets', failoverMax).map((one, at) => {
    return targetOf(
      new EntryFields(`${fields.path('Targets')}[${String(at)}]`, one, ['Service', 'ServiceSubset']),
      service,
    )
  })
  if (targets.length === 0) return Object.freeze([targetOf(fields, service)])
  if (fields.has('Service') || fields.has('ServiceSubset'))
    throw new Unusable(fields.path('Targets'), 'stand beside Service or ServiceSubset; only one may')
  return Object.freeze(targets)
}

function targetOf(fields: EntryFields, service: string): Target {
  return Object.freeze({ service: fields.text('Service') ?? service, subset: fields.text('ServiceSubset') })
}
