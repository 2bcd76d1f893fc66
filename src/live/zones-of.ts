/** Which endpoints are in the proxy's own zone. Pure. */
import type { BoundEndpoint, Zones } from './runtime.ts'

/** Apart where some are in `zone` and some are not; '' is no zone. */
export function zonesOf(endpoints: readonly BoundEndpoint[], zone: string): Zones | undefined {
  if (zone === '') return undefined
  const own = endpoints.filter(({ endpoint }) => endpoint.zone === zone)
  if (own.length === 0 || own.length === endpoints.length) return undefined
  return { own, others: endpoints.filter(({ endpoint }) => endpoint.zone !== zone) }
}
