/** What changes in many services comes over several turns: what stands in between, and in the end. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Instance, Snapshot } from '../../src/catalog/snapshot.ts'
import { pieceMax, piecemealMax } from '../../src/control/pieces.ts'
import type { Cause } from '../../src/control/cause.ts'
import { createReconciler } from '../../src/control/reconcile.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { mergePolicy } from '../../src/policy/tags.ts'
import { buildTable, emptyTable } from '../../src/table/build.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeSource } from '../fixtures/fake-source.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'
import { FakeTurns } from '../fixtures/turns.ts'

const names = Array.from({ length: piecemealMax + 8 }, (_, i) => `s${i}`)

function rig(start: Policy, check: (table: RouteTable) => void = () => {}) {
  const clock = new FakeClock()
  const turns = new FakeTurns()
  const source = new FakeSource('consul')
  const published: { readonly table: RouteTable; readonly causes: readonly Cause[]; readonly turn: number }[] = []
  let turn = 0
  const reconciler = createReconciler({
    sources: [source],
    clock,
    log: silentLogger,
    policy: start,
    inTurn: turns.inTurn,
    publish: (table, causes) => {
      published.push({ table, causes, turn })
      check(table)
    },
  })
  reconciler.start()
  const next = (): boolean => {
    turn++
    return turns.next()
  }
  const settle = (): void => {
    do while (next());
    while ((clock.advance(1_000), turns.waiting > 0))
  }
  return { clock, turns, source, published, reconciler, next, settle }
}

/** Each of these services with one instance of that id, behind what it was. */
function say(before: Snapshot, changed: readonly string[], id: string): Snapshot {
  const services = new Map(before.services)
  for (const name of changed) services.set(name, service(name, [instance(name, id)]))
  return { version: before.version + 1, services, problems: [] }
}

const idsOf = (table: RouteTable, name: string): string =>
  (table.services.get(name)?.groups ?? []).flatMap(({ endpoints }) => endpoints.map(({ id }) => id)).join()

const plain = policy(names.map((name) => route(`/${name}`, name)))

t.test('a change of many services: so many in a turn, all for the same reasons', async (t) => {
  const { source, published, reconciler, settle, clock } = rig(plain)
  const first = say(snapshot(), names, 'a')
  source.say(first)
  t.equal(published.length, 1, 'the routes; what was heard waits for a turn')
  settle()
  t.equal(published.length, 2, 'the first table is whole, however large')
  t.equal(reconciler.status().ready, true)

  const many = names.slice(0, 3 * pieceMax)
  source.say(say(first, many, 'b'))
  clock.advance(1_000)
  settle()
  const after = published.slice(2)
  t.equal(after.length, 3)
  for (const [i, { table, causes }] of after.entries()) {
    t.equal(many.filter((name) => idsOf(table, name) === 'b').length, (i + 1) * pieceMax)
    t.same(causes, after[0]?.causes)
    t.match(causes, [{ kind: 'catalog', source: 'consul' }])
  }
  t.equal(new Set(after.map(({ turn }) => turn)).size, 3)
  t.equal(reconciler.status().lastBuild?.changed, true)
  await reconciler.stop()
})

t.test('what is first heard of a small catalog comes in one piece too', async (t) => {
  const { source, published, reconciler, settle } = rig(plain)
  source.say(say(snapshot(), names.slice(0, 3 * pieceMax), 'a'))
  settle()
  t.equal(published.length, 2)
  await reconciler.stop()
})

t.test('another policy and another catalog come in one piece', async (t) => {
  const { source, published, reconciler, settle } = rig(plain)
  const first = say(snapshot(), names, 'a')
  source.say(first)
  settle()
  const some = say(first, names.slice(0, 3 * pieceMax), 'b')
  source.say(some)
  reconciler.setPolicy(policy(names.map((name) => route(`/other/${name}`, name))))
  settle()
  t.equal(published.length, 3)
  source.say(say(some, names, 'c'))
  settle()
  t.equal(published.length, 4)
  await reconciler.stop()
})

t.test('who must not go on with less has all of it at once', async (t) => {
  const { source, published, reconciler, settle, next, turns } = rig(plain)
  const first = say(snapshot(), names, 'a')
  source.say(first)
  settle()
  source.say(say(first, names.slice(0, 3 * pieceMax), 'b'))
  for (let turn = 0; published.length < 3; turn++) if (!next() || turn > 10) break
  t.equal(published.length, 3)
  reconciler.flush()
  t.equal(published.length, 5)
  turns.all()
  t.equal(published.length, 5)
  await reconciler.stop()
})

