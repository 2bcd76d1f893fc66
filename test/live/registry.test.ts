import t from 'tap'
import { absentServicesKept, absentVersionsKept, createRegistry } from '../../src/live/registry.ts'
import type { EndpointState } from '../../src/live/runtime.ts'
import { emptyTable } from '../../src/table/build.ts'
import type { Endpoint, RouteTable } from '../../src/table/table.ts'
import { defaultServicePolicy } from '../../src/policy/policy.ts'
import { endpoint, fakePool, type FakePool } from '../fixtures/tables.ts'

/** A table of services, each with one group per version of its endpoints. */
function table(...endpoints: readonly Endpoint[]): RouteTable {
  const services = new Map(
    [...Map.groupBy(endpoints, (each) => each.service)].map(([name, own]) => [
      name,
      {
        name,
        policy: defaultServicePolicy,
        groups: [...Map.groupBy(own, (each) => each.version)].map(([version, list]) => ({
          version,
          weight: 1,
          endpoints: list,
        })),
      },
    ]),
  )
  return { ...emptyTable, services }
}

const poolOf = (state: EndpointState): FakePool => state.pool as unknown as FakePool
const make = () => createRegistry((each) => fakePool(each))

void t.test('one state per registration, made once', async (t) => {
  const registry = make()
  const a = registry.endpoint(endpoint('a'))
  t.equal(registry.endpoint(endpoint('a', { weight: 9, status: 'critical' })), a, 'whatever else changes')
  t.equal(poolOf(a).endpoint?.key, 'a')
  t.match(a, { key: 'a', life: 1, inFlight: 0, leaving: false, credit: 0 })
  t.same([...registry.endpoints()], [a])
})

void t.test('a new life of the same key is a new state, and the old one leaves', async (t) => {
  const registry = make()
  const old = registry.endpoint(endpoint('a'))
  registry.retain(table(endpoint('a')))
  old.inFlight = 1
  const now = registry.endpoint(endpoint('a', { life: 2 }))
  registry.retain(table(endpoint('a', { life: 2 })))
  t.not(now, old)
  t.equal(now.leaving, false)
  t.equal(old.leaving, true)
  t.equal(poolOf(old).closed, 1)
  t.equal(poolOf(now).closed, 0)
  t.same([...registry.endpoints()], [now, old])
  old.inFlight = 0
  registry.released(old)
  t.same([...registry.endpoints()], [now])
})

void t.test('a table with another life of it is a table without it', async (t) => {
  const registry = make()
  const old = registry.endpoint(endpoint('a'))
  registry.retain(table(endpoint('a')))
  registry.retain(table(endpoint('a', { life: 2 })))
  t.equal(old.leaving, true)
})

void t.test('what is in no table any more drains, then is forgotten', async (t) => {
  const registry = make()
  const [a, b] = [registry.endpoint(endpoint('a')), registry.endpoint(endpoint('b'))]
  registry.retain(table(endpoint('a'), endpoint('b')))
  a.inFlight = 2
  registry.retain(table())
  t.equal(poolOf(a).closed, 1)
  t.equal(poolOf(a).destroyed, 0, 'drained, not destroyed')
  t.same([...registry.endpoints()], [a], 'an idle one is gone at once')
  t.ok(b.leaving)
  a.inFlight = 1
  registry.released(a)
  t.same([...registry.endpoints()], [a], 'one request still holds it')
  a.inFlight = 0
  registry.released(a)
  t.same([...registry.endpoints()], [])
})

void t.test('one that comes back while it drains starts afresh', async (t) => {
  const registry = make()
  const old = registry.endpoint(endpoint('a'))
  registry.retain(table(endpoint('a')))
  old.inFlight = 1
  registry.retain(table())
  const now = registry.endpoint(endpoint('a'))
  registry.retain(table(endpoint('a')))
  t.not(now, old)
  t.equal(now.leaving, false)
  old.inFlight = 0
  registry.released(old)
  t.same([...registry.endpoints()], [now])
})

void t.test('releasing one that stays changes nothing', async (t) => {
  const registry = make()
  const a = registry.endpoint(endpoint('a'))
  registry.released(a)
  t.same([...registry.endpoints()], [a])
})

void t.test('a swap closes no pool of what stays', async (t) => {
  const registry = make()
  const states = ['a', 'b', 'c'].map((key) => registry.endpoint(endpoint(key)))
  registry.retain(table(...['a', 'b', 'c'].map((key) => endpoint(key))))
  registry.retain(table(endpoint('a'), endpoint('b', { version: '2' })))
  t.same(
    states.map((state) => poolOf(state).closed),
    [0, 0, 1],
  )
})

void t.test('counts survive swaps', async (t) => {
  const registry = make()
  const version = registry.version('web', '1')
  t.equal(version.durationCounts.length, 15, 'a bucket for each bound and one for the rest')
  t.equal(registry.version('web', '1'), version)
  t.not(registry.version('web', '2'), version)
  t.equal(registry.service('web'), registry.service('web'))
  t.same(
    [...registry.versions()].map((each) => each.version),
    ['1', '2'],
  )
  t.same(
    [...registry.services()].map((each) => each.service),
    ['web'],
  )
})

void t.test('counts of what is gone are kept, up to a bound, the longest gone dropped first', async (t) => {
  const registry = make()
  const life = (version: string): void => {
    const one = endpoint(`k${version}`, { version })
    registry.version('web', version)
    registry.service('web')
    registry.retain(table(one))
  }
  const first = registry.version('web', 'v0')
  life('v0')
  life('v1')
  t.equal(registry.version('web', 'v0'), first, 'a version that comes back has its counts')
  life('v0')
  for (let i = 2; i < absentVersionsKept + 20; i++) life(`v${i}`)
  const names = [...registry.versions()].map((each) => each.version)
  t.equal(names.length, absentVersionsKept + 1, 'the bound, and the one that is there')
  t.notOk(names.includes('v1'))
  t.ok(names.includes(`v${absentVersionsKept + 19}`))

  const stays = endpoint('stays', { version: 'v30' })
  const back = registry.version('web', 'v30')
  registry.retain(table(stays))
  for (let i = 0; i < absentVersionsKept + 20; i++) {
    registry.version('web', `w${i}`)
    registry.retain(table(stays, endpoint(`k${i}`, { version: `w${i}` })))
  }
  t.ok([...registry.versions()].includes(back), 'one that came back is not dropped in its turn')

  for (let i = 0; i < absentServicesKept + 20; i++) {
    registry.service(`s${i}`)
    registry.retain(table(endpoint('k', { service: `s${i}` })))
  }
  const services = [...registry.services()].map((each) => each.service)
  t.equal(services.length, absentServicesKept + 1)
  t.notOk(services.includes('web'))
})

void t.test('destroy ends all pools', async (t) => {
  const registry = make()
  const states = ['a', 'b'].map((key) => registry.endpoint(endpoint(key)))
  registry.retain(table(endpoint('a'), endpoint('b')))
  for (const state of states) state.inFlight = 1
  registry.retain(table(endpoint('a')))
  registry.destroy()
  for (const state of states) {
    t.equal(poolOf(state).destroyed, 1)
    t.equal(state.leaving, true)
  }
  t.same([...registry.endpoints()], [])
})
