/**
 * The parts of Consul's API that the embedded catalog does not have. Asking for one says so, rather than looking like a
 * mistyped path; what Consul has none of either stays a 404. Source: the HTTP API of Consul 1.8 to 1.20. Pure.
 */

const families: readonly string[] = [
  'acl',
  // Below it agents differ from version to version: whatever is asked of this one and is no route is not there.
  'agent',
  'api-gateway',
  'catalog/connect',
  'catalog/gateway-services',
  'catalog/node-services',
  'config',
  'connect',
  'coordinate',
  'discovery-chain',
  'event',
  'exported-services',
  'health/connect',
  'health/ingress',
  'hcp',
  'imported-services',
  'internal',
  'namespace',
  'namespaces',
  'operator',
  'partition',
  'partitions',
  'peering',
  'peerings',
  'query',
  'resource',
  'snapshot',
  'validate',
]

const shownMax = 120

/** What is asked for, when Consul has it and this catalog has not; undefined for all else. `path` is no route of ours. */
export function absentApi(path: string): string | undefined {
  const below = path.startsWith('/v1/') ? path.slice(4) : ''
  const family = families.find((name) => below === name || below.startsWith(`${name}/`))
  if (family === undefined) return undefined
  return family === 'agent' ? path.slice(0, shownMax) : `/v1/${family}`
}
