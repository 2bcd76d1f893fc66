import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import type { Snapshot } from '../../src/catalog/snapshot.ts'
import { bindTable } from '../../src/live/bind.ts'
import { createCurrent } from '../../src/live/current.ts'
import { createRegistry, type Registry } from '../../src/live/registry.ts'
import type { BoundTable } from '../../src/live/runtime.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { fakePool, instance, policy, route, service, snapshot, type FakePool } from '../fixtures/tables.ts'

const make = (): Registry => createRegistry((each) => fakePool(each))
const build = (snap: Snapshot, pol: Policy, previous: RouteTable = emptyTable): RouteTable =>
  buildTable(previous, snap, pol).table

const a = instance('web', 'a', { version: '1' })
const b = instance('web', 'b', { version: '2' })
const sick = instance('web', 'c', { version: '2', status: 'critical' })
const app = service('app', [instance('app', 'x')])
const pol = policy([route('/', 'web'), route('/app', 'app'), route('h/x', 'web')])

void t.test('a bound table points at the state of what it has', async (t) => {
  const registry = make()
  const bound = bindTable(build(snapshot(service('web', [a, b, sick]), app), pol), registry)
  const found = bound.match('any', '/y')
  t.equal(found?.service, bound.services.get('web'))
  t.equal(found?.service.table, bound.table.services.get('web'))
  t.equal(bound.match('h', '/x')?.service, found?.service, 'one service for all its routes')
  t.equal(bound.match('h', '/app/z')?.service.table.name, 'app')
  t.equal(bindTable(emptyTable, registry).match('h', '/'), undefined)
  const groups = found?.service.groups ?? []
  t.same(
    groups.map((group) => [group.version, group.weight, group.endpoints.map(({ endpoint }) => endpoint.key)]),
    [
      ['1', 1, [a.key]],
      ['2', 1, [b.key]],
    ],
    'only what the catalog allows',
  )
  for (const group of groups)
    for (const { endpoint, state } of group.endpoints) t.equal(state, registry.endpoint(endpoint))
  t.equal(groups[0]?.stats, registry.version('web', '1'))
  t.equal(found?.service.stats, registry.service('web'))
})

void t.test('one that turns critical and back has the same state', async (t) => {
  const current = createCurrent(make())
  const at = (): unknown => current.get().services.get('web')?.groups[0]?.endpoints[0]?.state
  const steps = (['passing', 'critical', 'passing'] as const).map((status) =>
    build(snapshot(service('web', [{ ...a, status }])), pol),
  )
  const states = steps.map((table) => {
    current.apply(table)
    return at()
  })
  t.ok(states[0])
  t.equal(states[1], undefined)
  t.equal(states[2], states[0])
})

void t.test('what did not change is bound as it was', async (t) => {
  const registry = make()
  const first = build(snapshot(service('web', [a, b]), app), pol)
  const second = build(snapshot(service('web', [a]), app), pol, first)
  const one = bindTable(first, registry)
  t.equal(bindTable(first, registry, one), one)
  const two = bindTable(second, registry, one)
  t.equal(two.services.get('app'), one.services.get('app'))
  t.equal(two.match('h', '/app'), one.match('h', '/app'))
  t.not(two.services.get('web'), one.services.get('web'))
  t.equal(two.match('h', '/')?.service, two.services.get('web'))
  t.equal(one.match('h', '/')?.service, one.services.get('web'), 'and the one before is what it was')
})

void t.test('of many services only what changed asks for its state', async (t) => {
  let asked = 0
  const inner = make()
  const registry: Registry = {
    ...inner,
    endpoint: (each) => {
      asked++
      return inner.endpoint(each)
    },
    version: (name, version) => inner.version(name, version),
    service: (name) => inner.service(name),
    retain: (table) => inner.retain(table),
  }
  const names = Array.from({ length: 50 }, (_, i) => `s${i}`)
  const many = policy(names.map((name) => route(`/${name}`, name)))
  const of = (name: string, createIndex: number) =>
    service(name, [instance(name, 'a', { version: '1' }), instance(name, 'b', { version: '2', createIndex })])
  const all = names.map((name) => of(name, 1))
  const first = build(snapshot(...all), many)
  const second = build(snapshot(...all.with(7, of('s7', 2))), many, first)
  const one = bindTable(first, registry)
  t.equal(asked, 100)
  const two = bindTable(second, registry, one)
  t.equal(asked, 101, 'the one that registered anew')
  t.equal(two.services.get('s7')?.groups[0], one.services.get('s7')?.groups[0], 'the other version of its service')
  t.equal([...two.services].filter(([name, made]) => made !== one.services.get(name)).length, 1)
  t.same([...two.services.keys()], [...second.services.keys()])
})

