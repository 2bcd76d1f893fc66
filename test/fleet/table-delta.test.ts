/** Deltas of tables: they lead to the same table, keep what did not change, and say no more than that. */
import fc from 'fast-check'
import t from 'tap'
import { encodeFrame, FrameReader } from '../../src/fleet/frames.ts'
import { applyDelta, tableDelta, type TableDelta } from '../../src/fleet/table-delta.ts'
import { defaultAddressCheck } from '../../src/policy/addresses.ts'
import { policyFromConfig } from '../../src/policy/from-config.ts'
import { emptyPolicy, type Policy, type RoutePolicy } from '../../src/policy/policy.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { configOf } from '../fixtures/app.ts'
import { instance, service, servicePolicy, snapshot } from '../fixtures/tables.ts'

/** As it arrives in another process. */
function cross(delta: TableDelta): TableDelta {
  return new FrameReader().push(encodeFrame(delta))[0] as TableDelta
}

const names = ['a', 'b', 'c', 'd'] as const

interface Step {
  readonly instances: readonly (readonly string[])[]
  readonly routes: readonly RoutePolicy[]
  readonly attempts: number
}

/** One object for one policy, as sources keep those that did not change. */
const policies: readonly RoutePolicy[] = ['', 'x.test', '*.test'].flatMap((host) =>
  ['/', '/p', '/p/q'].flatMap((path) => {
    const place = { origin: `${host}${path}`, host, path }
    const plain = names.flatMap((service): RoutePolicy[] => [
      { ...place, service },
      { ...place, service, access: { allow: [], deny: ['10.0.0.0/8'] } },
      { ...place, service, traffic: { versions: new Map([['1', 1]]) } },
    ])
    return [...plain, { ...place, service: '', redirect: { status: 302, to: '/' } } satisfies RoutePolicy]
  }),
)
const route = fc.constantFrom(...policies)

const step: fc.Arbitrary<Step> = fc.record({
  instances: fc.tuple(...names.map(() => fc.subarray(['1', '2', '3']))),
  routes: fc.uniqueArray(route, { maxLength: 6, selector: ({ origin }) => origin }),
  attempts: fc.integer({ min: 1, max: 2 }),
})

function tablesOf(steps: readonly Step[]): readonly RouteTable[] {
  let table = emptyTable
  return steps.map(({ instances, routes, attempts }) => {
    const policy: Policy = {
      ...emptyPolicy,
      routes,
      defaults: servicePolicy({ retry: { attempts, budget: 0.2, bodyBytes: 1 } }),
    }
    const services = names.map((name, i) =>
      service(
        name,
        (instances[i] ?? []).map((id) => instance(name, id, { version: id })),
      ),
    )
    table = buildTable(table, snapshot(...services), policy).table
    return table
  })
}

const bare = (table: RouteTable): RouteTable => ({ ...table, problems: [] })

t.test('one after the other, they lead to each table', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      let sent: RouteTable | undefined
      let there = emptyTable
      for (const table of tablesOf(steps)) {
        const before = there
        const delta = tableDelta(sent, table)
        there = applyDelta(there, cross(delta))
        t.same(there, bare(table))
        for (const { service } of there.routes)
          if (service.name !== '') t.equal(service, there.services.get(service.name))
        for (const [name, known] of table.services)
          if (sent?.services.get(name) === known) t.equal(there.services.get(name), before.services.get(name))
        sent = table
      }
    }),
    { numRuns: 150 },
  )
})

t.test('some may be left out, and one that says all may come at any time', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 3, maxLength: 5 }), (steps) => {
      const [first, , ...rest] = tablesOf(steps)
      const last = rest.at(-1)
      if (!first || !last) return
      const there = applyDelta(emptyTable, cross(tableDelta(undefined, first)))
      t.same(applyDelta(there, cross(tableDelta(first, last))), bare(last))
      t.same(applyDelta(there, cross(tableDelta(undefined, last))), bare(last))
    }),
    { numRuns: 100 },
  )
})

