/**
 * A table as the difference to another: what did not change is not sent, and is the very same object again on the other side,
 * so that it is not bound anew there. Not the inputs of the table are sent but the table itself: a build looks at the table
 * before it (last good routes, versions), and a worker that began later would come to another one. Pure.
 */
import { receivedService, type SentService, sentService } from './sent-service.ts'
import { noService, type Route, type RouteTable, type ServiceTable } from '../table/table.ts'

/** A route that is not in the base as it is; its service by name, '' for none. */
export interface SentRoute extends Omit<Route, 'service'> {
  readonly service: string
}

/** So many routes of the base from there on, whose own words did not change, whatever their services did. */
export interface SentRun {
  readonly from: number
  readonly count: number
}

export interface TableDelta {
  /** Version of the table that it leads from; undefined: from none, and it says all. */
  readonly base: number | undefined
  readonly version: number
  /** Those that are new or other than in the base. */
  readonly services: readonly SentService[]
  readonly gone: readonly string[]
  /** All, in order. */
  readonly routes: readonly (SentRun | SentRoute)[]
}

/** The last answer that leads from a table: all workers that keep up are sent the same. */
let last:
  { readonly base: WeakRef<RouteTable>; readonly table: WeakRef<RouteTable>; readonly delta: TableDelta } | undefined

/** From `base` to `table`. Problems are control's own, and stay there. Costs a look at each service and route, once for all workers. */
export function tableDelta(base: RouteTable | undefined, table: RouteTable): TableDelta {
  if (!base) return difference(undefined, table)
  if (last?.base.deref() === base && last.table.deref() === table) return last.delta
  const delta = difference(base, table)
  last = { base: new WeakRef(base), table: new WeakRef(table), delta }
  return delta
}

function difference(base: RouteTable | undefined, table: RouteTable): TableDelta {
  const services: SentService[] = []
  for (const [name, service] of table.services) {
    const known = base?.services.get(name)
    if (known !== service) services.push(sentService(known, service))
  }
  const gone: string[] = []
  for (const name of base?.services.keys() ?? []) if (!table.services.has(name)) gone.push(name)
  return { base: base?.version, version: table.version, services, gone, routes: sentRoutes(base?.routes ?? [], table) }
}

function sentRoutes(base: readonly Route[], table: RouteTable): TableDelta['routes'] {
  const sent: (SentRun | SentRoute)[] = []
  let run: { from: number; count: number } | undefined
  let places: Map<string, number> | undefined
  for (const [i, route] of table.routes.entries()) {
    let place = i
    let same = base[place]
    if (!same || !isSame(same, route)) {
      places ??= new Map(base.map((each, at) => [placeKey(each), at]))
      place = places.get(placeKey(route)) ?? -1
      same = base[place]
    }
    if (!same || !isSame(same, route)) {
      sent.push({ ...route, service: route.service.name })
      run = undefined
    } else if (run && run.from + run.count === place) run.count++
    else sent.push((run = { from: place, count: 1 }))
  }
  return sent
}

/** The table that `delta` leads to from `base`. Throws when it leads from another one. */
export function applyDelta(base: RouteTable, delta: TableDelta): RouteTable {
  if (delta.base !== undefined && delta.base !== base.version)
    throw new Error(`a change of table ${String(delta.base)} came to table ${String(base.version)}`)
  const services = new Map(delta.base === undefined ? [] : base.services)
  for (const name of delta.gone) services.delete(name)
  // What says all refers to nothing.
  for (const sent of delta.services) services.set(sent.name, receivedService(services.get(sent.name), sent))
  const serviceOf = (name: string): ServiceTable => {
    const service = name === '' ? noService : services.get(name)
    if (!service) throw new Error(`a route leads to service ${name}, which was not sent`)
    return service
  }
  const routes: Route[] = []
  for (const sent of delta.routes) {
    if (!('count' in sent)) {
      routes.push(Object.freeze({ ...sent, service: serviceOf(sent.service) }))
      continue
    }
    for (let place = sent.from; place < sent.from + sent.count; place++) {
      const route = base.routes[place]
      if (!route) throw new Error(`route ${String(place)} was never sent`)
      const service = serviceOf(route.service.name)
      routes.push(service === route.service ? route : Object.freeze({ ...route, service }))
    }
  }
  return Object.freeze({
    version: delta.version,
    routes: Object.freeze(routes),
    services,
    problems: Object.freeze([]),
  })
}

const placeKey = ({ host, path }: Route): string => `${host}${path}`

function isSame(a: Route, b: Route): boolean {
  return (
    a === b ||
    (a.origin === b.origin &&
      a.host === b.host &&
      a.path === b.path &&
      a.policy === b.policy &&
      a.weights === b.weights &&
      a.parts === b.parts &&
      a.service.name === b.service.name)
  )
}
