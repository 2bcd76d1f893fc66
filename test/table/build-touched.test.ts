/** A build that looks only at what was touched, against one that knows nothing of the build before. */
import fc from 'fast-check'
import t from 'tap'
import type { Instance, InstanceStatus, ServiceSnapshot, Snapshot } from '../../src/catalog/snapshot.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import { hashHex } from '../../src/table/hash.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { freezeDeep, instance, policy, route, service, snapshot } from '../fixtures/tables.ts'

/** Two keys whose short handles are the same. */
function twins(): readonly [string, string] {
  const keys = new Map<string, string>()
  const random = seededRandom(1)
  for (;;) {
    const key = String(random()) + String(random())
    const short = hashHex(key).slice(0, 8)
    const other = keys.get(short)
    if (other !== undefined && other !== key) return [other, key]
    keys.set(short, key)
  }
}

const [left, right] = twins()
/** Their handles begin alike. */
const names = ['a', 'b', 'c', 'd', 'x y', 'x-y'] as const
const always = { header: new Map(), cookie: new Map(), query: new Map() }

const split = [
  { service: 'a', version: undefined, weight: undefined },
  { service: 'd', version: undefined, weight: undefined },
]
const rule = (action: object): object => ({ when: always, action })
const rules = [rule({ kind: 'version', version: '2' }), rule({ kind: 'service', service: 'd', version: '1' })]
const policies: readonly Policy[] = [
  policy([...names].map((name) => route(`/${name}`, name))),
  policy(
    [
      { ...route('/a', 'a'), traffic: { versions: new Map([['1', 1]]) } },
      { ...route('/c', 'c'), traffic: { split } },
      route('/b', 'b'),
      route('/x', 'x y'),
      route('/y', 'x-y'),
      { ...route('/bb', 'b'), upstreamTls: true },
    ],
    {
      a: { mirror: { version: '2', share: 1, timeoutMs: 1, concurrency: 1 } },
      b: { rules, failover: [{ service: 'c', version: undefined }] } as object,
    },
  ),
  policy([route('/b', 'b')], {}, { tagPrefix: 'urlprefix-' }),
].map(freezeDeep)

const one = fc.record({
  id: fc.constantFrom('1', '2', '3'),
  version: fc.constantFrom('1', '2', undefined),
  status: fc.constantFrom<InstanceStatus>('passing', 'critical', 'maintenance'),
  address: fc.constantFrom('10.0.0.1', '10.0.0.2', '!'),
  createIndex: fc.integer({ min: 1, max: 3 }),
  tags: fc.constantFrom<string[]>([], ['urlprefix-/t'], ['urlprefix-/u', 'urlprefix-:bad']),
})
type One = typeof one extends fc.Arbitrary<infer T> ? T : never

const changed = fc.record({
  name: fc.constantFrom(...names),
  instances: fc.option(fc.uniqueArray(one, { selector: ({ id }) => id, maxLength: 3 }), { nil: undefined }),
})
const step = fc.record({
  policy: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(2) }),
  changes: fc.array(changed, { maxLength: 3 }),
})

function made(name: string, instances: readonly One[]): ServiceSnapshot {
  const list = instances.map(({ id, ...parts }): Instance => {
    const whole = instance(name, id, parts)
    // The first of these two services collide.
    if (id === '1' && name === 'x y') return { ...whole, key: left }
    return id === '1' && name === 'x-y' ? { ...whole, key: right } : whole
  })
  return freezeDeep(service(name, list))
}

const content = ({ version, routes, services, problems }: RouteTable): unknown => ({
  version,
  routes,
  services: [...services],
  problems,
})

/** A table that nobody remembers how it was made. */
const forgotten = (table: RouteTable): RouteTable => Object.freeze({ ...table })

t.test('it says the same, and keeps the same objects', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      let given = policies[0] as Policy
      let services: ReadonlyMap<string, ServiceSnapshot> = new Map()
      let table = emptyTable
      for (const { policy: other, changes } of steps) {
        if (other !== undefined) given = policies[other] as Policy
        const next = new Map(services)
        for (const { name, instances } of changes)
          if (instances) next.set(name, made(name, instances))
          else next.delete(name)
        services = next
        const snap: Snapshot = Object.freeze({ ...snapshot(), services })
        const whole = mergePolicy(given, snap)
        const before = table
        const fresh = buildTable(forgotten(before), snap, whole).table
        table = buildTable(before, snap, whole).table
        if (fresh.version === before.version) t.equal(table, before)
        t.strictSame(content(table), content(fresh))
        for (const [i, made] of table.routes.entries())
          t.equal(made === before.routes[i], fresh.routes[i] === before.routes[i], 'route')
        for (const [name, made] of table.services)
          t.equal(made === before.services.get(name), fresh.services.get(name) === before.services.get(name), name)
        t.equal(table.routes === before.routes, fresh.routes === before.routes)
        t.equal(table.services === before.services, fresh.services === before.services)
        t.equal(table.problems === before.problems, fresh.problems === before.problems)
        if (!t.passing()) return false
      }
      return true
    }),
    { numRuns: 300 },
  )
})

t.test('one changed service of many is all that is looked at', async (t) => {
  const count = 300
  let reads = 0
  const of = (i: number, createIndex: number): ServiceSnapshot => {
    const instances = [instance(`s${i}`, 'one', { createIndex })]
    return Object.freeze({
      name: `s${i}`,
      get instances() {
        reads++
        return instances
      },
    })
  }
  const all = Array.from({ length: count }, (_, i) => of(i, 1))
  const given = freezeDeep(policy(all.map(({ name }) => route(`/${name}`, name))))
  const first = buildTable(emptyTable, snapshot(...all), given).table
  reads = 0
  const second = buildTable(first, snapshot(...all.with(7, of(7, 2))), given).table
  t.ok(reads <= 5, `instances were asked for ${reads} times`)
  t.equal(second.version, 2)
  const differing = [...second.services].filter(([name, made]) => made !== first.services.get(name))
  t.same(
    differing.map(([name]) => name),
    ['s7'],
  )
  t.equal(second.routes.filter((made, i) => made !== first.routes[i]).length, 1)
  t.equal(second.problems, first.problems)
})
