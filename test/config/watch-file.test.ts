import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { watchFile } from '../../src/config/watch-file.ts'
import type { FileWatch, WatchFileOptions } from '../../src/config/watch-file.ts'
import { silentLogger } from '../../src/core/log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

const never = 1e12

/** Events of what was done before the call have come when it resolves: the kernel queues them within the call. */
async function eventsDelivered(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => void setImmediate(resolve))
}

interface Watching {
  readonly texts: string[]
  readonly reasons: string[]
  readonly clock: FakeClock
  readonly watch: FileWatch
  /** Waits until the last text told is `text`, time passing meanwhile. */
  readonly told: (text: string) => Promise<void>
}

async function watching(t: Test, path: string, options: WatchFileOptions = {}): Promise<Watching> {
  const texts: string[] = []
  const reasons: string[] = []
  const clock = new FakeClock()
  const watch = watchFile(path, { clock, log: silentLogger }, (text) => texts.push(text), {
    pollMs: never,
    onUnreadable: (reason) => reasons.push(reason),
    ...options,
  })
  t.teardown(() => watch.close())
  await watch.check()
  const told = async (text: string): Promise<void> => {
    await until(() => {
      clock.advance(10)
      return texts.at(-1) === text
    })
  }
  return { texts, reasons, clock, watch, told }
}

void t.test('written in place', async (t) => {
  const dir = t.testdir({ f: 'one' })
  const { told, texts } = await watching(t, join(dir, 'f'))
  t.same(texts, ['one'])
  writeFileSync(join(dir, 'f'), 'two')
  await told('two')
  writeFileSync(join(dir, 'f'), 'three')
  await told('three')
})

void t.test('renamed over, as editors save', async (t) => {
  const dir = t.testdir({ f: 'one' })
  const { told } = await watching(t, join(dir, 'f'))
  for (const text of ['two', 'three', 'four']) {
    writeFileSync(join(dir, 'f.tmp'), text)
    renameSync(join(dir, 'f.tmp'), join(dir, 'f'))
    await told(text)
  }
})

void t.test('swapped behind a symlink, as mounted configs do', async (t) => {
  const dir = t.testdir({ '..2026_1': { f: 'one' }, '..data': t.fixture('symlink', '..2026_1') })
  symlinkSync('..data/f', join(dir, 'f'))
  const { told, texts } = await watching(t, join(dir, 'f'))
  t.same(texts, ['one'])
  for (const [index, text] of ['two', 'three'].entries()) {
    const next = `..2026_${String(index + 2)}`
    mkdirSync(join(dir, next))
    writeFileSync(join(dir, next, 'f'), text)
    symlinkSync(next, join(dir, '..data_tmp'))
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'))
    rmSync(join(dir, `..2026_${String(index + 1)}`), { recursive: true })
    await told(text)
  }
})

void t.test('written where a link of another folder leads', async (t) => {
  const dir = t.testdir({ far: { real: 'one' }, mid: {}, near: {} })
  symlinkSync('../far/real', join(dir, 'mid', 'link'))
  symlinkSync('../mid', join(dir, 'near', 'folder'))
  const path = join(dir, 'near', 'folder', 'link')
  const { told } = await watching(t, path)
  writeFileSync(join(dir, 'far', 'real'), 'two')
  await told('two')
  writeFileSync(join(dir, 'far', 'other'), 'three')
  unlinkSync(join(dir, 'mid', 'link'))
  symlinkSync('../far/other', join(dir, 'mid', 'link'))
  await told('three')
})

void t.test('swapped in a folder that only a link leads to', async (t) => {
  const dir = t.testdir({ vol: { v1: { f: 'one' }, v2: { f: 'two' } }, near: {} })
  symlinkSync('v1', join(dir, 'vol', 'current'))
  symlinkSync('../vol/current/f', join(dir, 'near', 'f'))
  const { told } = await watching(t, join(dir, 'near', 'f'))
  symlinkSync('v2', join(dir, 'vol', 'next'))
  renameSync(join(dir, 'vol', 'next'), join(dir, 'vol', 'current'))
  await told('two')
})

void t.test('a change during a look is not missed', async (t) => {
  const dir = t.testdir({ f: 'one' })
  const path = join(dir, 'f')
  let wrote = false
  const texts: string[] = []
  const clock = new FakeClock()
  const watch = watchFile(path, { clock, log: silentLogger }, (text) => texts.push(text), {
    onRead() {
      if (wrote) return
      wrote = true
      writeFileSync(path, 'two')
      void watch.check()
    },
  })
  t.teardown(() => watch.close())
  await watch.check()
  t.same(texts, ['one', 'two'])
})

