/**
 * Question: what do the first table and one change cost of our own time, at 1,000 services with 10 instances each?
 * Run: node bench/micro/build.ts
 */
import { instanceKey, type Instance, type ServiceSnapshot, type Snapshot } from '../../src/catalog/snapshot.ts'
import { createCurrent } from '../../src/live/current.ts'
import { createRegistry } from '../../src/live/registry.ts'
import { emptyPolicy, type Policy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { diffTables } from '../../src/table/diff.ts'
import type { Pool } from '../../src/wire/pool.ts'

const services = 1_000
const instances = 10
const changes = 200

function instance(service: number, index: number, createIndex: number): Instance {
  const parts = {
    source: 'consul',
    node: `node-${index}`,
    service: `service-${service}`,
    id: `service-${service}-${index}-${createIndex}`,
    address: `10.${service >> 8}.${service & 255}.${index}`,
    port: 8080,
  }
  const tags = [`urlprefix-service-${service}.example.com/`, `version=9.${index % 2}.0`]
  const rest = { tags, meta: {}, nodeMeta: {}, weights: { passing: 1, warning: 1 }, agentLost: false, createIndex }
  return { key: instanceKey(parts), ...parts, ...rest, status: 'passing' }
}

function serviceSnapshot(service: number, createIndex: number): ServiceSnapshot {
  const list = Array.from({ length: instances }, (_, i) => instance(service, i, i === 0 ? createIndex : 1))
  return { name: `service-${service}`, instances: list.sort((a, b) => (a.key < b.key ? -1 : 1)) }
}

const base: Policy = { ...emptyPolicy, tagPrefix: 'urlprefix-' }
const all = new Map(Array.from({ length: services }, (_, i) => [`service-${i}`, serviceSnapshot(i, 1)]))
let snapshot: Snapshot = { version: 1, services: all, problems: [] }

// A pool that opens nothing: the question is about tables.
const noPool = { open: 0, idle: 0, useTls() {}, close() {}, destroy() {} } as unknown as Pool
const current = createCurrent(createRegistry(() => noPool))
let table = emptyTable

interface Cost {
  readonly build: number
  readonly apply: number
  readonly diff: number
}

function step(): Cost {
  const start = performance.now()
  const next = buildTable(table, snapshot, mergePolicy(base, snapshot)).table
  const built = performance.now()
  current.apply(next)
  const applied = performance.now()
  diffTables(table, next)
  const end = performance.now()
  table = next
  return { build: built - start, apply: applied - built, diff: end - applied }
}

const text = ({ build, apply, diff }: Cost): string =>
  `build ${build.toFixed(2)} ms, bind and swap ${apply.toFixed(2)} ms, diff ${diff.toFixed(2)} ms`

console.log(`${services} services with ${instances} instances, ${services} routes from tags`)
console.log(`first table:                ${text(step())}`)
console.log(`nothing changed:            ${text(step())}`)

const costs: Cost[] = []
for (let i = 0; i < changes; i++) {
  const changed = (i * 37) % services
  const next = new Map(snapshot.services).set(`service-${changed}`, serviceSnapshot(changed, i + 2))
  snapshot = { ...snapshot, version: snapshot.version + 1, services: next }
  costs.push(step())
}
const quantile = (part: keyof Cost, share: number): number =>
  costs.map((cost) => cost[part]).sort((a, b) => a - b)[Math.floor(share * (costs.length - 1))] ?? 0
for (const [name, share] of [
  ['median', 0.5],
  ['p99', 0.99],
] as const) {
  const at = { build: quantile('build', share), apply: quantile('apply', share), diff: quantile('diff', share) }
  console.log(`one changed service, ${name.padEnd(6)}: ${text(at)}`)
}
