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

export interface TableDelta {
  /** Version of the table that it leads from; undefined: from none, and it says all. */
  readonly base: number | undefined
  readonly version: number
  /** Those that are new or other than in the base. */
  readonly services: readonly SentService[]
  readonly gone: readonly string[]
  /** All, in order: the place in the base of one whose own words did not change, whatever its service did. */
  readonly routes: readonly (number | SentRoute)[]
}

/** From `base` to `table`. Problems are control's own, and stay there. Costs a look at each service and route. */
export function tableDelta(base: RouteTable | undefined, table: RouteTable): TableDelta {
  const services: SentService[] = []
  for (const [name, service] of table.services)
    if (base?.services.get(name) !== service) services.push(sentService(service))
  const gone: string[] = []
  for (const name of base?.services.keys() ?? []) if (!table.services.has(name)) gone.push(name)
  let places: Map<string, number> | undefined
  const routes = table.routes.map((route, i): number | SentRoute => {
    const same = base?.routes[i]
    if (same && isSame(same, route)) return i
    places ??= new Map(base?.routes.map((each, place) => [placeKey(each), place]))
    const place = places.get(placeKey(route))
    const moved = place === undefined ? undefined : base?.routes[place]
    return place !== undefined && moved && isSame(moved, route) ? place : { ...route, service: route.service.name }
  })
  return { base: base?.version, version: table.version, services, gone, routes }
}

/** The table that `delta` leads to from `base`. Throws when it leads from another one. */
export function applyDelta(base: RouteTable, delta: TableDelta): RouteTable {
  if (delta.base !== undefined && delta.base !== base.version)
    throw new Error(`a change of table ${String(delta.base)} came to table ${String(base.version)}`)
  const services = new Map(delta.base === undefined ? [] : base.services)
  for (const name of delta.gone) services.delete(name)
  for (const sent of delta.services) services.set(sent.service.name, receivedService(sent))
  const serviceOf = (name: string): ServiceTable => {
    const service = name === '' ? noService : services.get(name)
    if (!service) throw new Error(`a route leads to service ${name}, which was not sent`)
    return service
  }
  const routes = delta.routes.map((sent): Route => {
    if (typeof sent !== 'number') return Object.freeze({ ...sent, service: serviceOf(sent.service) })
    const route = base.routes[sent]
    if (!route) throw new Error(`route ${String(sent)} was never sent`)
    const service = serviceOf(route.service.name)
    return service === route.service ? route : Object.freeze({ ...route, service })
  })
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
