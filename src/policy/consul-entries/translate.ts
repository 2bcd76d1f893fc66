/**
 * From Consul's config entries to what they ask for. What can be expressed is; an entry with a field that cannot (regular
 * expressions, other filters, failover to datacenters, header changes) is a problem that names entry and field, and costs
 * that entry alone. It judges each entry by itself: whether a subset or a service exists is for whoever uses the result.
 * Pure. Source: Consul's documentation of `service-router`, `service-splitter` and `service-resolver`.
 */
import type { Problem } from '../../core/problem.ts'
import type { PolicyDocument } from '../documents/documents.ts'
import { splitPartsMax } from '../traffic.ts'
import { badEntry } from './bad-entry.ts'
import { type EntryKind, entryKinds } from './entries.ts'
import { EntryFields, Unusable } from './fields.ts'
import { readResolver } from './read-resolver.ts'
import { readRoutes } from './read-router.ts'
import type { EntryService, EntryShare, Translation } from './result.ts'

/** For every kind the fields that say nothing about routing. */
const common = ['Kind', 'Name', 'Namespace', 'Partition', 'Meta', 'Hash']

type Parts = { -readonly [K in keyof EntryService]: EntryService[K] }

/** Reads every document of the snapshot of `createEntriesSource`. What is bad now stays as it was in `previous`. */
export function translateEntries(documents: ReadonlyMap<string, PolicyDocument>, previous?: Translation): Translation {
  const services = new Map<string, Parts>()
  const problems: Problem[] = []
  for (const document of documents.values()) {
    const slash = document.key.indexOf('/')
    const kind = entryKinds.find((one) => one === document.key.slice(0, slash))
    if (kind === undefined) continue
    const name = document.key.slice(slash + 1)
    const parts = services.get(name) ?? { name, routes: undefined, split: undefined, resolver: undefined }
    try {
      readInto(parts, kind, JSON.parse(document.text) as unknown)
      services.set(name, parts)
    } catch (error) {
      if (!(error instanceof Unusable) && !(error instanceof SyntaxError)) throw error
      const kept = keepLast(parts, kind, previous?.services.get(name))
      if (kept) services.set(name, parts)
      problems.push(badEntry(document.key, error.message, kept))
    }
  }
  const sorted = [...services].sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.freeze({
    services: new Map(sorted.map(([name, parts]) => [name, Object.freeze(parts)])),
    problems: Object.freeze(problems),
  })
}

/** Whether there was a good form. */
function keepLast(parts: Parts, kind: EntryKind, last: EntryService | undefined): boolean {
  switch (kind) {
    case 'service-router':
      return (parts.routes = last?.routes) !== undefined
    case 'service-splitter':
      return (parts.split = last?.split) !== undefined
    default:
      return (parts.resolver = last?.resolver) !== undefined
  }
}

function readInto(parts: Parts, kind: EntryKind, json: unknown): void {
  switch (kind) {
    case 'service-router':
      parts.routes = readRoutes(new EntryFields('', json, [...common, 'Routes']), parts.name)
      return
    case 'service-splitter':
      parts.split = readSplit(new EntryFields('', json, [...common, 'Splits']), parts.name)
      return
    case 'service-resolver':
      parts.resolver = readResolver(json, common, parts.name)
  }
}

const wholeWeight = 10_000

function readSplit(fields: EntryFields, service: string): readonly EntryShare[] {
  const shares = fields.list('Splits', splitPartsMax).map((value, at) => {
    const split = new EntryFields(`Splits[${String(at)}]`, value, ['Weight', 'Service', 'ServiceSubset'])
    const weight = Math.round((split.number('Weight', 0, 100) ?? 0) * 100)
    return Object.freeze({
      target: Object.freeze({ service: split.text('Service') ?? service, subset: split.text('ServiceSubset') }),
      weight,
    })
  })
  const sum = shares.reduce((all, { weight }) => all + weight, 0)
  if (sum !== wholeWeight) throw new Unusable('Splits', `have weights that sum up to ${String(sum / 100)}, not 100`)
  return Object.freeze(shares)
}
