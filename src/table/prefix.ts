/**
 * The one place where a route's path is brought to the form that is stored, compared and matched.
 * Requests' paths are normalised by the proxy; this is about what people write in a policy.
 */

/**
 * A route path as the table keeps it: begins with `/` and ends with none, save `/` itself, which is every path.
 * `/cart/`, `/cart` and `cart` are the same route; so are `` and `/`.
 */
export function routePrefix(path: string): string {
  let end = path.length
  while (end > 0 && path.charCodeAt(end - 1) === 47) end--
  if (end === 0) return '/'
  const trimmed = end === path.length ? path : path.slice(0, end)
  return trimmed.charCodeAt(0) === 47 ? trimmed : `/${trimmed}`
}
