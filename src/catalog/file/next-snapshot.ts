/**
 * The snapshot that follows another: what did not change is the very same object. Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Problem } from '../../core/problem.ts'
import type { Instance, ServiceSnapshot, Snapshot } from '../snapshot.ts'

/**
 * Services are those of `instances`, and those of `names`, which are known to have none where the file has none.
 * Returns `previous` itself when nothing differs from it; else its version rises by one.
 */
export function nextSnapshot(
  previous: Snapshot | undefined,
  instances: readonly Instance[],
  names: ReadonlySet<string>,
  problems: readonly Problem[],
): Snapshot {
  const byService = new Map<string, Instance[]>()
  for (const name of names) byService.set(name, [])
  for (const instance of instances) {
    const known = byService.get(instance.service)
    if (known) known.push(instance)
    else byService.set(instance.service, [instance])
  }
  const services = new Map<string, ServiceSnapshot>()
  let same = previous !== undefined && previous.services.size === byService.size
  for (const [name, members] of byService) {
    const before = previous?.services.get(name)
    const service = nextService(before, name, members)
    services.set(name, service)
    same &&= service === before
  }
  if (previous && same && isDeepStrictEqual(previous.problems, problems)) return previous
  const version = (previous?.version ?? 0) + 1
  return Object.freeze({ version, services, problems: Object.freeze([...problems]) })
}

function nextService(before: ServiceSnapshot | undefined, name: string, members: readonly Instance[]): ServiceSnapshot {
  const old = new Map(before?.instances.map((instance) => [instance.key, instance]))
  const instances = members
    .map((instance) => {
      const known = old.get(instance.key)
      return known && isDeepStrictEqual(known, instance) ? known : instance
    })
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const same = before?.instances.length === instances.length && instances.every((it, at) => it === before.instances[at])
  return before && same ? before : Object.freeze({ name, instances: Object.freeze(instances) })
}
