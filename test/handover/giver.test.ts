/** Who comes to be handed sockets: whoever only looks, says nothing or something else costs no process and keeps nobody out. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLogger } from '../../src/core/log.ts'
import { createGiver } from '../../src/handover/giver.ts'
import { take } from '../../src/handover/greeting.ts'
import { isListeningAt } from '../../src/handover/listening.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { until } from '../fixtures/until.ts'

if (process.platform !== 'linux') t.bailout('sockets are handed over on Linux only')

interface Guest {
  readonly socket: Socket
  readonly heard: () => string
  readonly isOver: () => boolean
}

async function rig(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'fl-giver-'))
  const path = join(folder, 'upgrade.sock')
  const clock = new FakeClock()
  const helpers = { started: 0 }
  const giver = createGiver({
    path,
    // It ends with its channel, as a helper does.
    helper: () => {
      helpers.started++
      return [process.execPath, '-e', 'process.on("message", () => {}); process.on("disconnect", () => process.exit())']
    },
    clock,
    log: silentLogger,
  })
  giver.open()
  await until(() => isListeningAt(path))
  const guests: Socket[] = []
  t.teardown(() => {
    for (const socket of guests) socket.destroy()
    giver.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const come = async (text: string): Promise<Guest> => {
    const socket = connect({ path })
    guests.push(socket)
    let heard = ''
    let over = false
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString()))
    socket.on('error', () => {})
    for (const end of ['end', 'close']) socket.on(end, () => (over = true))
    const before = clock.pending
    socket.write(text)
    // Its patience with this one has begun, or is over already.
    await until(() => clock.pending > before || heard !== '' || over)
    return { socket, heard: () => heard, isOver: () => over }
  }
  return { clock, helpers, come }
}

t.test('one that says nothing is let go, and keeps nobody waiting', async (t) => {
  const { clock, helpers, come } = await rig(t)
  const idle = await come('')
  const slow = await come(take)
  const taker = await come(`${take}\n`)
  await until(() => taker.heard() === 'yes\n')
  clock.advance(2_000)
  await until(() => idle.isOver() && slow.isOver())
  t.equal(helpers.started, 0)
  taker.socket.write('go\n')
  await until(() => helpers.started === 1)
})

t.test('what is no such word is told so', async (t) => {
  const { helpers, come } = await rig(t)
  for (const text of ['take 1\n', '\n', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(1_000)]) {
    const guest = await come(text)
    await until(guest.isOver)
    t.equal(guest.heard(), 'no\n')
  }
  t.equal(helpers.started, 0)
})

t.test('one at a time: the next one is told so, or has its turn when the first has gone', async (t) => {
  const { clock, helpers, come } = await rig(t)
  const first = await come(`${take}\n`)
  await until(() => first.heard() === 'yes\n')
  const second = await come(`${take}\n`)
  await until(() => clock.pending >= 2)
  clock.advance(3_000)
  await until(() => second.heard() === 'busy\n')
  const third = await come(`${take}\n`)
  await until(() => clock.pending >= 2)
  first.socket.destroy()
  await until(() => third.heard() === 'yes\n')
  t.equal(helpers.started, 0)
  // The helper of one that gives up ends, and makes room, too.
  third.socket.pause()
  third.socket.write('go\n')
  await until(() => helpers.started === 1)
  const fourth = await come(`${take}\n`)
  third.socket.destroy()
  await until(() => fourth.heard() === 'yes\n')
})

t.test('one that has the turn and does nothing with it loses it', async (t) => {
  const { clock, helpers, come } = await rig(t)
  const first = await come(`${take}\n`)
  await until(() => first.heard() === 'yes\n')
  clock.advance(10_000)
  await until(first.isOver)
  const second = await come(`${take}\n`)
  await until(() => second.heard() === 'yes\n')
  t.equal(helpers.started, 0)
})
