/**
 * What the two streams over the whole catalog say, made small: names with tags, and one number per service and node that
 * changes when any of its checks does. Pure.
 */

/** Service name to its sorted tags (the union over its instances). */
export type CatalogServices = ReadonlyMap<string, readonly string[]>

export interface HealthState {
  /** Service name to a number that stands for the set of its checks and their statuses. */
  readonly services: ReadonlyMap<string, number>
  /** Node name to the same for the checks of the node itself. */
  readonly nodes: ReadonlyMap<string, number>
}

/** Body of `catalog/services`; throws a plain Error when it is not one. Tags come in random order and are sorted here. */
export function parseCatalogServices(json: unknown): CatalogServices {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('catalog/services is no object')
  const services = new Map<string, readonly string[]>()
  for (const [name, tags] of Object.entries(json)) {
    const list = Array.isArray(tags) ? (tags as unknown[]).filter((tag) => typeof tag === 'string') : []
    services.set(name, [...new Set(list)].sort())
  }
  return services
}

/** Services that came, went, or changed their tags. */
export function touchedServices(before: CatalogServices, after: CatalogServices): string[] {
  const names: string[] = []
  for (const [name, tags] of after) if (!sameTags(before.get(name), tags)) names.push(name)
  for (const name of before.keys()) if (!after.has(name)) names.push(name)
  return names
}

/** Compares sorted tags; undefined is no such service. */
function sameTags(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && a.every((tag, at) => tag === b[at])
}

/** Body of `health/state/any`; throws a plain Error when it is not one. The order of checks does not matter. */
export function parseHealthState(json: unknown): HealthState {
  if (!Array.isArray(json)) throw new Error('health/state is no list')
  const services = new Map<string, number>()
  const nodes = new Map<string, number>()
  for (const entry of json as unknown[]) {
    if (typeof entry !== 'object' || entry === null) continue
    const check = entry as Record<string, unknown>
    const { Node: node, ServiceName: service } = check
    if (typeof node !== 'string') continue
    // Output is left out: it changes without any change of status.
    const line = [node, check['ServiceID'], check['CheckID'], check['Status'], check['CreateIndex']].join('\u001f')
    if (typeof service === 'string' && service !== '') add(services, service, line)
    else add(nodes, node, line)
  }
  return { services, nodes }
}

function add(sums: Map<string, number>, key: string, line: string): void {
  sums.set(key, ((sums.get(key) ?? 0) + hash(line)) % 2 ** 52)
}

/** 52 bits out of two FNV-1a passes; a sum of two is still exact, so the order of a whole sum does not matter. */
function hash(text: string): number {
  let [low, high] = [0x811c9dc5, 0x01000193]
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x5bd1e995)
    high ^= high >>> 13
  }
  return (low >>> 0) * 0x10_0000 + ((high >>> 0) & 0xf_ffff)
}