void t.test('gone for a while', async (t) => {
  const dir = t.testdir({ f: 'one' })
  const { told, reasons, clock, texts } = await watching(t, join(dir, 'f'))
  unlinkSync(join(dir, 'f'))
  await until(() => {
    clock.advance(10)
    return reasons.length > 0
  })
  t.match(reasons, [/ENOENT/])
  writeFileSync(join(dir, 'f'), 'one')
  writeFileSync(join(dir, 'f'), 'two')
  await told('two')
  t.same(texts, ['one', 'two'])
})

void t.test('where no event comes, the poll finds it', async (t) => {
  const dir = t.testdir({})
  const path = join(dir, 'later', 'f')
  const { told, texts, reasons, clock, watch } = await watching(t, path, { pollMs: 500 })
  t.same(texts, [])
  t.match(reasons, [/ENOENT/])
  mkdirSync(join(dir, 'later'))
  writeFileSync(path, 'one')
  await told('one')
  await watch.check()
  t.equal(clock.nextDelay(), 500, 'the poll is the only timer')
})

void t.test('a folder that was replaced is watched anew', async (t) => {
  const dir = t.testdir({ d: { f: 'one' } })
  const { told, watch, clock } = await watching(t, join(dir, 'd', 'f'))
  renameSync(join(dir, 'd'), join(dir, 'old'))
  mkdirSync(join(dir, 'd'))
  writeFileSync(join(dir, 'd', 'f'), 'two')
  await watch.check()
  await told('two')
  // What the replacing itself gave rise to must not be what finds the next change.
  await eventsDelivered()
  clock.advance(1_000)
  await watch.check()
  t.equal(clock.pending, 1, 'only the poll')
  writeFileSync(join(dir, 'd', 'f'), 'three')
  await told('three')
})

void t.test('only another content is told', async (t) => {
  const dir = t.testdir({ f: 'one' })
  let reads = 0
  const { texts, watch } = await watching(t, join(dir, 'f'), { known: 'one', onRead: () => reads++ })
  writeFileSync(join(dir, 'f'), 'one')
  await watch.check()
  t.same(texts, [])
  t.ok(reads >= 2)
  writeFileSync(join(dir, 'f'), 'two')
  await watch.check()
  t.same(texts, ['two'])
})

void t.test('a writer is given time to finish, but not for ever', async (t) => {
  const dir = t.testdir({ f: 'one' })
  const { clock, texts } = await watching(t, join(dir, 'f'), { settleMs: 50 })
  const path = join(dir, 'f')
  writeFileSync(path, 'two')
  await until(() => clock.nextDelay() === 50)
  clock.advance(40)
  writeFileSync(path, 'three')
  await until(() => clock.nextDelay() === 50)
  t.same(texts, ['one'], 'nothing is read before it is quiet')
  for (let n = 0; n < 10; n++) {
    clock.advance(40)
    writeFileSync(path, `more ${String(n)}`)
    await until(() => clock.nextDelay() === 50)
  }
  t.same(texts, ['one'])
  for (let n = 0; n < 5; n++) {
    clock.advance(40)
    writeFileSync(path, `yet more ${String(n)}`)
    await eventsDelivered()
  }
  await until(() => texts.length > 1, { what: 'it is read though it never was quiet' })
})

void t.test('what cannot be read, and a listener that throws', async (t) => {
  const dir = t.testdir({ big: 'x'.repeat(100), folder: {} })
  t.match((await watching(t, join(dir, 'big'), { bytesMax: 99 })).reasons, [/larger than 99 bytes/])
  t.match((await watching(t, join(dir, 'folder'))).reasons, [/not a regular file/])
  execFileSync('mkfifo', [join(dir, 'pipe')])
  t.match((await watching(t, join(dir, 'pipe'))).reasons, [/not a regular file/])

  const lines: string[] = []
  const clock = new FakeClock()
  const log = { ...silentLogger, error: (_: object, message: string) => void lines.push(message) }
  const throws = watchFile(join(dir, 'big'), { clock, log }, () => {
    throw new Error('no')
  })
  await throws.check()
  t.same(lines, ['what watches this file failed'])
  throws.close()
})

void t.test('nothing is left after close', async (t) => {
  const dir = t.testdir({ f: 'one' })
  const { watch, clock, texts } = await watching(t, join(dir, 'f'), { pollMs: 5_000 })
  writeFileSync(join(dir, 'f'), 'two')
  await until(() => clock.nextDelay() === 50)
  watch.close()
  watch.close()
  t.equal(clock.pending, 0)
  await watch.check()
  t.same(texts, ['one'])

  const early = watchFile(join(dir, 'f'), { clock, log: silentLogger }, (text) => texts.push(text))
  const looked = early.check()
  early.close()
  await looked
  t.equal(clock.pending, 0)
  t.same(texts, ['one'])
})
