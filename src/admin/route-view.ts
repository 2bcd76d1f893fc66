/** A route as JSON shows it: where it is, where it leads and what it changes, in the words of the configuration. Pure. */
import type { RoutePolicy } from '../policy/policy.ts'
import { type HeaderChanges, noHeaderChanges, type Redirect } from '../policy/traffic.ts'
import type { Route } from '../table/table.ts'

/** What a route does beyond sending requests on; what is absent it does not do. */
export interface RouteOptions {
  readonly redirect?: Redirect
  readonly strip?: string
  readonly prepend?: string
  /** `instance`, or a host. */
  readonly hostHeader?: string
  readonly headers?: { readonly request: HeadersView; readonly response: HeadersView }
  /** CIDR ranges, as they were written. */
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

interface HeadersView {
  readonly remove: readonly string[]
  readonly set: Readonly<Record<string, string>>
  readonly add: Readonly<Record<string, string>>
}

export interface RouteView {
  readonly host: string
  readonly path: string
  /** '' with a redirect. */
  readonly service: string
  readonly origin: string
  /** Absent: it has none. */
  readonly options?: RouteOptions
  /** Weights by version, where the route has its own; absent: its service's. */
  readonly weights?: Readonly<Record<string, number>>
}

export function routeView({ host, path, service, origin, policy, weights }: Route): RouteView {
  const options = routeOptions(policy)
  return {
    host,
    path,
    service: service.name,
    origin,
    ...(Object.keys(options).length === 0 ? {} : { options }),
    ...(weights ? { weights: Object.fromEntries(weights) } : {}),
  }
}

export function routeOptions({
  redirect,
  shaping,
  access,
}: Pick<RoutePolicy, 'redirect' | 'shaping' | 'access'>): RouteOptions {
  const { strip, prepend, host, request = noHeaderChanges, response = noHeaderChanges } = shaping ?? {}
  const changed = [request, response].some(({ remove, set, add }) => remove.length + set.size + add.size > 0)
  return {
    ...(redirect ? { redirect } : {}),
    ...(strip === undefined ? {} : { strip }),
    ...(prepend === undefined ? {} : { prepend }),
    ...(host ? { hostHeader: host.kind === 'name' ? host.name : host.kind } : {}),
    ...(changed ? { headers: { request: headersView(request), response: headersView(response) } } : {}),
    ...(access && access.allow.length > 0 ? { allow: access.allow } : {}),
    ...(access && access.deny.length > 0 ? { deny: access.deny } : {}),
  }
}

function headersView({ remove, set, add }: HeaderChanges): HeadersView {
  return { remove, set: Object.fromEntries(set), add: Object.fromEntries(add) }
}
