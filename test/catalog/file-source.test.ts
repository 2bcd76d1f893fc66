import { renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createFileSource } from '../../src/catalog/file/source.ts'
import type { Snapshot } from '../../src/catalog/snapshot.ts'
import type { CatalogSource, SourceState } from '../../src/catalog/source.ts'
import { silentLogger } from '../../src/core/log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

interface Running {
  readonly source: CatalogSource
  readonly snapshots: Snapshot[]
  readonly states: SourceState[]
  readonly clock: FakeClock
  readonly passing: (condition: () => boolean) => Promise<unknown>
}

function run(t: Test, path: string, names: readonly string[] = []): Running {
  const snapshots: Snapshot[] = []
  const states: SourceState[] = []
  const clock = new FakeClock()
  const source = createFileSource({ name: 'local', path }, { clock, log: silentLogger })
  source.setInterest({ names: new Set(names), tagPrefix: undefined })
  source.start({ onSnapshot: (snapshot) => snapshots.push(snapshot), onState: (state) => states.push(state) })
  t.teardown(() => source.stop())
  const passing = (condition: () => boolean): Promise<unknown> =>
    until(() => {
      clock.advance(10)
      return condition()
    })
  return { source, snapshots, states, clock, passing }
}

const two = 'services: [{ name: a, port: 1 }, { name: b, port: 2, id: b1 }]'

/** Replaces the file in one step, so that no test depends on when a half-written one is read. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text)
  renameSync(`${path}.tmp`, path)
}

void t.test('publishes what the file says, and again only what changed', async (t) => {
  const path = join(t.testdir({ s: two }), 's')
  const { source, snapshots, states, passing } = run(t, path)
  t.equal(source.lastSuccessMs(), undefined)
  await passing(() => states.at(-1)?.kind === 'current')
  t.same(states, [{ kind: 'current' }])
  t.equal(snapshots.length, 1)
  t.equal(snapshots[0]?.version, 1)
  t.same([...(snapshots[0]?.services.keys() ?? [])], ['a', 'b'])
  t.type(source.lastSuccessMs(), 'number')

  replace(path, two.replace('port: 2', 'port: 3'))
  await passing(() => snapshots.length === 2)
  const [before, after] = snapshots
  t.equal(after?.version, 2)
  t.equal(after?.services.get('a'), before?.services.get('a'), 'what did not change is the same object')
  t.not(after?.services.get('b'), before?.services.get('b'))

  const read = source.lastSuccessMs() ?? 0
  replace(path, `# only a comment\n${two.replace('port: 2', 'port: 3')}`)
  await passing(() => (source.lastSuccessMs() ?? 0) > read)
  t.equal(snapshots.length, 2, 'the same content is no news')

  replace(path, 'services: [{ name: b, port: 3, id: b1 }, { name: b, port: 4, id: b2 }]')
  await passing(() => snapshots.length === 3)
  const more = snapshots[2]?.services.get('b')
  t.equal(more?.instances.length, 2)
  t.ok(more?.instances.includes(after?.services.get('b')?.instances[0] as never), 'nor is an instance that stayed')
  t.notOk(snapshots[2]?.services.has('a'))
})

void t.test('a broken file keeps the last good snapshot', async (t) => {
  const path = join(t.testdir({ s: two }), 's')
  const { snapshots, states, passing, source } = run(t, path)
  await passing(() => snapshots.length === 1)
  const read = source.lastSuccessMs()
  replace(path, '{"services": [')
  await passing(() => states.at(-1)?.kind === 'stale')
  t.match(states.at(-1), { reason: /s:1:\d+: YAML/, cause: 'unusable' })
  t.equal(snapshots.length, 1)
  t.equal(source.lastSuccessMs(), read)

  unlinkSync(path)
  await passing(() => /ENOENT/.test(JSON.stringify(states.at(-1))))
  t.equal(states.at(-1)?.kind, 'stale')

  replace(path, two)
  await passing(() => states.at(-1)?.kind === 'current')
  t.equal(snapshots.length, 1, 'what came back is what was known')
})

void t.test('waits for a first good file', async (t) => {
  const dir = t.testdir({})
  const path = join(dir, 's')
  const { snapshots, states, passing, source } = run(t, path)
  await passing(() => states.length === 1)
  t.match(states[0], { kind: 'waiting', reason: /cannot be read: ENOENT/ })
  replace(path, 'nonsense')
  await passing(() => states.length === 2)
  t.match(states[1], { kind: 'waiting', reason: /expected service definitions/ })
  t.same(snapshots, [])
  t.equal(source.lastSuccessMs(), undefined)
  replace(path, 'services: []')
  await passing(() => states.at(-1)?.kind === 'current')
  t.match(snapshots, [{ version: 1, services: new Map(), problems: [] }], 'the first is always published')
})

void t.test('a bad definition is a problem and costs only itself', async (t) => {
  const path = join(t.testdir({ s: 'services: [{ name: a, port: 1 }, { name: b }]' }), 's')
  const { snapshots, passing } = run(t, path)
  await passing(() => snapshots.length === 1)
  t.same([...(snapshots[0]?.services.keys() ?? [])], ['a'])
  t.match(snapshots[0]?.problems, [{ code: 'bad-definition', where: /s:1:34$/, message: /b has no port/ }])
  replace(path, 'services: [{ name: a, port: 1 }]')
  await passing(() => snapshots.length === 2)
  t.same(snapshots[1]?.problems, [])
  t.equal(snapshots[1]?.services.get('a'), snapshots[0]?.services.get('a'))
})

void t.test('services that routes name are known to have no instance', async (t) => {
  const path = join(t.testdir({ s: two }), 's')
  const { snapshots, passing, source } = run(t, path, ['a', 'gone'])
  await passing(() => snapshots.length === 1)
  t.same(snapshots[0]?.services.get('gone'), { name: 'gone', instances: [] })
  source.setInterest({ names: new Set(['a', 'gone']), tagPrefix: undefined })
  t.equal(snapshots.length, 1)
  source.setInterest({ names: new Set(['a', 'other']), tagPrefix: undefined })
  t.equal(snapshots.length, 2)
  t.notOk(snapshots[1]?.services.has('gone'))
  t.ok(snapshots[1]?.services.has('other'))
})

void t.test('nothing is published after stop', async (t) => {
  const path = join(t.testdir({ s: two }), 's')
  const { snapshots, states, passing, source, clock } = run(t, path)
  await passing(() => states.at(-1)?.kind === 'current')
  await source.stop()
  await source.stop()
  const told = states.length
  replace(path, 'services: []')
  source.setInterest({ names: new Set(['x']), tagPrefix: undefined })
  t.equal(snapshots.length, 1)
  t.equal(states.length, told)
  t.equal(clock.pending, 0)
})
