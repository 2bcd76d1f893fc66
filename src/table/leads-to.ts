/** Where a route leads, in words. Pure. */
import type { Route, RoutePart } from './table.ts'

/** Such as `shop 90 and shop-next 9.8.0 10`, without weights that follow from instances; or `redirect to /new`. */
export function leadsTo(
  route: Pick<Route, 'service' | 'parts'> & { readonly policy: Pick<Route['policy'], 'redirect'> },
): string {
  const { service, parts, policy } = route
  if (policy.redirect) return `redirect to ${policy.redirect.to}`
  if (!parts) return service.name
  const text = ({ service: name, version = '', weight, standby, said }: RoutePart): string =>
    [standby ? 'else' : '', name, version, said?.weight === undefined ? '' : String(weight)].filter(Boolean).join(' ')
  return parts.map(text).join(' and ').replaceAll(' and else ', ', else ')
}
