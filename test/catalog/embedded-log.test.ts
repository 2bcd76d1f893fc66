/** What the catalog keeps on disk: torn at every byte, damaged, rewritten, taken over, and read back. */
import * as fc from 'fast-check'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openDiskLog, type DiskLog, type DiskLogOptions } from '../../src/catalog/embedded/disk-log.ts'
import { encodeLine } from '../../src/catalog/embedded/log-format.ts'
import type { Change } from '../../src/catalog/embedded/records.ts'
import { sessionConsequences } from '../../src/catalog/embedded/session-commands.ts'
import type { CatalogState } from '../../src/catalog/embedded/state.ts'
import { CatalogStore } from '../../src/catalog/embedded/store.ts'
import type { Logger } from '../../src/core/log.ts'
import { seededRandom, systemRandom } from '../../src/core/random.ts'
import { anyOp, contents, enrolled, perform } from '../fixtures/catalog-ops.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

interface Opened {
  readonly store: CatalogStore
  readonly state: CatalogState
  readonly disk: DiskLog
  readonly lines: readonly string[]
}

function open(dir: string, options: Partial<DiskLogOptions> = {}): Opened {
  const lines: string[] = []
  const note = (_fields: object, message: string): void => void lines.push(message)
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  const { state, disk } = openDiskLog({ dir, indexFloor: 1, random: systemRandom, log, ...options })
  return { state, disk, lines, store: new CatalogStore(state, disk, new FakeClock(), sessionConsequences) }
}

function put(store: CatalogStore, key: string, value: string): void {
  store.commit((index) => {
    const entry = { key, value, flags: '0', lockIndex: 0, session: '', createIndex: index, modifyIndex: index }
    return [{ kind: 'kv', entry }]
  })
}

// In memory where there is such a place: what is tested is what is written, hundreds of times, not how fast a disk is.
const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fairlead-log-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
let dirs = 0
const freshDir = (): string => join(root, String(++dirs))
const logIn = (dir: string): string => {
  const files = readdirSync(dir)
  if (files.length !== 1) throw new Error(`one file expected: ${files.join(' ')}`)
  return join(dir, files[0] ?? '')
}

/** A directory with a few commits, and the state after each. */
async function written(count: number): Promise<{ dir: string; bytes: Buffer; states: (readonly string[])[] }> {
  const dir = freshDir()
  const { store, state } = open(dir)
  store.commit(enrolled)
  const states = [contents(state)]
  for (let i = 0; i < count; i++) {
    put(store, `key/${String(i)}`, Buffer.from(`värde ${String(i)}`).toString('base64'))
    states.push(contents(state))
  }
  await store.close()
  return { dir, bytes: readFileSync(logIn(dir)), states }
}

function withFile(bytes: Buffer): string {
  const dir = freshDir()
  open(dir)
    .disk.close()
    .catch(() => {})
  const file = logIn(dir)
  writeFileSync(file, bytes)
  return dir
}

await t.test('torn at every byte of its last two records', async (t) => {
  const { bytes, states } = await written(4)
  const ends = [...bytes.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1)
  const from = ends.at(-3) ?? 0
  for (let cut = from; cut <= bytes.length; cut++) {
    const whole = ends.filter((end) => end <= cut).length
    const { state, store, lines } = open(withFile(bytes.subarray(0, cut)))
    // Line 1 is the header, line 2 the node; the state after k more lines is states[k].
    t.strictSame(contents(state), states[whole - 2], `cut at ${String(cut)}`)
    const torn = !ends.includes(cut)
    t.equal(
      lines.some((line) => line.includes('torn')),
      torn,
      'said, if it was torn',
    )
    put(store, 'after', 'eA==')
    await store.close()
  }
  t.ok(bytes.length - from > 200, 'that was many bytes')
})

