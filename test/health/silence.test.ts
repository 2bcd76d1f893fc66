import t from 'tap'
import { isQuiet, isSilent, silentSinceMs, suspectAfterMs, suspicionDeadlineMs } from '../../src/health/silence.ts'
import { boundEndpoint } from '../fixtures/tables.ts'

function state(lastLifeMs: number, ...waitingSinceMs: number[]) {
  const { state: made } = boundEndpoint('a')
  made.lastLifeMs = lastLifeMs
  for (const since of waitingSinceMs)
    made.attempts.push({ isTunnel: false, slot: 0, waitingSinceMs: since, ejected() {}, expire() {} })
  return made
}

void t.test('how long it may be silent', async (t) => {
  const cases = [
    [0, 200],
    [49, 200],
    [50, 200],
    [100, 400],
    [250, 1_000],
    [9_000, 1_000],
  ] as const
  for (const [usual, after] of cases) t.equal(suspectAfterMs(usual), after, String(usual))
})

void t.test('since when it is silent: the oldest that waits, or a later sign of life', async (t) => {
  t.equal(silentSinceMs(state(-Infinity)), Infinity, 'nobody waits')
  t.equal(silentSinceMs(state(-Infinity, Infinity)), Infinity, 'uploads, streams and tunnels do not wait')
  t.equal(silentSinceMs(state(-Infinity, 500, 300, Infinity)), 300)
  t.equal(silentSinceMs(state(400, 500, 300)), 400)
})

void t.test('silent only when somebody has waited for longer than is usual', async (t) => {
  t.equal(isSilent(state(-Infinity), 10_000), false)
  t.equal(isSilent(state(-Infinity, Infinity), 10_000), false)
  t.equal(isSilent(state(-Infinity, 800), 1_000), false)
  t.equal(isSilent(state(-Infinity, 799), 1_000), true)
  t.equal(isSilent(state(850, 100), 1_000), false, 'others are answered')
  t.equal(isSilent(state(700, 950), 1_000), false, 'it was idle before')
})

void t.test('quiet is sooner than silent', async (t) => {
  t.equal(isQuiet(state(-Infinity), 10_000), false, 'nobody waits')
  t.equal(isQuiet(state(-Infinity, 950), 1_000), false)
  t.equal(isQuiet(state(-Infinity, 949), 1_000), true)
  t.equal(isQuiet(state(950, 100), 1_000), false, 'others are answered')
  t.equal(isQuiet(state(700, 960), 1_000), false, 'it was idle before')
  const slow = state(-Infinity, 700)
  slow.usualMs = 100
  t.equal(isQuiet(slow, 1_000), false, 'four times its usual')
  t.equal(isQuiet(slow, 1_101), true)
})

void t.test('how long its probe may take', async (t) => {
  t.equal(suspicionDeadlineMs(0, 250), 400)
  t.equal(suspicionDeadlineMs(0, 100), 500, 'never sooner than 0.6 s after the silence began')
  t.equal(suspicionDeadlineMs(0, 0), 600)
  t.equal(suspicionDeadlineMs(200, 250), 600)
  t.equal(suspicionDeadlineMs(5_000, 250), 2_000)
})
