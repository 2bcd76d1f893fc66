/** The supervisor on a fake clock: who takes whose place and when, how all of it ends, and with which code. */
import fc from 'fast-check'
import t from 'tap'
import {
  beatMs,
  patienceMs,
  Supervisor,
  type Child,
  type ChildEvents,
  type Role,
  workerHungMs,
} from '../../src/fleet/supervisor.ts'
import { silentLogger } from '../../src/core/log.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

interface Started extends ChildEvents {
  readonly name: string
  readonly told: string[]
  alive: boolean
  /** It answers nothing. */
  hangs: boolean
  /** It ends by itself. */
  readonly end: (code: number | undefined) => void
}

function rig(workers: number) {
  const fake = new FakeClock()
  let skewMs = 0
  const clock = {
    now: () => fake.now() + skewMs,
    wall: () => fake.wall(),
    setTimer: (delayMs: number, fn: () => void) => fake.setTimer(delayMs, fn),
    advance: (ms: number) => fake.advance(ms),
    nextDelay: () => fake.nextDelay(),
    skew: (ms: number) => void (skewMs += ms),
  }
  const started: Started[] = []
  const codes: number[] = []
  const spawn = (role: Role, events: ChildEvents): Child => {
    const child: Started = {
      ...events,
      name: role.kind === 'control' ? 'control' : `worker ${String(role.slot)}`,
      told: [],
      alive: true,
      hangs: false,
      end: (code) => {
        if (!child.alive) return
        child.alive = false
        events.onEnd(code, 'test')
      },
    }
    started.push(child)
    return {
      pid: started.length,
      tell: (word) => {
        if (word !== 'beat') child.told.push(word)
        else if (!child.hangs) events.onBeat()
      },
      kill: () => child.end(undefined),
    }
  }
  const supervisor = new Supervisor({
    workers,
    clock,
    log: silentLogger,
    spawn,
    endMs: 15_000,
    onEnd: (code) => void codes.push(code),
  })
  const alive = (name: string): Started | undefined => started.find((each) => each.name === name && each.alive)
  const all = (): string[] => started.filter((each) => each.alive).map(({ name }) => name)
  return { clock, started, codes, supervisor, alive, all }
}

t.test('control and workers are started, told, and all end with 0', async (t) => {
  const { supervisor, started, codes, all } = rig(2)
  supervisor.start()
  t.same(all(), ['control', 'worker 0', 'worker 1'])
  supervisor.reload()
  t.same(
    started.map(({ told }) => told),
    [['reload'], [], []],
    'control reads the configuration',
  )
  supervisor.stop()
  supervisor.stop()
  t.same(
    started.map(({ told }) => told.at(-1)),
    ['stop', 'stop', 'stop'],
  )
  for (const each of started) {
    t.same(codes, [])
    each.end(0)
  }
  t.same(codes, [0])
  t.equal(started.length, 3, 'nobody is replaced at the end')
})

t.test('whoever dies is replaced at once, and its siblings are not touched', async (t) => {
  const { supervisor, clock, started, alive, all } = rig(2)
  supervisor.start()
  started[0]?.onReady()
  alive('worker 1')?.end(undefined)
  t.same(all(), ['control', 'worker 0'])
  clock.advance(0)
  t.same(all(), ['control', 'worker 0', 'worker 1'])
  alive('control')?.end(1)
  clock.advance(0)
  t.same(all().toSorted(), ['control', 'worker 0', 'worker 1'])
  t.ok(started.every(({ told }) => told.length === 0))
})

t.test('who dies again and again is given ever more time, up to a bound', async (t) => {
  const { supervisor, clock, alive } = rig(1)
  supervisor.start()
  const waits: number[] = []
  for (let i = 0; i < 10; i++) {
    alive('worker 0')?.end(1)
    const from = clock.now()
    while (!alive('worker 0')) clock.advance(clock.nextDelay() ?? 0)
    waits.push(clock.now() - from)
  }
  t.same(waits, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000])
  clock.advance(10_000)
  alive('worker 0')?.end(undefined)
  clock.advance(0)
  t.ok(alive('worker 0'), 'one that lived is replaced at once')
})

