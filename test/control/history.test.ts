/** The history of tables: what it holds, what it gives up, and what of it outlives a restart. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Cause } from '../../src/control/cause.ts'
import { createHistory, entriesMax, type History } from '../../src/control/history.ts'
import { decodeEntry, encodeEntry, type HistoryEntry } from '../../src/control/history-entry.ts'
import { createHistoryStore, historyBefore, historyFile, retryMs } from '../../src/control/history-store.ts'
import type { Logger } from '../../src/core/log.ts'
import type { RouteTable } from '../../src/table/table.ts'
import { endpoint, routeOf, tableOf } from '../fixtures/data-plane.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'
import type { InTurn } from '../../src/core/turn.ts'
import { FakeTurns, noTurns } from '../fixtures/turns.ts'

type T = Pick<Test, 'teardown'>

function folderOf(t: T): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-history-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Rig {
  readonly history: History
  readonly clock: FakeClock
  readonly lines: string[]
}

function rig(stateDir?: string, inTurn: InTurn = noTurns): Rig {
  const clock = new FakeClock()
  const lines: string[] = []
  const to = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`)
  const log: Logger = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  return { history: createHistory({ stateDir, clock, log, inTurn }), clock, lines }
}

/** A table of one service with so many instances. */
const table = (name: string, count: number, version: number): RouteTable =>
  tableOf(
    name,
    Array.from({ length: count }, (_, i) => endpoint({ service: name, handle: `${name}-${i}` })),
    version,
  )
const empty: RouteTable = { version: 0, routes: [], services: new Map(), problems: [] }
const because = (by: string): readonly Cause[] => [{ kind: 'policy', source: 'kv', key: 'x', by }]

/** Each entry's first change, newest first. */
const changesOf = (history: History, service?: string): readonly string[] =>
  history.read(service, 1_000).entries.map(({ table: version, changes }) => `${version} ${changes[0]?.text ?? ''}`)

t.test('what changed, why, and of whom', async (t) => {
  const { history, clock } = rig()
  t.same(history.read(undefined, 10), { entries: [], kept: 0, sinceMs: undefined })
  history.record(empty, table('web', 1, 1), [{ kind: 'start', sources: ['file'] }])
  const since = clock.wall()
  clock.advance(10)
  history.record(table('web', 1, 1), table('web', 1, 2), because('nobody'))
  t.equal(history.read(undefined, 10).kept, 1, 'a table that says the same is no change')
  history.record(table('web', 1, 2), table('web', 2, 3), because('alice'))
  history.record(table('web', 2, 3), table('shop', 1, 4), because('bob'))
  const report = history.read(undefined, 10)
  t.equal(report.kept, 3)
  t.equal(report.sinceMs, since)
  t.match(report.entries[1], {
    atMs: since + 10,
    table: 3,
    causes: [{ kind: 'policy', by: 'alice', text: 'policy kv x, by alice' }],
    changes: [{ services: ['web'], text: 'service web: +1 endpoint (no version)' }],
    more: 0,
  })
  t.same(changesOf(history), [
    '4 route */ leads to shop, before to web (config:routes[0])',
    '3 service web: +1 endpoint (no version)',
    '1 route */ to web added (config:routes[0])',
  ])
  t.same(changesOf(history, 'shop'), ['4 route */ leads to shop, before to web (config:routes[0])'])
  t.same(
    history.read('shop', 10).entries[0]?.changes.map(({ services }) => services),
    [['shop', 'web'], ['shop']],
    'without what is of others alone',
  )
  t.equal(history.read('web', 10).entries.length, 3)
  t.equal(history.read(undefined, 2).entries.length, 2)
})

t.test('what was recorded is looked at in a turn of its own, and is there for whoever reads before', async (t) => {
  const turns = new FakeTurns()
  const { history, clock } = rig(undefined, turns.inTurn)
  const recordedMs = clock.wall()
  let looks = 0
  const watched = (version: number): RouteTable => {
    const after = table('web', version, version)
    return {
      ...after,
      get services() {
        looks++
        return after.services
      },
    }
  }
  history.record(empty, watched(1), because('alice'))
  history.record(table('web', 1, 1), watched(2), because('bob'))
  t.equal(looks, 0)
  clock.advance(5)
  turns.next()
  t.ok(looks > 0)
  const report = history.read(undefined, 10)
  t.match(report.entries, [
    { table: 2, atMs: recordedMs },
    { table: 1, atMs: recordedMs },
  ])
  turns.all()
  t.equal(history.read(undefined, 10).kept, 2, 'once each')
})

