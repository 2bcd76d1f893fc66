import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { decodeFile, type SourceKnowledge } from '../../src/control/snapshot-codec.ts'
import {
  createSnapshotStore,
  snapshotFile,
  type SnapshotStore,
  writeSpacingMs,
} from '../../src/control/snapshot-store.ts'
import type { DocumentKnowledge } from '../../src/policy/documents/documents.ts'
import type { Logger } from '../../src/core/log.ts'
import { seededRandom } from '../../src/core/random.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { instance, service, snapshot } from '../fixtures/tables.ts'
import { until } from '../fixtures/until.ts'

function folderOf(t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-snapshot-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Rig {
  readonly store: SnapshotStore
  readonly clock: FakeClock
  readonly lines: string[]
  readonly file: string
}

function rig(dir: string): Rig {
  const clock = new FakeClock()
  const lines: string[] = []
  const to = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`)
  const log: Logger = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') }
  const store = createSnapshotStore({ dir, clock, random: seededRandom(5), log })
  return { store, clock, lines, file: join(dir, snapshotFile) }
}

const known = (...ids: readonly string[]): SourceKnowledge[] => [
  {
    name: 'consul',
    snapshot: snapshot(
      service(
        'web',
        ids.map((id) => instance('web', id)),
      ),
    ),
    asOfMs: 7,
  },
]

function idsIn(file: string): string {
  const decoded = decodeFile(readFileSync(file, 'utf8'))
  if (decoded.kind === 'bad') throw new Error(decoded.reason)
  return (decoded.sources.get('consul')?.snapshot.services.get('web')?.instances ?? []).map(({ id }) => id).join()
}

void t.test('saved and read again, for the owner alone', async (t) => {
  const dir = join(folderOf(t), 'new', 'folder')
  const { store, file, lines } = rig(dir)
  t.equal(await store.load(), undefined, 'nothing yet, and nothing to say about it')
  store.offer(known('a', 'b'))
  await until(() => idsIn(file) === 'a,b')
  await store.stop()
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(dir).mode & 0o777, 0o700)
  t.same(readdirSync(dir), [snapshotFile], 'nothing else is left')
  const again = await rig(dir).store.load()
  t.match(again?.sources.get('consul'), { name: 'consul', asOfMs: 7 })
  t.same(lines, [])
  t.same(store.problems(), [])
})

const policyOf = (text: string): DocumentKnowledge => {
  const document = Object.freeze({ key: 'services/web', text, modifyIndex: 3 })
  return { source: 'kv:fairlead', documents: new Map([[document.key, document]]), asOfMs: 8 }
}

void t.test('documents of policy are kept beside the catalog, and neither costs the other', async (t) => {
  const dir = folderOf(t)
  const first = rig(dir)
  const textIn = (): string | undefined => {
    const decoded = decodeFile(readFileSync(first.file, 'utf8'))
    return decoded.kind === 'good'
      ? decoded.policies.get('kv:fairlead')?.documents.get('services/web')?.text
      : undefined
  }
  first.store.offerPolicies([policyOf('one')])
  await until(() => textIn() === 'one')
  first.store.offer(known('a'))
  await until(() => first.clock.pending === 1)
  first.clock.advance(writeSpacingMs)
  await until(() => idsIn(first.file) === 'a')
  t.equal(textIn(), 'one', 'the catalog alone was offered')
  await first.store.stop()
  const second = rig(dir)
  t.equal((await second.store.load())?.policies.get('kv:fairlead')?.asOfMs, 8)
  second.store.offer(known('b'))
  await until(() => idsIn(first.file) === 'b')
  t.equal(textIn(), 'one', 'Consul is away, and policy is still what was loaded')
  second.store.offerPolicies([policyOf('two')])
  await until(() => second.clock.pending === 1)
  second.clock.advance(writeSpacingMs)
  await until(() => textIn() === 'two')
  t.equal(idsIn(first.file), 'b')
  await second.store.stop()
})

void t.test('the catalog does not wait because policy was there first', async (t) => {
  const { store, clock, file } = rig(folderOf(t))
  store.offerPolicies([policyOf('one')])
  await until(() => existsSync(file))
  store.offer(known('a'))
  await until(() => clock.pending === 1)
  clock.advance(20)
  await until(() => idsIn(file) === 'a')
  await store.stop()
})

void t.test('what is offered while the file is being read waits, and does not cost what the file has', async (t) => {
  const dir = folderOf(t)
  const first = rig(dir)
  first.store.offer(known('a'))
  await until(() => idsIn(first.file) === 'a')
  await first.store.stop()
  const second = rig(dir)
  const loading = second.store.load()
  second.store.offerPolicies([policyOf('one')])
  await loading
  const textIn = (): unknown => {
    const decoded = decodeFile(readFileSync(second.file, 'utf8'))
    return decoded.kind === 'good' && decoded.policies.get('kv:fairlead')?.documents.get('services/web')?.text
  }
  await until(() => textIn() === 'one')
  t.equal(idsIn(second.file), 'a')
  await second.store.stop()
})

void t.test('at most once a second, the newest, and only what differs', async (t) => {
  const { store, clock, file } = rig(folderOf(t))
  store.offer(known('a'))
  await until(() => idsIn(file) === 'a')
  store.offer(known('b'))
  store.offer(known('c'))
  await until(() => clock.pending === 1, { what: 'one timer for both' })
  clock.advance(writeSpacingMs - 1)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(idsIn(file), 'a')
  clock.advance(1)
  await until(() => idsIn(file) === 'c')
  const { ino } = statSync(file)
  clock.advance(writeSpacingMs)
  store.offer(known('c'))
  clock.advance(writeSpacingMs)
  await store.stop()
  t.equal(statSync(file).ino, ino, 'not written again')
  store.offer(known('d'))
  clock.advance(writeSpacingMs)
  t.equal(clock.pending, 0, 'nothing after stop')
})

void t.test('what cannot be used is told and costs nothing', async (t) => {
  const cases: readonly [string, (file: string) => void, RegExp][] = [
    ['torn', (file) => writeFileSync(file, '{"format":"fairlead-snap'), /not used: it has no header/],
    ['foreign', (file) => writeFileSync(file, '{"a":1}\n'), /not used: it is not one of ours/],
    ['a folder', (file) => mkdirSync(file), /not used: it is no file/],
    ['binary', (file) => writeFileSync(file, Buffer.from([0xff, 0x0a, 0xfe])), /not used: it is not JSON/],
  ]
  for (const [name, make, line] of cases) {
    const { store, file, lines } = rig(folderOf(t))
    make(file)
    t.equal(await store.load(), undefined, name)
    t.match(lines, [line])
    t.equal(lines.length, 1)
  }
})

void t.test('a disk that takes nothing: one line, one problem, and it is tried again', async (t) => {
  // A file where the folder should be fails for whoever runs the test, unlike a folder without rights.
  const dir = join(folderOf(t), 'state')
  writeFileSync(dir, '')
  const { store, clock, lines, file } = rig(dir)
  store.offer(known('a'))
  await until(() => store.problems().length === 1)
  t.match(store.problems(), [{ code: 'snapshot-unsaved', where: file, message: /cannot be saved: E\w+/ }])
  await until(() => clock.pending === 1)
  clock.advance(10_000)
  await until(() => clock.pending === 1)
  t.equal(lines.filter((line) => line.startsWith('warn')).length, 1, 'said once')
  rmSync(dir)
  store.offer(known('a', 'b'))
  clock.advance(10_000)
  await until(() => idsIn(file) === 'a,b')
  await until(() => store.problems().length === 0)
  t.match(lines.at(-1), /^info .*saved again/)
  await store.stop()
})

void t.test('a writing that fails leaves the last good file', async (t) => {
  const dir = folderOf(t)
  const { store, clock, file } = rig(dir)
  store.offer(known('a'))
  await until(() => idsIn(file) === 'a')
  // What is written beside the file gets a name that follows from the seed: put something there that cannot be replaced.
  const random = seededRandom(5)
  random()
  mkdirSync(`${file}.${Math.floor(random() * 0x1_0000_0000).toString(16)}.tmp`)
  store.offer(known('b'))
  await until(() => clock.pending === 1)
  clock.advance(writeSpacingMs)
  await until(() => store.problems().length === 1)
  t.equal(idsIn(file), 'a')
  await store.stop()
})

void t.test('what a kill left half-written is removed once it is old', async (t) => {
  const dir = folderOf(t)
  const { store, clock, file } = rig(dir)
  const [old, young, other] = [`${file}.1.tmp`, `${file}.2.tmp`, join(dir, 'catalog.tmp-1')]
  for (const path of [old, young, other]) writeFileSync(path, 'half')
  const now = clock.wall() / 1000
  utimesSync(old, now - 120, now - 120)
  utimesSync(young, now, now)
  utimesSync(other, 1, 1)
  store.offer(known('a'))
  await until(() => idsIn(file) === 'a')
  await store.stop()
  t.same(readdirSync(dir).sort(), ['catalog.tmp-1', snapshotFile, `${snapshotFile}.2.tmp`])
})

void t.test('killed at any moment, it leaves a whole file', async (t) => {
  const dir = folderOf(t)
  const file = join(dir, snapshotFile)
  const script = fileURLToPath(new URL('../fixtures/snapshot-writer.ts', import.meta.url))
  let last = 0
  for (let round = 0; round < 8; round++) {
    rmSync(file, { force: true })
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, script, dir], { stdio: 'inherit' })
    t.teardown(() => child.kill('SIGKILL'))
    await until(() => statSync(file).size > 0)
    // Somewhere in the next writings, at another place each time.
    await until(() => readdirSync(dir).length > 1)
    const end = performance.now() + round * 3
    while (performance.now() < end);
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    const decoded = decodeFile(readFileSync(file, 'utf8'))
    t.equal(decoded.kind, 'good', `round ${round}`)
    if (decoded.kind === 'good') last = decoded.sources.get('consul')?.asOfMs ?? 0
    t.ok(last > 0)
  }
})