t.test('control that cannot begin ends all, with its code', async (t) => {
  for (const [code, whole] of [
    [1, 1],
    [2, 2],
    [0, 1],
  ] as const) {
    const { supervisor, started, codes, alive } = rig(2)
    supervisor.start()
    alive('control')?.end(code)
    t.same(
      started.map(({ told }) => told),
      [[], ['stop'], ['stop']],
    )
    alive('worker 0')?.end(0)
    alive('worker 1')?.end(0)
    t.same(codes, [whole])
  }
})

t.test('control that was killed before it began is no verdict on the configuration', async (t) => {
  const { supervisor, clock, codes, alive } = rig(1)
  supervisor.start()
  alive('control')?.end(undefined)
  clock.advance(0)
  t.ok(alive('control'))
  t.same(codes, [])
})

t.test('who does not end in time is killed', async (t) => {
  const { supervisor, clock, codes, all } = rig(2)
  supervisor.start()
  supervisor.stop()
  clock.advance(14_999)
  t.equal(all().length, 3)
  clock.advance(1)
  t.same(all(), [])
  t.same(codes, [0])
})

t.test('one that waits for its turn is not started any more once the end has come', async (t) => {
  const { supervisor, clock, started, codes, alive } = rig(1)
  supervisor.start()
  alive('worker 0')?.end(1)
  clock.advance(0)
  alive('worker 0')?.end(1)
  supervisor.stop()
  alive('control')?.end(0)
  t.same(codes, [0])
  clock.advance(60_000)
  t.equal(started.length, 3)
})

t.test('whatever dies whenever, there is never more than one in a place, and all come back', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ victim: fc.nat({ max: 3 }), after: fc.nat({ max: 3_000 }) }), { maxLength: 30 }),
      (deaths) => {
        const { supervisor, clock, started, codes, all } = rig(3)
        supervisor.start()
        started[0]?.onReady()
        for (const { victim, after } of deaths) {
          clock.advance(after)
          const living = all()
          t.equal(new Set(living).size, living.length)
          started.filter(({ alive }) => alive)[victim]?.end(undefined)
        }
        clock.advance(10_000)
        t.same(all().toSorted(), ['control', 'worker 0', 'worker 1', 'worker 2'])
        t.same(codes, [])
        supervisor.stop()
        for (const each of started) each.end(0)
        t.same(codes, [0])
      },
    ),
    { numRuns: 100 },
  )
})

t.test('a worker that answers nothing for too long is ended and replaced, whoever else knows it', async (t) => {
  const { supervisor, clock, started, alive } = rig(2)
  supervisor.start()
  clock.advance(beatMs)
  const hung = alive('worker 1')
  if (!hung) throw new Error('no worker 1')
  hung.hangs = true
  clock.advance(workerHungMs)
  t.equal(alive('worker 1'), hung)
  clock.advance(beatMs)
  t.equal(hung.alive, false)
  t.ok(alive('worker 1'))
  t.equal(started.length, 4, 'and nobody else')
  clock.advance(10 * patienceMs)
  t.equal(started.length, 4)
})

t.test('one that hangs from its start on, and control, are given more time', async (t) => {
  const { supervisor, clock, started, alive } = rig(1)
  supervisor.start()
  const [control, worker] = started
  if (!control || !worker) throw new Error('nothing was started')
  worker.hangs = true
  clock.advance(beatMs)
  control.onReady()
  control.hangs = true
  clock.advance(patienceMs - beatMs)
  t.ok(worker.alive && control.alive)
  clock.advance(beatMs)
  t.equal(worker.alive, false)
  t.ok(alive('worker 0'))
  clock.advance(beatMs)
  t.equal(control.alive, false)
  t.ok(alive('control'))
  t.equal(started.length, 4)
})

t.test('when it was the supervisor that was held up, nobody is blamed', async (t) => {
  const { supervisor, clock, started } = rig(1)
  supervisor.start()
  clock.advance(beatMs)
  for (const each of started) each.hangs = true
  clock.skew(10 * patienceMs)
  clock.advance(workerHungMs)
  t.ok(started.every(({ alive }) => alive))
  clock.advance(2 * beatMs)
  t.equal(started[1]?.alive, false, 'but from then on')
})

t.test('one that hangs at the end is not replaced', async (t) => {
  const { supervisor, clock, started, codes } = rig(1)
  supervisor.start()
  clock.advance(beatMs)
  for (const each of started) each.hangs = true
  supervisor.stop()
  clock.advance(15_000)
  t.equal(started.length, 2)
  t.same(codes, [0])
})
