/**
 * The last believed instances of each service, and snapshots made of them. What did not change stays the very same object,
 * so that a table built from it rebuilds only what moved. Holds no timers and decides nothing.
 */
import type { Problem } from '../../core/problem.ts'
import type { Instance, ServiceSnapshot, Snapshot } from '../snapshot.ts'

interface Entry {
  readonly service: ServiceSnapshot
  readonly problems: readonly Problem[]
}

export class ServiceStore {
  readonly #entries = new Map<string, Entry>()

  get(name: string): ServiceSnapshot | undefined {
    return this.#entries.get(name)?.service
  }

  names(): IterableIterator<string> {
    return this.#entries.keys()
  }

  /** Takes over what is now believed; `instances` are sorted by key. Returns whether anything differs. */
  set(name: string, instances: readonly Instance[], problems: readonly Problem[] = []): boolean {
    const before = this.#entries.get(name)
    if (!before) {
      const service = Object.freeze({ name, instances: Object.freeze([...instances]) })
      this.#entries.set(name, { service, problems })
      return true
    }
    const merged = share(before.service.instances, instances)
    const sameProblems = sameList(before.problems, problems, sameProblem)
    if (merged === before.service.instances && sameProblems) return false
    const service =
      merged === before.service.instances ? before.service : Object.freeze({ name, instances: Object.freeze(merged) })
    this.#entries.set(name, { service, problems: sameProblems ? before.problems : problems })
    return true
  }

  delete(name: string): boolean {
    return this.#entries.delete(name)
  }

  /** Services that have an instance on `node`. Linear in all instances; asked only when a node's own check changed. */
  onNode(node: string): string[] {
    const names: string[] = []
    for (const [name, { service }] of this.#entries)
      if (service.instances.some((instance) => instance.node === node)) names.push(name)
    return names
  }

  /** Everything as one value; `extra` problems are the source's own, `index` the catalog's. */
  snapshot(version: number, extra: readonly Problem[], index?: bigint): Snapshot {
    const services = new Map<string, ServiceSnapshot>()
    const problems: Problem[] = [...extra]
    for (const [name, entry] of this.#entries) {
      services.set(name, entry.service)
      if (entry.problems.length > 0) problems.push(...entry.problems)
    }
    const rest = index === undefined ? {} : { index: String(index) }
    return Object.freeze({ version, services, problems: Object.freeze(problems), ...rest })
  }
}

/** `next` with every equal instance taken from `before`; `before` itself when nothing differs. */
function share(before: readonly Instance[], next: readonly Instance[]): readonly Instance[] {
  const byKey = new Map(before.map((instance) => [instance.key, instance]))
  let same = before.length === next.length
  const merged = next.map((instance, at) => {
    const old = byKey.get(instance.key)
    const kept = old && sameInstance(old, instance) ? old : instance
    if (kept !== before[at]) same = false
    return kept
  })
  return same ? before : merged
}

function sameInstance(a: Instance, b: Instance): boolean {
  return (
    a.status === b.status &&
    a.agentLost === b.agentLost &&
    a.createIndex === b.createIndex &&
    a.weights.passing === b.weights.passing &&
    a.weights.warning === b.weights.warning &&
    sameList(a.tags, b.tags, (x, y) => x === y) &&
    sameRecord(a.meta, b.meta) &&
    sameRecord(a.nodeMeta, b.nodeMeta)
  )
}

function sameProblem(a: Problem, b: Problem): boolean {
  return a.code === b.code && a.where === b.where && a.message === b.message
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  return a.length === b.length && a.every((value, at) => same(value, b[at] as T))
}

function sameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}
