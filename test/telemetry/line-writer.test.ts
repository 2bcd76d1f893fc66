/** The line writer: order, bounds, partial and failed writes, and real readers that stop or go away. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import { createLineWriter } from '../../src/telemetry/line-writer.ts'
import { createSink, type Sink } from '../../src/telemetry/sink.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

type Done = (error: NodeJS.ErrnoException | null, written: number) => void

/** A sink whose writes the test answers one by one. */
function handSink(): { sink: Sink; asked: { bytes: string; done: Done }[] } {
  const asked: { bytes: string; done: Done }[] = []
  return {
    asked,
    sink: { terminal: false, write: (bytes, done) => void asked.push({ bytes: bytes.toString(), done }) },
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const failure = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code })

t.test('lines of one turn go out in one write, one write at a time', async (t) => {
  const { sink, asked } = handSink()
  const writer = createLineWriter({ sink, clock: new FakeClock() })
  t.ok(writer.write('a\n'))
  t.ok(writer.write('b\n'))
  await turn()
  writer.write('c\n')
  await turn()
  t.same(
    asked.map((call) => call.bytes),
    ['a\nb\n'],
    'the third line waits for the first write',
  )
  asked[0]?.done(null, 4)
  t.equal(asked[1]?.bytes, 'c\n')
  const flushed = writer.flush(1_000)
  asked[1]?.done(null, 2)
  t.equal(await flushed, true)
})

t.test('with a bound, no write is longer than it and none ends within a line', async (t) => {
  const { sink, asked } = handSink()
  const writer = createLineWriter({ sink, clock: new FakeClock(), writeBytesMax: 8 })
  for (const line of ['abc\n', 'def\n', 'g\n', 'longer than that\n', 'h\n', '\u00e9\u00e9\u00e9\n', 'i\n'])
    writer.write(line)
  await turn()
  for (let i = 0; i < asked.length; i++) asked[i]?.done(null, Buffer.byteLength(asked[i]?.bytes ?? ''))
  t.same(
    asked.map(({ bytes }) => bytes),
    ['abc\ndef\n', 'g\n', 'longer than that\n', 'h\n', '\u00e9\u00e9\u00e9\n', 'i\n'],
  )
  t.equal(await writer.flush(1), true)
})

t.test('processes that share a pipe never write into each other', async (t) => {
  const script = `
    import { systemClock } from '${new URL('../../src/core/clock.ts', import.meta.url).href}'
    import { atomicBytes, createLineWriter } from '${new URL('../../src/telemetry/line-writer.ts', import.meta.url).href}'
    import { createSink } from '${new URL('../../src/telemetry/sink.ts', import.meta.url).href}'
    const writer = createLineWriter({ sink: createSink(1), clock: systemClock, writeBytesMax: atomicBytes })
    const hold = setInterval(() => {}, 1000)
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 200; j++) writer.write(process.argv[1].repeat(100 + j) + '\\n')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await writer.flush(20000)
    clearInterval(hold)
    process.exit(0)`
  const shell = spawn(
    'sh',
    ['-c', '"$0" --input-type=module -e "$1" a & "$0" --input-type=module -e "$1" b; wait', process.execPath, script],
    {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let text = ''
  shell.stdout.setEncoding('latin1').on('data', (piece: string) => (text += piece))
  await new Promise((resolve) => shell.on('close', resolve))
  const lines = text.split('\n').slice(0, -1)
  t.equal(lines.filter((line) => !/^(a+|b+)$/.test(line)).length, 0)
  t.equal(lines.length, 8_000)
})

t.test('a write that takes a part is continued where it stopped', async (t) => {
  const { sink, asked } = handSink()
  const writer = createLineWriter({ sink, clock: new FakeClock() })
  writer.write('hello\n')
  await turn()
  asked[0]?.done(null, 2)
  t.equal(asked[1]?.bytes, 'llo\n')
})

t.test('a full buffer drops and counts, important lines have room of their own', async (t) => {
  const { sink } = handSink()
  const writer = createLineWriter({ sink, clock: new FakeClock(), bufferBytesMax: 10 })
  t.ok(writer.write('12345678\n'))
  t.notOk(writer.write('ab\n'))
  await turn()
  t.notOk(writer.write('ab\n'), 'what is in flight counts too')
  t.equal(writer.dropped(), 2)
  t.ok(writer.write('ab\n', true))
  t.notOk(writer.write('x'.repeat(65_536), true), 'their room has an end')
})

t.test('EAGAIN is asked again after a pause', async (t) => {
  const { sink, asked } = handSink()
  const clock = new FakeClock()
  const writer = createLineWriter({ sink, clock })
  writer.write('a\n')
  await turn()
  asked[0]?.done(failure('EAGAIN'), 0)
  t.equal(asked.length, 1)
  clock.advance(20)
  t.equal(asked[1]?.bytes, 'a\n')
})

t.test('a full disk costs the lines in flight, and the next line starts on a line of its own', async (t) => {
  const { sink, asked } = handSink()
  const clock = new FakeClock()
  const writer = createLineWriter({ sink, clock })
  writer.write('hello\n')
  await turn()
  asked[0]?.done(null, 2)
  asked[1]?.done(failure('ENOSPC'), 0)
  t.equal(writer.dropped(), 1)
  writer.write('next\n')
  clock.advance(20)
  t.equal(asked[2]?.bytes, '\nnext\n')
})

t.test('a reader that is gone costs counted lines and nothing else', async (t) => {
  const { sink, asked } = handSink()
  const clock = new FakeClock()
  const writer = createLineWriter({ sink, clock })
  writer.write('a\n')
  await turn()
  writer.write('b\n')
  asked[0]?.done(failure('EPIPE'), 0)
  clock.advance(20)
  t.equal(writer.dropped(), 2)
  t.notOk(writer.write('c\n'))
  t.equal(await writer.flush(10), true, 'nothing is waited for')
})

t.test('flush gives up at its deadline', async (t) => {
  const { sink } = handSink()
  const clock = new FakeClock()
  const writer = createLineWriter({ sink, clock })
  writer.write('a\n')
  const flushed = writer.flush(500)
  clock.advance(500)
  t.equal(await flushed, false)
})

t.test('a plain file is appended to where the descriptor stands', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-lines-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'log')
  const fd = openSync(path, 'w')
  const writer = createLineWriter({ sink: createSink(fd), clock: systemClock })
  writer.write('one\n')
  await writer.flush(1_000)
  writer.write('two\n')
  t.equal(await writer.flush(1_000), true)
  t.equal(readFileSync(path, 'utf8'), 'one\ntwo\n')
})