t.test('one changed service of many is all that is sent', async (t) => {
  const many = Array.from({ length: 200 }, (_, i) => `s${String(i)}`)
  const policy: Policy = {
    ...emptyPolicy,
    routes: many.map((name): RoutePolicy => ({ origin: name, host: `${name}.test`, path: '/', service: name })),
  }
  const services = many.map((name) => service(name, [instance(name, 'a'), instance(name, 'b')]))
  const { table: before } = buildTable(emptyTable, snapshot(...services), policy)
  const changed = services.with(7, service('s7', [instance('s7', 'a'), instance('s7', 'c')]))
  const { table: after } = buildTable(before, snapshot(...changed), policy)
  const delta = tableDelta(before, after)
  t.same(
    delta.services.map(({ name }) => name),
    ['s7'],
  )
  t.same(delta.routes, [{ from: 0, count: 200 }])
  t.equal(tableDelta(before, after), delta, 'for all workers it is made once')
  t.ok(encodeFrame(delta).length < 700, `${encodeFrame(delta).length} bytes`)

  const there = applyDelta(emptyTable, cross(tableDelta(undefined, before)))
  const then = applyDelta(there, cross(delta))
  t.same(then, bare(after))
  const [was, is] = [there, then].map((table) => table.services.get('s7'))
  t.equal(is?.policy, was?.policy, 'the policy is the very object')
  t.equal(is?.groups[0]?.endpoints[0], was?.groups[0]?.endpoints[0], 'and so is the instance that stayed')
  t.not(is, was)
})

t.test('whatever a configuration can say of routes and services crosses as it is', async (t) => {
  const config = configOf(`
routes:
  - { host: "*.x.test", path: /p, service: a, strip: /p, prepend: /q, hostHeader: instance, allow: [10.0.0.0/8], deny: [10.1.0.0/16],
      headers: { request: { set: { x-a: b }, remove: [x-c] }, response: { add: { x-d: e } } }, fallback: none, sticky: { ip: true } }
  - { path: /old, redirect: "https://$host/new$path" }
  - { service: b, versions: { 1: 90, "*": 10 }, rules: [{ when: { method: { oneOf: [GET, HEAD] }, client: { not: [10.0.0.0/8] } }, answer: { status: 403, body: no } }] }
services:
  a:
    rules:
      - { when: { header: { x-canary: { glob: "a*b" } }, cookie: { c: { present: true } }, query: { q: { not: x } } }, version: 2 }
    sticky: { cookie: fairlead, maxAge: 30d }
    health: { http: /up, identity: x-id, mode: observe }
`)
  const policy = policyFromConfig(config, defaultAddressCheck)
  const services = ['a', 'b'].map((name) => service(name, [instance(name, '1', { version: '1' })]))
  const { table } = buildTable(emptyTable, snapshot(...services), policy)
  t.equal(table.routes.length, 3)
  t.strictSame(applyDelta(emptyTable, cross(tableDelta(undefined, table))), bare(table))
})

t.test('a change of another table is refused', async (t) => {
  const [table] = tablesOf([{ instances: [['1'], [], [], []], routes: [], attempts: 1 }])
  if (!table) return
  t.throws(
    () => applyDelta(emptyTable, { ...tableDelta(table, table), base: 7 }),
    /a change of table 7 came to table 0/,
  )
  const whole = { base: undefined, version: 1, services: [], gone: [] }
  t.throws(() => applyDelta(emptyTable, { ...whole, routes: [{ from: 3, count: 1 }] }), /never sent/)
  const route = { origin: 'x', host: '', path: '/', weights: undefined, policy: { origin: 'x', host: '', path: '/' } }
  const lost = { ...route, service: 'z', policy: { ...route.policy, service: 'z' } }
  t.throws(() => applyDelta(emptyTable, { ...whole, routes: [lost] }), /service z, which was not sent/)
})

t.test('a part that was never sent is refused', async (t) => {
  const whole = { base: undefined, version: 1, gone: [], routes: [] }
  const one = { name: 'a', policy: servicePolicy(), pem: undefined }
  const groups = [{ version: '1', weight: 1, endpoints: [3] }]
  for (const sent of [
    { ...one, groups: [0] },
    { ...one, groups },
  ])
    t.throws(() => applyDelta(emptyTable, { ...whole, services: [sent] }), /a part of service a was never sent/)
  t.throws(
    () => applyDelta(emptyTable, { ...whole, services: [{ ...one, policy: undefined, groups: [] }] }),
    /the policy of service a was never sent/,
  )
})