t.test('bounds: entries, and what one holds', async (t) => {
  const { history } = rig()
  for (let i = 0; i < entriesMax + 20; i++) history.record(table('web', i % 2, i), table('web', (i + 1) % 2, i + 1), [])
  t.equal(history.read(undefined, 5_000).entries.length, entriesMax)
  t.match(changesOf(history)[0], /^1020 /)
  const many: RouteTable = {
    ...empty,
    version: 7,
    routes: Array.from({ length: 5_000 }, (_, i) => ({
      ...routeOf('config', `host-${i}.example.com`, '/', {
        name: 'web',
        policy: tableOf('web', []).services.get('web')!.policy,
        groups: [],
      }),
    })),
  }
  for (let i = 0; i < 100; i++) history.record(empty, many, [])
  const { entries, kept } = history.read(undefined, 5_000)
  t.ok((entries[0]?.more ?? 0) > 3_000)
  t.equal((entries[0]?.changes.length ?? 0) + (entries[0]?.more ?? 0), 5_000)
  t.ok(kept >= 20 && kept < 100, `${kept} large ones`)
})

t.test('a restart knows what was', async (t) => {
  const dir = join(folderOf(t), 'state')
  const first = rig(dir)
  first.history.record(empty, table('web', 1, 1), because('alice'))
  await first.history.loaded()
  first.history.record(table('web', 1, 1), table('web', 2, 2), because('bob'))
  await first.history.stop()
  t.equal(statSync(join(dir, historyFile)).mode & 0o777, 0o600)
  t.same(first.history.problems(), [])
  const second = rig(dir)
  // Before what was saved is read, and after.
  second.clock.advance(60_000)
  second.history.record(empty, table('web', 1, 1), because('carol'))
  await second.history.loaded()
  second.history.record(table('web', 1, 1), table('web', 3, 2), because('dave'))
  t.match(
    second.history.read(undefined, 10).entries.map(({ causes }) => causes[0]),
    [{ by: 'dave' }, { by: 'carol' }, { by: 'bob' }, { by: 'alice' }],
  )
  await second.history.stop()
  const third = rig(dir)
  await third.history.loaded()
  t.equal(third.history.read(undefined, 10).kept, 4)
  t.same(third.lines, [])
  await third.history.stop()
})

t.test('what is known at an end that comes before the file was read is saved', async (t) => {
  const dir = folderOf(t)
  const first = rig(dir)
  first.history.record(empty, table('web', 1, 1), because('alice'))
  await first.history.stop()
  const second = rig(dir)
  await second.history.loaded()
  t.equal(second.history.read(undefined, 10).kept, 1)
  await second.history.stop()
})

t.test('a file that is torn anywhere costs the torn entry alone, and what follows is whole', async (t) => {
  const dir = folderOf(t)
  const whole = rig(dir)
  for (let i = 0; i < 3; i++)
    whole.history.record(table('web', i, i), table('web', i + 1, i + 1), because(`\u00e9${i}`))
  await whole.history.loaded()
  await whole.history.stop()
  const bytes = readFileSync(join(dir, historyFile))
  const ends = [...bytes.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1)
  t.equal(ends.length, 3)
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length), async (cut) => {
      writeFileSync(join(dir, historyFile), bytes.subarray(0, cut))
      const torn = rig(dir)
      await torn.history.loaded()
      torn.clock.advance(1_000)
      // A line that lacks its newline alone is whole.
      const left = ends.filter((end) => end - 1 <= cut).length
      torn.history.record(empty, table('shop', 1, 1), because('after'))
      await torn.history.stop()
      const after = rig(dir)
      await after.history.loaded()
      const seen = after.history
        .read(undefined, 10)
        .entries.map(({ causes }) => (causes[0] as unknown as { by: string }).by)
      if (seen.length !== left + 1 || seen[0] !== 'after') throw new Error(`${cut}: ${seen.join()} of ${left}`)
      await after.history.stop()
    }),
    { numRuns: 60, examples: [[0], [bytes.length], ...ends.flatMap((end): [number][] => [[end - 1], [end - 2]])] },
  )
})

t.test('lines of others are left out and said once', async (t) => {
  const dir = folderOf(t)
  const first = rig(dir)
  first.history.record(empty, table('web', 1, 1), because('alice'))
  await first.history.loaded()
  await first.history.stop()
  appendFileSync(join(dir, historyFile), '{"atMs":"x"}\nnull\n[]\n')
  const second = rig(dir)
  await second.history.loaded()
  t.equal(second.history.read(undefined, 10).kept, 1)
  t.match(second.lines, [/^warn lines of the history .* are unreadable and left out$/])
  await second.history.stop()
})