void t.test('the cell', async (t) => {
  const registry = make()
  const current = createCurrent(registry)
  t.equal(current.get().table, emptyTable)
  const first = build(snapshot(service('web', [a, b])), pol)
  current.apply(first)
  t.equal(current.get().table, first)
  const held = current.get()
  const state = held.services.get('web')?.groups[1]?.endpoints[0]?.state
  if (!state) return t.fail('no such endpoint')
  state.inFlight++
  current.apply(build(snapshot(service('web', [a])), pol, first))
  t.equal(state.leaving, true)
  t.equal((state.pool as unknown as FakePool).closed, 1)
  t.equal(held.match('h', '/')?.service.groups.length, 2, 'who read it before keeps what was read')
  t.same(
    [...registry.endpoints()].map(({ key }) => key),
    [a.key, b.key],
  )
  return undefined
})

void t.test('bound step by step is bound at once, and no pool is made or closed without need', async () => {
  const step = fc.record({
    web: fc.subarray(['a', 'b', 'c']),
    app: fc.subarray(['x', 'y']),
    life: fc.constantFrom(1, 2),
    routes: fc.subarray(['/', '/app', 'h/x', '*.h/']),
  })
  const show = ({ match, services }: BoundTable): string =>
    JSON.stringify([
      ['/', '/app', '/app/z', '/x'].flatMap((path) =>
        ['h', 'x.h', 'i'].map((host) => {
          const found = match(host, path)
          return [host, path, found?.route.host, found?.route.path, found?.service.table.name]
        }),
      ),
      [...services].map(([name, { groups }]) => [
        name,
        groups.map(({ version, endpoints }) => [
          version,
          endpoints.map(({ state }) => [state.key, state.life, state.leaving]),
        ]),
      ]),
    ])
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      const made: FakePool[] = []
      const registry = createRegistry((each) => {
        const pool = fakePool(each)
        made.push(pool)
        return pool
      })
      const current = createCurrent(registry)
      let table = emptyTable
      const lives = new Set<string>()
      for (const { web, app, life, routes } of steps) {
        const list = (name: string, ids: readonly string[]) =>
          ids.map((id) => instance(name, id, { createIndex: life }))
        const snap = snapshot(service('web', list('web', web)), service('app', list('app', app)))
        const own = policy(routes.map((place) => route(place, place === '/app' ? 'app' : 'web')))
        table = build(snap, own, table)
        current.apply(table)
        const wanted = new Set(
          [...table.services.values()].flatMap(({ groups }) =>
            groups.flatMap(({ endpoints }) => endpoints.map(({ key }) => `${key} ${life}`)),
          ),
        )
        const bound = current.get()
        if (show(bound) !== show(bindTable(build(snap, own), registry))) return false
        const living = [...registry.endpoints()].map(({ key, life }) => `${key} ${life}`)
        if (living.length !== wanted.size || living.some((each) => !wanted.has(each))) return false
        const open = made.filter(({ closed }) => closed === 0).length
        if (open !== wanted.size || made.some(({ closed }) => closed > 1)) return false
        const fresh = [...wanted].filter((each) => !lives.has(each))
        if (made.length < fresh.length) return false
        lives.clear()
        for (const each of wanted) lives.add(each)
      }
      return true
    }),
    { numRuns: 300 },
  )
})

void t.test('what was replaced is not kept', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const current = createCurrent(make())
  const old: WeakRef<object>[] = []
  let table = emptyTable
  const change = (at: number): void => {
    table = build(snapshot(service('web', [a, instance('web', `b${at}`, { version: '2' })]), app), pol, table)
    current.apply(table)
    old.push(new WeakRef(table), new WeakRef(current.get()), new WeakRef(table.services.get('web') ?? {}))
  }
  for (let at = 0; at < 20; at++) {
    change(at)
    // What is reached in a turn is kept for its length.
    await nextTurn()
  }
  collect()
  t.equal(old.filter((one) => one.deref() !== undefined).length, 3, 'the last one is')
})
