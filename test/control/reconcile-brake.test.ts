import t from 'tap'
import type { Snapshot } from '../../src/catalog/snapshot.ts'
import { createReconciler, type Reconciler } from '../../src/control/reconcile.ts'
import { holdMs, suddenMs } from '../../src/control/source-brake.ts'
import type { Logger } from '../../src/core/log.ts'
import type { Policy } from '../../src/policy/policy.ts'
import type { Endpoint, RouteTable } from '../../src/table/table.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeSource } from '../fixtures/fake-source.ts'
import { instance, policy, route, service, snapshot, type InstanceParts } from '../fixtures/tables.ts'
import { noTurns } from '../fixtures/turns.ts'

interface Rig {
  readonly clock: FakeClock
  readonly source: FakeSource
  readonly reconciler: Reconciler
  readonly tables: RouteTable[]
  readonly lines: string[]
  /** Ids that are dead; those that were asked to be probed. */
  readonly dead: Set<string>
  readonly probed: string[]
  readonly say: (snapshot: Snapshot) => void
  /** Ids in the table, with a weight. */
  readonly serving: (name?: string) => string
  readonly endpoints: (name?: string) => readonly Endpoint[]
  readonly problems: () => readonly string[]
}

function rig(options: { readonly confirms?: boolean; readonly policy?: Policy } = {}): Rig {
  const clock = new FakeClock()
  const source = new FakeSource('consul', { confirms: options.confirms === true })
  const lines: string[] = []
  const tables: RouteTable[] = []
  const dead = new Set<string>()
  const probed: string[] = []
  const idOf = (key: string): string => key.split('\u001f')[3] ?? ''
  const to = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`)
  const log: Logger = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  const reconciler = createReconciler({
    inTurn: noTurns,
    sources: [source],
    clock,
    log,
    policy: options.policy ?? policy([route('/', 'web'), route('/x', 'x'), route('/y', 'y')]),
    publish: (table) => void tables.push(table),
    life: {
      isAlive: (key) => (dead.has(idOf(key)) ? 'dead' : 'unknown'),
      probe: (keys) => void probed.push(...keys.map(idOf)),
    },
  })
  const endpoints = (name = 'web'): readonly Endpoint[] =>
    tables
      .at(-1)
      ?.services.get(name)
      ?.groups.flatMap((group) => group.endpoints) ?? []
  reconciler.start()
  return {
    clock,
    source,
    reconciler,
    tables,
    lines,
    dead,
    probed,
    // Past the coalescer's spacing, and before the brake looks.
    say: (next) => {
      source.say(next)
      clock.advance(101)
    },
    serving: (name) =>
      endpoints(name)
        .filter(({ weight }) => weight > 0)
        .map(({ id }) => id)
        .join(''),
    endpoints,
    problems: () =>
      (tables.at(-1)?.problems ?? []).filter(({ code }) => code === 'removal-held').map(({ message }) => message),
  }
}

const of = (name: string, ids: string, parts: InstanceParts = {}) =>
  service(
    name,
    ids.split('').map((id) => instance(name, id, parts)),
  )
const web = (ids: string, parts: InstanceParts = {}): Snapshot => snapshot(of('web', ids, parts))
const settle = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve))

void t.test('a sudden mass removal is held, under a problem, and probed', async (t) => {
  const { reconciler, say, serving, endpoints, problems, probed, clock } = rig()
  say(web('abcd', { createIndex: 9 }))
  say(web('d', { createIndex: 9 }))
  t.equal(serving(), 'abcd')
  t.same(probed, ['a', 'b', 'c'])
  t.same(
    endpoints().map(({ id, held, life, status }) => [id, held, life, status]),
    [
      ['a', true, 9, 'passing'],
      ['b', true, 9, 'passing'],
      ['c', true, 9, 'passing'],
      ['d', undefined, 9, 'passing'],
    ],
  )
  t.equal(problems().length, 1)
  t.match(problems()[0], /^3 of 4 instances went or turned critical at once.*until 2023-.*: a, b, c$/)
  await reconciler.stop()
  t.equal(clock.pending, 0)
})

void t.test('with no source that confirms they go when their time is over', async (t) => {
  const { reconciler, say, serving, problems, clock, lines } = rig()
  say(web('abc'))
  say(web(''))
  clock.advance(holdMs - 300)
  t.equal(serving(), 'abc')
  clock.advance(700)
  t.equal(serving(), '')
  t.same(problems(), [])
  t.ok(lines.includes('info catalog consul: web a is no longer held: its time is over'))
  t.equal(clock.pending, 0, 'no timer is left')
  await reconciler.stop()
})

void t.test('what is dead goes at once, the others stay', async (t) => {
  const { reconciler, say, serving, clock, dead } = rig()
  say(web('abcd'))
  say(web(''))
  dead.add('b')
  reconciler.lifeChanged()
  clock.advance(0)
  t.equal(serving(), 'acd', 'when told')
  dead.add('c')
  clock.advance(400)
  t.equal(serving(), 'ad', 'and soon, when not')
  await reconciler.stop()
})

void t.test('turned critical: the last good status counts, until it fails', async (t) => {
  const { reconciler, say, serving, endpoints, clock, dead } = rig()
  say(web('abc', { status: 'warning', weights: { passing: 9, warning: 4 } }))
  say(web('abc', { status: 'critical' }))
  t.same(
    endpoints().map(({ status, weight }) => [status, weight]),
    [
      ['warning', 4],
      ['warning', 4],
      ['warning', 4],
    ],
  )
  dead.add('a')
  clock.advance(400)
  t.equal(serving(), 'bc')
  t.equal(endpoints().find(({ id }) => id === 'a')?.status, 'critical', 'then as the catalog has it')
  await reconciler.stop()
})

void t.test('who is back is back, and an operator’s word ends the hold', async (t) => {
  const { reconciler, say, endpoints, problems, clock } = rig()
  say(web('abcd'))
  say(web(''))
  say(web('ab', { meta: { version: '2' } }))
  t.same(
    endpoints().map(({ id, version, held }) => [id, version, held]),
    [
      ['c', '', true],
      ['d', '', true],
      ['a', '2', undefined],
      ['b', '2', undefined],
    ],
  )
  say(
    snapshot(
      service('web', [
        instance('web', 'a'),
        instance('web', 'b'),
        instance('web', 'c', { status: 'maintenance' }),
        instance('web', 'd', { status: 'maintenance' }),
      ]),
    ),
  )
  t.same(
    endpoints().map(({ id, status, weight }) => [id, status, weight]),
    [
      ['a', 'passing', 1],
      ['b', 'passing', 1],
      ['c', 'maintenance', 0],
      ['d', 'maintenance', 0],
    ],
  )
  t.same(problems(), [])
  t.equal(clock.pending, 0)
  await reconciler.stop()
})

void t.test('one at a time is no mass', async (t) => {
  const { reconciler, say, serving, clock } = rig()
  for (const ids of ['abcd', 'abc', 'ab', 'a', '']) {
    say(web(ids))
    t.equal(serving(), ids)
    clock.advance(suddenMs)
  }
  await reconciler.stop()
})

void t.test('a second read decides, and is asked for again while it cannot', async (t) => {
  const { reconciler, say, serving, source, clock, lines } = rig({ confirms: true })
  say(web('abcd'))
  say(web(''))
  clock.advance(holdMs - 500)
  t.equal(source.confirms.length, 0, 'not before its time')
  clock.advance(1_000)
  t.equal(source.confirms.length, 1)
  clock.advance(20_000)
  t.equal(source.confirms.length, 1, 'one at a time')
  source.confirms[0]?.answer(undefined)
  await settle()
  t.equal(serving(), 'abcd', 'the catalog could not be asked')
  clock.advance(5_300)
  t.equal(source.confirms.length, 2)
  source.confirms[1]?.answer([instance('web', 'a'), instance('web', 'b', { status: 'critical' })])
  await settle()
  clock.advance(101)
  t.equal(serving(), 'a', 'listed well: it stays, and the source will tell')
  t.ok(lines.some((line) => line.includes('web c is no longer held: a second read says so too')))
  say(web('a'))
  clock.advance(60_000)
  t.equal(source.confirms.length, 2, 'nothing is held any more')
  t.equal(clock.pending, 0)
  await reconciler.stop()
})

void t.test('an answer that comes after the end, or after a return, changes nothing', async (t) => {
  const { reconciler, say, serving, source, clock, tables } = rig({ confirms: true })
  say(web('ab'))
  say(web(''))
  clock.advance(holdMs + 500)
  say(web('ab'))
  source.confirms[0]?.answer([])
  await settle()
  clock.advance(1_000)
  t.equal(serving(), 'ab')
  say(web(''))
  clock.advance(holdMs + 500)
  await reconciler.stop()
  const count = tables.length
  source.confirms[1]?.answer([])
  await settle()
  clock.advance(10_000)
  t.equal(tables.length, count)
  t.equal(clock.pending, 0)
})

void t.test('a catalog that comes back empty: also services with one instance, each by itself', async (t) => {
  const { reconciler, say, serving, source, problems } = rig()
  const all = snapshot(of('web', 'abc'), of('x', 'd'), of('y', 'e'))
  say(all)
  say(snapshot(of('web', ''), of('x', ''), of('y', '')))
  t.same([serving(), serving('x'), serving('y')], ['abc', 'd', 'e'])
  t.equal(problems().length, 3)
  say(all)
  t.same(problems(), [])
  source.be({ kind: 'stale', reason: 'refused' })
  source.be({ kind: 'current' })
  for (const next of [
    snapshot(of('web', 'abc'), of('x', ''), of('y', 'e')),
    snapshot(of('web', 'abc'), of('x', ''), of('y', '')),
  ])
    say(next)
  t.same([serving('x'), serving('y')], ['d', 'e'], 'after trouble even one by one')
  await reconciler.stop()
})

void t.test('trouble is forgotten in time, and a bad file is none', async (t) => {
  const { reconciler, say, serving, source, clock } = rig()
  source.be({ kind: 'stale', reason: 'not YAML', cause: 'unusable' })
  source.be({ kind: 'current' })
  say(snapshot(of('x', 'a'), of('web', 'abc')))
  say(snapshot(of('x', ''), of('web', 'abc')))
  t.equal(serving('x'), '')
  source.be({ kind: 'stale', reason: 'reset' })
  source.be({ kind: 'current' })
  clock.advance(60_001)
  say(snapshot(of('x', 'a'), of('web', 'abc')))
  say(snapshot(of('x', ''), of('web', 'abc')))
  t.equal(serving('x'), '')
  await reconciler.stop()
})

void t.test('a service that no route needs any more is not held', async (t) => {
  const { reconciler, say, tables, clock } = rig()
  say(web('abc'))
  say(web(''))
  reconciler.setPolicy(policy([route('/y', 'y')]))
  clock.advance(400)
  t.notOk(tables.at(-1)?.services.has('web'))
  reconciler.setPolicy(policy([route('/', 'web')]))
  clock.advance(400)
  t.same(tables.at(-1)?.services.get('web')?.groups, [])
  t.equal(clock.pending, 0)
  await reconciler.stop()
})

void t.test('routes that tags make stay with what is held', async (t) => {
  const { reconciler, say, tables } = rig({ policy: { ...policy([]), tagPrefix: 'urlprefix-' } })
  const tags = ['urlprefix-/x']
  say(web('ab', { tags }))
  say(web(''))
  t.equal(tables.at(-1)?.routes.length, 1)
  t.equal(tables.at(-1)?.services.get('web')?.groups[0]?.endpoints.length, 2)
  await reconciler.stop()
})

void t.test('one event that the catalog tells in pieces is one', async (t) => {
  const pieces = rig()
  for (const ids of ['abcd', 'bcd', 'cd']) pieces.say(web(ids))
  t.equal(pieces.serving(), 'cd', 'half of them are no mass')
  pieces.say(web('d'))
  t.equal(pieces.serving(), 'abcd', 'three of four within a second are')
  pieces.say(web(''))
  t.equal(pieces.serving(), 'abc', 'those that are held carry on')
  for (const id of 'abcd') pieces.dead.add(id)
  pieces.clock.advance(300)
  t.equal(pieces.serving(), '', 'dead ones go')
  pieces.say(web(''))
  t.equal(pieces.serving(), '', 'and are not held again')
  await pieces.reconciler.stop()
})

void t.test('what is replaced piece by piece is not held', async (t) => {
  const { reconciler, say, serving } = rig()
  for (const ids of ['abcd', 'bcd', 'bcdA', 'cdA', 'cdAB', 'dAB', 'dABC', 'ABC', 'ABCD']) {
    say(web(ids))
    t.equal(serving(), ids.split('').sort().join(''), ids)
  }
  await reconciler.stop()
})