t.test('what stands there and is no file is not read, and a problem once it is written to', async (t) => {
  const dir = folderOf(t)
  mkdirSync(join(dir, historyFile))
  const { history, lines, clock } = rig(dir)
  await history.loaded()
  history.record(empty, table('web', 1, 1), [])
  await until(() => history.problems().length > 0)
  t.match(history.problems(), [
    { code: 'history-unsaved', where: join(dir, historyFile), message: /^what changed cannot/ },
  ])
  t.match(lines, [/is not used: it is no file/, /^warn the history cannot be saved in /])
  history.record(table('web', 1, 1), table('web', 2, 2), [])
  rmSync(join(dir, historyFile), { recursive: true })
  await until(() => clock.pending > 0)
  clock.advance(retryMs)
  await until(() => history.problems().length === 0)
  t.equal(lines.at(-1), 'info the history is saved again')
  const after = rig(dir)
  await after.history.loaded()
  t.equal(after.history.read(undefined, 10).kept, 2, 'nothing was lost meanwhile')
  await Promise.all([history.stop(), after.history.stop()])
})

t.test('a folder that cannot be made costs the history on disk and nothing else', async (t) => {
  const dir = folderOf(t)
  writeFileSync(join(dir, 'file'), '')
  const { history } = rig(join(dir, 'file', 'state'))
  await history.loaded()
  history.record(empty, table('web', 1, 1), [])
  await until(() => history.problems().length > 0)
  t.equal(history.read(undefined, 10).kept, 1)
  await history.stop()
  chmodSync(dir, 0o700)
})

const entry = (n: number): HistoryEntry => ({
  atMs: n,
  table: n,
  causes: [{ kind: 'start', text: 'the proxy started' }],
  changes: [{ services: ['web'], text: `change ${n} ${'x'.repeat(100)}` }],
  more: 0,
})

t.test('two files with a bound; what they hold is known in order', async (t) => {
  const dir = folderOf(t)
  const clock = new FakeClock()
  const log: Logger = { debug() {}, info() {}, warn() {}, error() {} }
  const options = { dir, clock, log, entriesMax: 15, fileBytesMax: 2_000 }
  const store = createHistoryStore(options)
  await store.load()
  for (let n = 1; n <= 50; n++) {
    store.append([entry(n)])
    await until(() => {
      clock.advance(1_000)
      return readFileSync(join(dir, historyFile), 'utf8').includes(`change ${n} `)
    }).catch((error: unknown) => t.fail(String(error)))
  }
  await store.stop()
  for (const name of [historyFile, historyBefore]) t.ok(statSync(join(dir, name)).size <= 2_000, name)
  const loaded = await createHistoryStore(options).load()
  t.same(
    loaded.map(({ table: n }) => n),
    Array.from({ length: loaded.length }, (_, i) => 50 - loaded.length + 1 + i),
  )
  t.ok(loaded.length > 8 && loaded.length <= 15)
})

t.test('another folder: it is kept there from then on, with what lies there', async (t) => {
  const one = folderOf(t)
  const other = folderOf(t)
  const old = rig(other)
  old.history.record(empty, table('web', 1, 1), because('old'))
  await old.history.loaded()
  await old.history.stop()
  const { history, clock } = rig(one)
  await history.loaded()
  clock.advance(5_000)
  history.record(empty, table('web', 1, 1), because('alice'))
  history.use(other)
  // Left and come back to before it was read.
  history.use(undefined)
  history.use(other)
  await history.loaded()
  history.record(table('web', 1, 1), table('web', 2, 2), because('bob'))
  const seen = ['bob', 'alice', 'old'].map((by) => ({ by }))
  t.match(
    history.read(undefined, 10).entries.map(({ causes }) => causes[0]),
    seen,
  )
  history.use(undefined)
  history.record(table('web', 2, 2), table('web', 3, 3), because('nowhere'))
  await history.stop()
  const after = rig(other)
  await after.history.loaded()
  t.match(
    after.history.read(undefined, 10).entries.map(({ causes }) => causes[0]),
    seen,
  )
  await after.history.stop()
})

t.test('an entry is read back as it was written, also with causes that only a later release knows', async (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 20 })
  const some: fc.Arbitrary<HistoryEntry> = fc.record({
    atMs: fc.integer(),
    table: fc.nat(),
    causes: fc.array(fc.record({ kind: text, text, key: text })),
    changes: fc.array(fc.record({ services: fc.array(text), text })),
    more: fc.nat(),
  })
  fc.assert(
    fc.property(some, (entry) => {
      const line = encodeEntry(entry)
      if (line.includes('\n')) throw new Error('more than a line')
      t.same(decodeEntry(line), entry)
      t.equal(decodeEntry(line.slice(0, -1)), undefined)
    }),
    { numRuns: 100 },
  )
})