await t.test('a tail of anything is cut off, and what follows is kept', async (t) => {
  const { bytes, states } = await written(3)
  const tails = [
    Buffer.alloc(4096),
    Buffer.from('\n\n\n'),
    Buffer.from('garbage\nmore garbage\n'),
    Buffer.from([0xff, 0xfe]),
  ]
  for (const tail of tails) {
    const dir = withFile(Buffer.concat([bytes, tail]))
    const first = open(dir)
    t.strictSame(contents(first.state), states.at(-1))
    put(first.store, 'later', 'eA==')
    await first.store.close()
    const second = open(dir)
    t.ok(second.state.kv.has('later'))
    await second.store.close()
  }
  const flipped = Buffer.from(bytes)
  flipped.writeUInt8(flipped.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5)
  const { state, store } = open(withFile(flipped))
  t.strictSame(contents(state), states.at(-2), 'a flipped bit in the last record')
  await store.close()
})

await t.test('damage before the end is refused, and nothing is touched', async (t) => {
  const { bytes } = await written(4)
  const ends = [...bytes.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1)
  const middle = (ends.at(-3) ?? 0) + 12
  const damaged = Buffer.from(bytes)
  damaged.writeUInt8(damaged.readUInt8(middle) ^ 4, middle)
  const dir = withFile(damaged)
  t.throws(() => open(dir), { code: 'FL_STORE', message: /damaged at byte \d+: .* good ones follow/ })
  t.strictSame(readFileSync(logIn(dir)), damaged, 'as it was')

  const header = Buffer.from(bytes)
  header.writeUInt8(0x7a, 0)
  t.throws(() => open(withFile(header)), { code: 'FL_STORE', message: /damaged at byte 0/ })
  t.throws(() => open(withFile(Buffer.alloc(0))), { code: 'FL_STORE', message: /first record/ })
  const newer = Buffer.from(encodeLine({ format: 2, changes: 0, index: 5 }))
  t.throws(() => open(withFile(newer)), { code: 'FL_STORE', message: /format 2; this version reads 1/ })
  const change: Change = { kind: 'kv-gone', key: 'x' }
  const short = Buffer.from(encodeLine({ format: 1, changes: 3, index: 5 }) + encodeLine(change))
  t.throws(() => open(withFile(short)), { code: 'FL_STORE', message: /snapshot is cut short/ })
  const blocked = join(freshDir())
  writeFileSync(blocked, 'a file')
  t.throws(() => open(blocked), { code: 'FL_STORE', message: /cannot be used/ })
})

await t.test('the index goes on above its old value, and above the clock’s', async (t) => {
  const dir = freshDir()
  const first = open(dir)
  for (let i = 0; i < 20; i++) put(first.store, 'k', String(i))
  const before = first.state.index
  await first.store.close()
  const second = open(dir)
  t.ok(second.state.index > before, 'above the old one')
  t.equal(second.state.keyIndex('none'), second.state.index, 'what is missing moved too')
  t.equal(second.state.keyIndex('k'), before, 'a key keeps its own, for compare-and-set')
  await second.store.close()
  const third = open(dir, { indexFloor: 1_000_000 })
  t.equal(third.state.index, 1_000_000)
  await third.store.close()
})

await t.test('two processes on one directory: the later has it, and nothing is lost', async (t) => {
  const dir = freshDir()
  const first = open(dir)
  put(first.store, 'a', 'eA==')
  const second = open(dir)
  t.ok(second.state.kv.has('a'))
  t.throws(() => put(first.store, 'b', 'eA=='), { code: 'FL_STORE', message: /taken over/ })
  t.throws(() => put(first.store, 'c', 'eA=='), { code: 'FL_STORE' }, 'and from then on')
  t.notOk(first.state.kv.has('b'), 'what is not written is not shown')
  put(second.store, 'd', 'eA==')
  const third = open(dir)
  t.throws(() => put(second.store, 'e', 'eA=='), { code: 'FL_STORE' })
  t.throws(() => put(first.store, 'f', 'eA=='), { code: 'FL_STORE' }, 'the first stays out when the second is out too')
  t.strictSame([...third.state.kv.keys()].toSorted(), ['a', 'd'])
  for (const one of [first, second, third]) await one.store.close()
  const last = open(dir)
  t.strictSame([...last.state.kv.keys()].toSorted(), ['a', 'd'])
  await last.store.close()
})

