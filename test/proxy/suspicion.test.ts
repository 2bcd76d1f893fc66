import t from 'tap'
import { Suspicion } from '../../src/proxy/suspicion.ts'
import type { EndpointState } from '../../src/live/runtime.ts'

/** An endpoint that broke: last heard at `lastLifeMs`, with requests that wait since these times. */
const broken = (lastLifeMs: number, usualMs: number, ...sentMs: readonly number[]): EndpointState =>
  ({ lastLifeMs, usualMs, attempts: sentMs.map((waitingSinceMs) => ({ waitingSinceMs })) }) as unknown as EndpointState

t.test('what it was busy with, and the first that came then, may be the cause; the rest only waited', async (t) => {
  const suspicion = new Suspicion(broken(100, 0, 97, 99, 103, 110, 150))
  for (const [sentMs, may] of [
    [97, true],
    [110, false],
    [103, true],
    [99, true],
    [150, false],
  ] as const)
    t.equal(suspicion.includes(sentMs), may, String(sentMs))
})

t.test('what came while the first was still at work may be, too', async (t) => {
  const suspicion = new Suspicion(broken(100, 5, 103, 110, 113, 114))
  t.ok(suspicion.includes(110))
  t.ok(suspicion.includes(113))
  t.notOk(suspicion.includes(114))
})

t.test('the one whose failure is the first to be seen is no longer under way, and counts', async (t) => {
  const suspicion = new Suspicion(broken(100, 0, 110, 120))
  t.ok(suspicion.includes(105))
  t.notOk(suspicion.includes(110), 'it came after the first')
})

t.test('one that was never heard: the first that waits', async (t) => {
  const suspicion = new Suspicion(broken(-Infinity, 0, 20, 10, 30))
  t.ok(suspicion.includes(10))
  t.notOk(suspicion.includes(20))
})
