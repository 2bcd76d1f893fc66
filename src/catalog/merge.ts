/**
 * Makes one snapshot of several sources' snapshots. Instances are told apart by their source (it is in their key), so the
 * same registration seen by two sources counts twice; nobody is dropped. Pure in meaning.
 */
import type { Instance, ServiceSnapshot, Snapshot } from './snapshot.ts'

/** The merged form of services that several sources have, by the first source's part. */
const merges = new WeakMap<
  ServiceSnapshot,
  { readonly others: readonly ServiceSnapshot[]; readonly merged: ServiceSnapshot }
>()

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

const byKey = (a: Instance, b: Instance): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

function mergeService(first: ServiceSnapshot, others: readonly ServiceSnapshot[]): ServiceSnapshot {
  const filled = [first, ...others].filter(({ instances }) => instances.length > 0)
  if (filled.length < 2) return filled[0] ?? first
  const known = merges.get(first)
  if (known && sameItems(known.others, others)) return known.merged
  const instances = Object.freeze(filled.flatMap((part) => part.instances).sort(byKey))
  const merged = Object.freeze({ name: first.name, instances })
  merges.set(first, { others, merged })
  return merged
}

/**
 * Merges `sources` (in the order of the configuration). Returns `previous` itself when nothing differs from it, else a
 * snapshot whose version is one higher. A service that one source alone has (or has instances of) is that source's very
 * object; one that did not change is the same object as in `previous`.
 */
export function mergeSnapshots(previous: Snapshot, sources: readonly Snapshot[]): Snapshot {
  const [only, another] = sources
  const services = only && !another ? only.services : mergeServices(sources)
  const problems = sources.flatMap((source) => source.problems)
  if (sameServices(previous.services, services) && sameItems(previous.problems, problems)) return previous
  return Object.freeze({ version: previous.version + 1, services, problems: Object.freeze(problems) })
}

function sameServices(a: Snapshot['services'], b: Snapshot['services']): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [name, service] of b) if (a.get(name) !== service) return false
  return true
}

function mergeServices(sources: readonly Snapshot[]): Snapshot['services'] {
  const parts = new Map<string, ServiceSnapshot[]>()
  for (const { services } of sources)
    for (const [name, service] of services) {
      const known = parts.get(name)
      if (known) known.push(service)
      else parts.set(name, [service])
    }

  const services = new Map<string, ServiceSnapshot>()
  for (const [name, [first, ...others]] of parts)
    if (first) services.set(name, others.length === 0 ? first : mergeService(first, others))
  return services
}