/** Writes 4 MB of lines, tells on stderr how many were dropped, then exits; the parent reads or not. */
const child = `
import { createLineWriter } from ${JSON.stringify(new URL('../../src/telemetry/line-writer.ts', import.meta.url).href)}
import { createSink } from ${JSON.stringify(new URL('../../src/telemetry/sink.ts', import.meta.url).href)}
import { systemClock } from ${JSON.stringify(new URL('../../src/core/clock.ts', import.meta.url).href)}
const writer = createLineWriter({ sink: createSink(1), clock: systemClock })
let refused = 0
for (let i = 0; i < 4000; i++) if (!writer.write('x'.repeat(999) + '\\n')) refused++
const whole = await writer.flush(300)
process.stderr.write(JSON.stringify({ refused, whole, dropped: writer.dropped() }) + '\\n')
process.exit(0)
`

t.test('a pipe whose reader stops: lines are dropped and exit is not held up', async (t) => {
  // A shell's pipe is a FIFO. Its reader never reads; the group is ended by the test.
  const script = `("$0" "$@"; echo exited >&2) | sleep 60`
  const proc = spawn('bash', ['-c', script, process.execPath, '--input-type=module', '-e', child], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  t.teardown(() => process.kill(-Number(proc.pid), 'SIGKILL'))
  const said = await report(proc, 'exited')
  t.match(said, { whole: false })
  t.ok(said.refused > 2_500, 'what did not fit was refused')
  t.equal(said.dropped, said.refused)
})

t.test('a socket whose reader stops: lines are dropped and exit is not held up', async (t) => {
  // Node's own stdio pipes are sockets.
  const proc = spawn(process.execPath, ['--input-type=module', '-e', child], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise<void>((resolve) => proc.on('exit', () => resolve()))
  const said = await report(proc, '}')
  await exited
  t.match(said, { whole: false })
  t.ok(said.refused > 2_500)
})

async function report(proc: ChildProcess, last: string): Promise<{ refused: number; whole: boolean; dropped: number }> {
  let said = ''
  proc.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()))
  await until(() => said.includes(last), { what: `${last} from the writer`, timeoutMs: 10_000 })
  return JSON.parse(said.split('\n')[0] ?? '') as { refused: number; whole: boolean; dropped: number }
}

t.test('through a pipe that is read, every line arrives whole', async (t) => {
  const proc = spawn('bash', ['-c', `"$0" "$@" | cat`, process.execPath, '--input-type=module', '-e', child])
  let got = ''
  proc.stdout.on('data', (bytes: Buffer) => (got += bytes.toString()))
  await new Promise((resolve) => proc.on('close', resolve))
  const lines = got.split('\n').slice(0, -1)
  t.ok(lines.length >= 1_048)
  t.ok(lines.every((line) => line.length === 999))
})
