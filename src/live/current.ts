/**
 * The one mutable cell: which bound table stands. Read once per request and once per attempt; replaced whole, in one
 * assignment. Nothing else in the program replaces a table.
 */
import { emptyTable } from '../table/build.ts'
import type { RouteTable } from '../table/table.ts'
import { bindTable } from './bind.ts'
import type { Registry } from './registry.ts'
import type { BoundTable } from './runtime.ts'

export interface Current {
  /** The bound table that stands; at first that of the empty table, which has no route. */
  get(): BoundTable
  /** Binds `table`, puts it in place, then lets go of what only earlier tables had. */
  apply(table: RouteTable): void
  /** Where the proxy itself is, '' (at first) nowhere: endpoints there are preferred. Binds the table anew where that changes. */
  setZone(zone: string): void
}

export function createCurrent(registry: Registry): Current {
  let zone = ''
  let bound = bindTable(emptyTable, registry)
  return {
    get: () => bound,
    apply(table) {
      bound = bindTable(table, registry, bound, zone)
      registry.retain(table)
    },
    setZone(wanted) {
      zone = wanted
      bound = bindTable(bound.table, registry, bound, zone)
    },
  }
}