await t.test(
  'one that sleeps through two take-overs is out too, and so is one whose directory is removed',
  async (t) => {
    const dir = freshDir()
    const [first, second, third] = [open(dir), open(dir), open(dir)]
    t.throws(() => put(first.store, 'a', 'eA=='), { code: 'FL_STORE', message: /removed, or taken over/ })
    rmSync(dir, { recursive: true })
    t.throws(() => put(third.store, 'a', 'eA=='), { code: 'FL_STORE' })
    for (const one of [first, second, third]) await one.store.close()
  },
)

await t.test('what the earlier one acknowledges while the later one starts is there', async (t) => {
  const dir = freshDir()
  const first = open(dir)
  put(first.store, 'a', 'eA==')
  let late = 0
  // Its name for the new file is drawn after the old one is read and before the new one is there.
  const second = open(dir, {
    random: () => {
      if (late++ === 0) put(first.store, 'late', 'eA==')
      return systemRandom()
    },
  })
  t.ok(first.state.kv.has('late'), 'acknowledged')
  t.ok(second.state.kv.has('late'), 'and there')
  await second.store.close()
  const third = open(dir)
  t.ok(third.state.kv.has('late'), 'also on disk')
  await Promise.all([first, third].map((one) => one.store.close()))
})

await t.test('it is rewritten when it has grown, while writes go on', async (t) => {
  const dir = freshDir()
  const { store, disk, state } = open(dir, { growthBytesMin: 4_000 })
  const first = logIn(dir)
  for (let i = 0; i < 400; i++) {
    put(store, `k${String(i % 3)}`, Buffer.from(`value ${String(i)}`).toString('base64'))
    if (i % 10 === 0) await disk.flushed()
  }
  await until(() => readdirSync(dir).length === 1 && logIn(dir) !== first)
  await store.close()
  t.ok(statSync(logIn(dir)).size < 20_000, 'far less than was written')
  const again = open(dir)
  t.strictSame(contents(again.state), contents(state))
  await again.store.close()
})

await t.test('what a crash left half-written is cleared away', async (t) => {
  const { dir, states } = await written(2)
  writeFileSync(join(dir, 'catalog.tmp-left'), 'half')
  cpSync(logIn2(dir), join(dir, 'catalog-0001x.log'))
  const { state, store } = open(dir)
  t.strictSame(contents(state), states.at(-1))
  t.strictSame(
    readdirSync(dir).toSorted(),
    ['catalog-0001x.log', 'catalog-2.log'],
    'and what is not ours is left alone',
  )
  await store.close()
})

function logIn2(dir: string): string {
  return join(dir, readdirSync(dir).find((file) => /^catalog-\d+\.log$/.test(file)) ?? '')
}

await t.test('any sequence of writes reads back as the same state', async () => {
  const run = fc.asyncProperty(fc.array(anyOp, { maxLength: 40 }), fc.nat(), fc.boolean(), async (ops, seed, small) => {
    const dir = freshDir()
    const random = seededRandom(seed)
    const growth = small ? { growthBytesMin: 500 } : {}
    const first = open(dir, { random, ...growth })
    first.store.commit(enrolled)
    for (const op of ops) {
      perform(first.store, op)
      if (random() < 0.2) await first.disk.flushed()
    }
    const before = contents(first.state)
    await first.store.close()
    const second = open(dir)
    const after = contents(second.state)
    await second.store.close()
    rmSync(dir, { recursive: true })
    if (JSON.stringify(before) !== JSON.stringify(after)) throw new Error('not the same')
    return second.state.index > first.state.index
  })
  await fc.assert(run, { numRuns: 150 })
})
