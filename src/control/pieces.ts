/**
 * The way from one snapshot to another in pieces, so that no build takes longer than a turn of the loop may. A piece is a
 * whole snapshot: some of the services that differ are as they will be, all others as they were. Pure.
 */
import type { ServiceSnapshot, Snapshot } from '../catalog/snapshot.ts'

/** Services that differ between one piece and the next; more where that would make more than {@link piecesMax}. */
export const pieceMax = 8
/**
 * Each has a turn of its own and costs a look at the whole catalog, whatever differs, and what changes meanwhile waits for the
 * last: half of 10,000 services took 7 s by eights, and 21 s of a process whose turns are full.
 */
export const piecesMax = 32
/** So many services may differ in any catalog, and half of them in a larger one; beyond, it is another catalog, in one piece. */
export const piecemealMax = 128

function changedNames(before: Snapshot['services'], after: Snapshot['services']): readonly string[] {
  const names: string[] = []
  if (before === after) return names
  for (const [name, service] of after) if (before.get(name) !== service) names.push(name)
  for (const name of before.keys()) if (!after.has(name)) names.push(name)
  return names
}

/**
 * Leads from `before` to `after`, which is the last one; there is always one. `piecemeal`: it may be cut. What is said of the
 * catalog as a whole (its problems, its order) changes with the last.
 */
export function* piecesOf(before: Snapshot, after: Snapshot, piecemeal: boolean): Generator<Snapshot, void> {
  const names = piecemeal ? changedNames(before.services, after.services) : []
  if (names.length <= Math.max(piecemealMax, after.services.size / 2)) {
    let services: ReadonlyMap<string, ServiceSnapshot> = before.services
    const size = Math.max(pieceMax, Math.ceil(names.length / piecesMax))
    for (let at = size; at < names.length; at += size) {
      const next = new Map(services)
      for (const name of names.slice(at - size, at)) {
        const service = after.services.get(name)
        if (service) next.set(name, service)
        else next.delete(name)
      }
      services = next
      yield Object.freeze({ version: after.version, services, problems: before.problems })
    }
  }
  yield after
}
