/**
 * Which requests had trouble, and what is told of them: made only when one has ended and had any, so that the others pay
 * for nothing. It decides nothing about a request.
 */
import type { BoundService } from '../live/runtime.ts'
import type { RequestHead } from '../wire/request-head.ts'
import { routingPath } from './path.ts'
import type { PlaneCore } from './plane-core.ts'

/** Failed by us (5xx), cut, given up by the client. What clients are refused for their own mistakes (4xx) is no trouble. */
export function isFailed(cause: string, status: number, origin: 'upstream' | 'proxy'): boolean {
  return cause !== '' && (status >= 499 || origin === 'upstream' || status === 0)
}

/** The route of the request, such as `shop.example.com/cart`, by the table of this moment; '' where that has another. */
export function routeText(core: PlaneCore, head: RequestHead | undefined, service: BoundService | undefined): string {
  const path = head && routingPath(head.target)
  if (path === undefined || !head || !service) return ''
  const route = core.bound.match(head.routingHost, path)?.route
  if (route?.service.name !== service.table.name) return ''
  return `${route.host === '' ? '*' : route.host}${route.path}`
}
