/** A worker that says nothing is ended, unless it was control that did not listen. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Clock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { CountsReport } from '../../src/fleet/counts.ts'
import { createFleet } from '../../src/fleet/fleet.ts'
import { hungMs } from '../../src/fleet/fleet-plane.ts'
import { Link } from '../../src/fleet/link.ts'
import { protocol, type ToControl, type ToWorker } from '../../src/fleet/messages.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { defaultWireLimits } from '../../src/wire/limits.ts'
import type { Teardown } from '../fixtures/app.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const connections = { open: 0, idle: 0 }
const nothing: CountsReport = {
  versions: [],
  services: [],
  unrouted: new Map(),
  endpoints: [],
  downstream: connections,
  upstream: connections,
  linesDropped: 0,
  messagesLost: 0,
  cpuMs: 0,
  residentBytes: 0,
}

async function rig(t: Teardown) {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-hung-'))
  const fake = new FakeClock()
  let skewMs = 0
  const clock: Clock = {
    now: () => fake.now() + skewMs,
    wall: () => fake.wall(),
    setTimer: (delayMs, fn) => fake.setTimer(delayMs, fn),
  }
  const killed: number[] = []
  const path = join(folder, 'control')
  const writer = { write: () => true, dropped: () => 0, flush: () => Promise.resolve(true) }
  const log = createLogger({ writer, level: 'info', pretty: false })
  const fleet = createFleet({
    path,
    workers: 1,
    version: '0',
    epoch: 'c',
    clock,
    log,
    kill: (pid) => void killed.push(pid),
  })
  const plane = fleet.createPlane({
    clock,
    random: seededRandom(1),
    log,
    limits: defaultWireLimits,
    observer: undefined,
  })
  await fleet.open()
  const socket = connect(path)
  const link = await new Promise<Link<ToWorker, ToControl>>((resolve) => {
    const made: Link<ToWorker, ToControl> = new Link(socket, {
      onMessage: (message) => {
        if (message.kind === 'welcome') resolve(made)
        if (message.kind === 'report') made.send({ kind: 'counts', id: message.id, counts: nothing })
      },
      onRelief() {},
      onClose() {},
    })
    made.send({ kind: 'hello', protocol, version: '0', slot: 0, epoch: 'w', pid: 77, listeners: [] })
  })
  t.teardown(() => {
    link.close()
    plane.destroy()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    killed,
    advance: (ms: number) => fake.advance(ms),
    skew: (ms: number) => {
      skewMs += ms
    },
    /** The worker says something, and control has read it. */
    speak: () => fleet.refresh(),
  }
}

t.test('one that hangs is ended, once in a while until it is gone', async (t) => {
  const { killed, advance } = await rig(t)
  advance(hungMs)
  t.same(killed, [])
  advance(500)
  t.same(killed, [77])
  advance(hungMs)
  t.same(killed, [77])
  advance(500)
  t.same(killed, [77, 77])
})

t.test('one that speaks now and then is let be', async (t) => {
  const { killed, advance, speak } = await rig(t)
  for (let i = 0; i < 5; i++) {
    advance(hungMs - 500)
    await speak()
  }
  t.same(killed, [])
})

t.test('when it was control that was held up, nobody is blamed', async (t) => {
  const { killed, advance, skew } = await rig(t)
  advance(hungMs - 500)
  skew(60_000)
  advance(hungMs)
  t.same(killed, [])
  advance(1_000)
  t.same(killed, [77], 'but from then on')
})