// === Whatever the cuts ===

const few = names.slice(0, 5 * pieceMax)
const life = fc.record({
  id: fc.constantFrom('1', '2', '3'),
  version: fc.constantFrom('1', '2'),
  /** Of three services, so that some share one. */
  address: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', undefined),
  createIndex: fc.integer({ min: 1, max: 3 }),
  tags: fc.constantFrom<string[]>([], [], [], ['urlprefix-/t']),
})
const change = fc.record({
  name: fc.constantFrom(...few),
  lives: fc.option(fc.uniqueArray(life, { selector: ({ id }) => id, maxLength: 3 }), { nil: undefined }),
})
const happening = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('say'), changes: fc.array(change, { maxLength: 40 }) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turns'), count: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1, max: 300 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' } as const) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('policy'), which: fc.nat(1) }) },
)
const policies = [
  policy(few.map((name) => route(`/${name}`, name))),
  policy(few.map((name) => route(`/${name}`, name)).toReversed(), {}, { tagPrefix: 'urlprefix-' }),
]

type Life = typeof life extends fc.Arbitrary<infer T> ? T : never

/** What serves nothing no brake holds. */
const idle = { status: 'warning', weights: { passing: 1, warning: 0 } } as const

const made = (name: string, lives: readonly Life[]) =>
  service(
    name,
    lives.map(({ id, address, ...parts }): Instance =>
      instance(name, id, { ...parts, ...idle, ...(address && { address }) }),
    ),
  )
/** What a table says of a service. */
const said = (table: RouteTable, name: string): string =>
  JSON.stringify(
    table.services
      .get(name)
      ?.groups.map(({ version, endpoints }) => [version, endpoints.map(({ key, life: index }) => [key, index])]) ?? [],
  )
const content = ({ services, routes, problems }: RouteTable): unknown => ({
  services: [...services].sort(([a], [b]) => (a < b ? -1 : 1)),
  routes,
  problems,
})

t.test(
  'each table has each service as it was said at some time, in that order; the last is that of one build',
  async () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 30 }), (happenings) => {
        /** By service: all that was said of it, and the last that stood. */
        const forms = new Map<string, string[]>()
        const stood = new Map<string, number>()
        let now: Snapshot = snapshot()
        let standing = policies[0] ?? plain
        const note = (name: string): void => {
          const own = now.services.get(name)
          const { table } = buildTable(emptyTable, own ? snapshot(own) : snapshot(), policy([route('/', name)]))
          const known = forms.get(name)
          const form = said(table, name)
          if (!known) forms.set(name, [form])
          else if (known.at(-1) !== form) known.push(form)
        }
        for (const name of few) note(name)
        let version = 0
        // Not thrown where it is found: a reconciler lives on when a table is refused.
        const faults: string[] = []
        const { source, reconciler, next, clock, settle } = rig(standing, (table) => {
          if (table.version <= version) faults.push('versions do not rise')
          version = table.version
          for (const name of table.services.keys()) {
            const form = forms.get(name)?.indexOf(said(table, name), stood.get(name) ?? 0) ?? -1
            if (form < 0) faults.push(`${name} never was like that, or is no more: ${said(table, name)}`)
            else stood.set(name, form)
          }
        })
        for (const one of happenings) {
          if (one.kind === 'say') {
            const services = new Map(now.services)
            for (const { name, lives } of one.changes)
              if (lives) services.set(name, made(name, lives))
              else services.delete(name)
            now = { version: now.version + 1, services, problems: [] }
            for (const name of few) note(name)
            source.say(now)
          } else if (one.kind === 'turns') for (let i = 0; i < one.count; i++) next()
          else if (one.kind === 'wait') clock.advance(one.ms)
          else if (one.kind === 'flush') reconciler.flush()
          else reconciler.setPolicy((standing = policies[one.which] ?? plain))
        }
        settle()
        // What a brake holds stays for as long as it may.
        clock.advance(120_000)
        settle()
        const whole = buildTable(emptyTable, now, mergePolicy(standing, now)).table
        const last = reconciler.status().table
        void reconciler.stop()
        assert.deepEqual(faults, [])
        assert.deepEqual(content(last), content(whole))
      }),
      { numRuns: 100 },
    )
  },
)
