/** A route as JSON shows it: where it is, where it leads and what it changes, in the words of the configuration. Pure. */
import { showHostPort } from '../core/host.ts'
import type { RoutePolicy } from '../policy/policy.ts'
import { type HeaderChanges, type MirrorPolicy, noHeaderChanges, type Redirect } from '../policy/traffic.ts'
import { sharesOf } from '../table/shares.ts'
import type { Route, RoutePart, ServiceTable } from '../table/table.ts'

/** What a route does beyond sending requests on; what is absent it does not do. */
export interface RouteOptions {
  readonly redirect?: Redirect
  /** Instances are spoken to over TLS. */
  readonly proto?: 'https'
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
  /** Where the route has its own word on it: what it mirrors, or null for nothing; absent: as its service. */
  readonly mirror?: MirrorPolicy | null
  /** Weights by version, where the route has its own; absent: its service's. */
  readonly weights?: Readonly<Record<string, number>>
  /** Where several services share it, or others stand by; absent: all is for its service. */
  readonly split?: readonly PartView[]
}

export interface PartView {
  readonly service: string
  /** Null: by its weights. */
  readonly version: string | null
  /** Against the others, any scale. */
  readonly weight: number
  /** Of the requests that no rule decides, 0 to 1, while all can answer. */
  readonly share: number
  /** Only where none with a weight can answer. */
  readonly standby?: true
  /** Where they are not those of the route, what changes on the way there and whom it is for. */
  readonly options?: RouteOptions
  /** Weights of its instances by `address:port`, where they are others than elsewhere. */
  readonly instances?: Readonly<Record<string, number>>
}

/** `services` are those of its table. */
export function routeView(
  { host, path, service, origin, policy, weights, parts }: Route,
  services: ReadonlyMap<string, ServiceTable> = new Map(),
): RouteView {
  const { tls } = service.policy
  const options = routeOptions({ ...policy, upstreamTls: tls !== undefined && tls !== 'off' })
  const { traffic } = policy
  return {
    host,
    path,
    service: service.name,
    origin,
    ...(Object.keys(options).length === 0 ? {} : { options }),
    ...(traffic && 'mirror' in traffic ? { mirror: traffic.mirror ?? null } : {}),
    ...(weights ? { weights: Object.fromEntries(weights) } : {}),
    ...(parts ? { split: partViews(parts, services) } : {}),
  }
}

function partViews(parts: readonly RoutePart[], services: ReadonlyMap<string, ServiceTable>): readonly PartView[] {
  const shares = sharesOf(parts)
  return parts.map(({ service, version = null, weight, standby, said, endpoints, weights }, at): PartView => {
    const table = services.get(service)
    const tls = table?.policy.tls
    const own = said?.shaping !== undefined || said?.access !== undefined
    const options = routeOptions({
      redirect: undefined,
      shaping: said?.shaping,
      access: said?.access,
      upstreamTls: tls !== undefined && tls !== 'off',
    })
    const instances = (table?.groups ?? []).flatMap((group) => {
      const sum = group.endpoints.reduce((all, { key }) => all + (endpoints?.get(key) ?? 0), 0)
      const all = weights?.get(group.version) ?? group.weight
      return group.endpoints.map(({ key, address, port }) => {
        return [showHostPort(address, port), ((endpoints?.get(key) ?? 0) * all) / (sum || 1)] as const
      })
    })
    return {
      service,
      version,
      weight,
      share: shares[at] ?? 0,
      ...(standby ? { standby } : {}),
      ...(own || options.proto ? { options } : {}),
      ...(endpoints ? { instances: Object.fromEntries(instances) } : {}),
    }
  })
}

export function routeOptions({
  redirect,
  shaping,
  access,
  upstreamTls,
}: Pick<RoutePolicy, 'redirect' | 'shaping' | 'access'> & {
  readonly upstreamTls?: boolean | undefined
}): RouteOptions {
  const { strip, prepend, host, request = noHeaderChanges, response = noHeaderChanges } = shaping ?? {}
  const changed = [request, response].some(({ remove, set, add }) => remove.length + set.size + add.size > 0)
  return {
    ...(redirect ? { redirect } : {}),
    ...(upstreamTls ? { proto: 'https' as const } : {}),
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
