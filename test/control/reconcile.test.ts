import t from 'tap'
import type { Logger } from '../../src/core/log.ts'
import { linesMax } from '../../src/control/change-log.ts'
import { createReconciler, type BuildReport, type Reconciler } from '../../src/control/reconcile.ts'
import type { Policy } from '../../src/policy/policy.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeSource } from '../fixtures/fake-source.ts'
import { instance, policy, route, service, snapshot } from '../fixtures/tables.ts'
import { noTurns } from '../fixtures/turns.ts'

interface Rig {
  readonly clock: FakeClock
  readonly sources: readonly FakeSource[]
  readonly lines: string[]
  readonly tables: RouteTable[]
  readonly builds: BuildReport[]
  readonly reconciler: Reconciler
  fail: Error | undefined
}

function rig(options: { readonly sources?: readonly string[]; readonly policy?: Policy } = {}): Rig {
  const clock = new FakeClock()
  const sources = (options.sources ?? ['consul']).map((name) => new FakeSource(name))
  const lines: string[] = []
  const tables: RouteTable[] = []
  const builds: BuildReport[] = []
  const to = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`)
  const log: Logger = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  const made: Rig = {
    clock,
    sources,
    lines,
    tables,
    builds,
    fail: undefined,
    reconciler: createReconciler({
      inTurn: noTurns,
      sources,
      clock,
      log,
      policy: options.policy ?? policy([route('/', 'web')]),
      publish(table) {
        if (made.fail) throw made.fail
        tables.push(table)
      },
      onBuild: (report) => builds.push(report),
    }),
  }
  return made
}

const web = (...ids: readonly string[]) =>
  snapshot(
    service(
      'web',
      ids.map((id) => instance('web', id)),
    ),
  )
const count = (table: RouteTable | undefined): number | undefined =>
  table?.services.get('web')?.groups.reduce((sum, { endpoints }) => sum + endpoints.length, 0)

void t.test('from start to ready', async (t) => {
  const { reconciler, sources, tables, clock, lines } = rig({ sources: ['consul', 'file'] })
  const [consul, file] = sources
  t.equal(consul?.listener, undefined)
  reconciler.start()
  t.same([...(consul?.interests[0]?.names ?? [])], ['web'], 'told what matters before it starts')
  t.equal(tables.length, 1, 'routes stand at once: 503, not 404')
  t.equal(reconciler.status().ready, false)
  t.notOk(
    lines.some((line) => line.includes('no instance of')),
    'nobody is missed before all were heard',
  )

  consul?.say(web('a'))
  t.equal(count(tables.at(-1)), 1, 'the first answer is applied at once')
  t.equal(reconciler.status().ready, false)
  file?.say(snapshot())
  clock.advance(100)
  t.equal(reconciler.status().ready, true)
  t.same(
    reconciler.status().sources.map(({ name, answered }) => [name, answered]),
    [
      ['consul', true],
      ['file', true],
    ],
  )
  await reconciler.stop()
})

void t.test('one who is missed is named once all were heard, and once it is there', async (t) => {
  const { reconciler, sources, clock, lines } = rig()
  reconciler.start()
  sources[0]?.say(snapshot(service('web', [])))
  const warnings = () => lines.filter((line) => line.includes('no instance of service web'))
  t.equal(warnings().length, 1)
  t.match(warnings()[0], /^warn config:\/: no instance/)
  sources[0]?.say(snapshot(service('web', [])))
  clock.advance(200)
  t.equal(warnings().length, 1, 'said once')
  sources[0]?.say(web('a'))
  clock.advance(200)
  t.match(warnings()[1], /^info solved: config:\//)
  t.equal(warnings().length, 2)
  await reconciler.stop()
})

void t.test('a storm is applied every 100 ms, its end surely', async (t) => {
  const { reconciler, sources, tables, clock, builds } = rig()
  reconciler.start()
  clock.advance(1_000)
  sources[0]?.say(web('a'))
  const before = tables.length
  for (let i = 0; i < 50; i++) {
    clock.advance(10)
    sources[0]?.say(web('a', `b${i}`))
  }
  clock.advance(100)
  t.equal(tables.length - before, 6, 'at 100, 200, 300, 400, 500, and once more for the last')
  t.ok(
    tables
      .at(-1)
      ?.services.get('web')
      ?.groups[0]?.endpoints.some(({ key }) => key.includes('b49')),
  )
  t.ok(builds.every(({ lagMs }) => lagMs <= 100))
  t.ok(
    builds.some(({ lagMs }) => lagMs === 90),
    'lag counts from the oldest change in it',
  )
  await reconciler.stop()
})

void t.test('what makes no difference is not published', async (t) => {
  const { reconciler, sources, tables, clock, builds } = rig()
  reconciler.start()
  sources[0]?.say(web('a'))
  const before = tables.length
  clock.advance(1_000)
  sources[0]?.say(web('a'))
  t.equal(tables.length, before)
  t.equal(builds.at(-1)?.changed, false)
  await reconciler.stop()
})

void t.test('the log says what changed, a line each', async (t) => {
  const { reconciler, sources, clock, lines } = rig()
  reconciler.start()
  t.ok(lines.includes('info route */ to web added (config:/)'))
  t.ok(lines.includes('info table 1 stands: 1 route, 1 service, 0 endpoints'))
  sources[0]?.say(web('a', 'b'))
  lines.length = 0
  clock.advance(1_000)
  sources[0]?.say(web('b', 'c', 'd'))
  t.same(lines, ['info service web: +2 endpoints (no version), -1 endpoint (no version)'])
  lines.length = 0
  clock.advance(1_000)
  const many = Array.from({ length: 30 }, (_, i) => route(`/r${i}`, 'web'))
  reconciler.setPolicy(policy([route('/', 'web'), ...many]))
  t.equal(lines.length, linesMax + 2)
  t.equal(lines[linesMax], 'info and 10 more changes')
  t.match(lines.at(-1), /^info table \d+ stands: 31 routes, 1 service, 3 endpoints$/)
  await reconciler.stop()
})

void t.test('a new policy is applied, and sources hear of it only when it matters to them', async (t) => {
  const { reconciler, sources, tables, clock } = rig()
  reconciler.start()
  sources[0]?.say(web('a'))
  clock.advance(1_000)
  const interests = () => sources[0]?.interests.length
  reconciler.setPolicy(policy([route('/', 'web'), route('/x', 'web')]))
  t.equal(tables.at(-1)?.routes.length, 2)
  t.equal(interests(), 1, 'the same services')
  clock.advance(1_000)
  reconciler.setPolicy(policy([route('/', 'app')]))
  t.same([...(sources[0]?.interests.at(-1)?.names ?? [])], ['app'])
  reconciler.setPolicy({ ...policy([route('/', 'app')]), tagPrefix: 'urlprefix-' })
  t.equal(sources[0]?.interests.at(-1)?.tagPrefix, 'urlprefix-')
  t.equal(interests(), 3)
  reconciler.setPolicy({ ...policy([route('/', 'app'), route('/x', 'web')]), tagPrefix: 'urlprefix-' })
  t.equal(interests(), 4, 'one more')
  reconciler.setPolicy({ ...policy([route('/', 'app')]), tagPrefix: 'urlprefix-' })
  t.equal(interests(), 5, 'one fewer')
  await reconciler.stop()
})

void t.test('tags make routes', async (t) => {
  const { reconciler, sources, tables } = rig({ policy: { ...policy([]), tagPrefix: 'urlprefix-' } })
  reconciler.start()
  sources[0]?.say(snapshot(service('web', [instance('web', 'a', { tags: ['urlprefix-/x'] })])))
  t.equal(tables.at(-1)?.routes[0]?.origin, 'tag:web:urlprefix-/x')
  await reconciler.stop()
})

void t.test('several sources are one', async (t) => {
  const { reconciler, sources, tables, clock } = rig({ sources: ['consul', 'file'] })
  reconciler.start()
  sources[0]?.say(web('a'))
  clock.advance(200)
  sources[1]?.say(snapshot(service('web', [instance('web', 'a', { source: 'file' })])))
  t.equal(count(tables.at(-1)), 2)
  await reconciler.stop()
})

void t.test('states of a source are said once each', async (t) => {
  const { reconciler, sources, lines } = rig()
  reconciler.start()
  lines.length = 0
  const [source] = sources
  source?.be({ kind: 'waiting', reason: 'has not answered yet', fresh: true })
  source?.be({ kind: 'waiting', reason: 'refused' })
  source?.be({ kind: 'waiting', reason: 'refused' })
  source?.be({ kind: 'waiting', reason: 'still refused' })
  source?.be({ kind: 'current' })
  source?.be({ kind: 'current' })
  source?.be({ kind: 'stale', reason: '2 of 2 instances are gone', cause: 'not-believed' })
  source?.be({ kind: 'stale', reason: 's:1:1: not YAML', cause: 'unusable' })
  source?.be({ kind: 'stale', reason: 'reset' })
  t.same(lines, [
    'info waiting for catalog consul: has not answered yet',
    'warn waiting for catalog consul: refused',
    'warn waiting for catalog consul: still refused',
    'info catalog consul answers',
    'warn catalog consul is not believed yet, what its answer takes away stays: 2 of 2 instances are gone',
    'warn catalog consul cannot be used, the last known table stays: s:1:1: not YAML',
    'warn catalog consul is out of reach, the last known table stays: reset',
  ])
  t.same(reconciler.status().sources[0]?.state, { kind: 'stale', reason: 'reset' })
  await reconciler.stop()
})

void t.test('a source that throws does not stop the others', async (t) => {
  const { reconciler, sources, tables, lines } = rig({ sources: ['bad', 'good'] })
  const [bad, good] = sources
  if (bad)
    bad.fails = { start: new Error('no start'), setInterest: new Error('no interest'), stop: new Error('no stop') }
  reconciler.start()
  t.equal(good?.interests.length, 1)
  good?.say(web('a'))
  t.equal(count(tables.at(-1)), 1)
  t.equal(reconciler.status().ready, false)
  t.match(reconciler.status().sources[0]?.state, { kind: 'waiting', reason: 'no start' })
  await reconciler.stop()
  t.equal(good?.stops, 1)
  for (const text of ['no start', 'no interest', 'no stop'])
    t.equal(lines.filter((line) => line.startsWith('error') && line.includes(text)).length, 1, text)
})

void t.test('a table that cannot be put in place leaves the last one, and the next change mends it', async (t) => {
  const made = rig()
  const { reconciler, sources, tables, clock, lines } = made
  reconciler.start()
  sources[0]?.say(web('a'))
  clock.advance(1_000)
  made.fail = new Error('no room')
  sources[0]?.say(web('a', 'b'))
  t.equal(count(reconciler.status().table), 1)
  t.ok(lines.some((line) => line.startsWith('error the table could not be renewed') && line.includes('no room')))
  made.fail = undefined
  clock.advance(1_000)
  sources[0]?.say(web('a', 'b', 'c'))
  t.equal(count(tables.at(-1)), 3)
  t.equal(reconciler.status().table, tables.at(-1))
  await reconciler.stop()
})

void t.test('status', async (t) => {
  const { reconciler, sources } = rig({ sources: ['a', 'b'] })
  t.equal(reconciler.status().lastBuild, undefined)
  reconciler.start()
  const [a, b] = sources
  t.equal(reconciler.status().lastSuccessMs, undefined)
  if (a) a.successMs = 70
  t.equal(reconciler.status().lastSuccessMs, undefined, 'one has none yet')
  if (b) b.successMs = 50
  t.equal(reconciler.status().lastSuccessMs, 50, 'the one that is furthest behind')
  t.match(reconciler.status().lastBuild, { durationMs: 0, changed: true })
  await reconciler.stop()
})

void t.test('without a source it is ready with the policy alone', async (t) => {
  const { reconciler, tables } = rig({ sources: [] })
  reconciler.start()
  t.equal(reconciler.status().ready, true)
  t.equal(tables.length, 1)
  t.equal(reconciler.status().lastSuccessMs, undefined)
  await reconciler.stop()
})

void t.test('after stop nothing is heard, built or left', async (t) => {
  const { reconciler, sources, tables, clock } = rig()
  reconciler.start()
  sources[0]?.say(web('a'))
  sources[0]?.say(web('b'))
  const before = tables.length
  const stopped = reconciler.stop()
  t.equal(reconciler.stop(), stopped, 'idempotent')
  await stopped
  sources[0]?.say(web('c'))
  sources[0]?.be({ kind: 'current' })
  reconciler.setPolicy(policy([]))
  clock.advance(10_000)
  t.equal(tables.length, before)
  t.equal(clock.pending, 0)
  t.equal(sources[0]?.stops, 1)
  t.equal(sources[0]?.interests.length, 1)
})
