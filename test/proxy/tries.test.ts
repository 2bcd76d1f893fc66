/** What one request has tried and may still spend, where it takes too many endpoints or requests to show between sockets. */
import t from 'tap'
import type { BoundEndpoint } from '../../src/live/runtime.ts'
import type { PlaneCore } from '../../src/proxy/plane-core.ts'
import { Tries } from '../../src/proxy/tries.ts'
import { Turns, turnsWaitingMax } from '../../src/proxy/turns.ts'
import { emptyTable } from '../../src/table/build.ts'
import { Deadlines } from '../../src/wire/deadlines.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { boundEndpoint, boundGroup, boundService } from '../fixtures/tables.ts'

/** One request waits there since the clock began. */
function waitedFor(name: string): BoundEndpoint {
  const endpoint = boundEndpoint(name, { inFlight: 1 })
  endpoint.state.attempts.push({ slot: 0, waitingSinceMs: 1_000, isTunnel: false, ejected() {}, expire() {} })
  return endpoint
}

/** A request that was sent to `from`, which has just broken; by now whoever waits elsewhere has waited for 100 ms. */
function broken(others: readonly BoundEndpoint[]) {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const turns = new Turns(deadlines)
  const from = boundEndpoint('from').state
  const service = boundService([boundGroup('', 1, others)])
  const bound = { table: emptyTable, match: () => undefined, routes: [], services: new Map() }
  const suspicion = () => ({ includes: () => false })
  const core = { bound, random: () => 0, deadlines, turns, suspicion } as unknown as PlaneCore
  clock.advance(100)
  const tries = new Tries()
  tries.begin(core, from, false)
  tries.sent++
  tries.add(from)
  const aim = { service, groups: service.groups, strict: false }
  const next = (mayWait = true): string | undefined => {
    const found = tries.next(core, aim, '', from, undefined, mayWait)
    return found === 'wait' ? found : found?.endpoint.endpoint.key
  }
  return { core, clock, deadlines, turns, from, tries, next }
}

t.test('it steps around those that are quiet, up to so many of them', async (t) => {
  const busy = boundEndpoint('busy', { inFlight: 9 })
  for (const [count, wanted] of [
    [64, 'busy'],
    [65, 'quiet-64'],
  ] as const) {
    const quiet = Array.from({ length: count }, (_, index) => waitedFor(`quiet-${index}`))
    t.equal(broken([...quiet, busy]).next(), wanted, String(count))
  }
})

t.test('where too many wait for their turn already it goes at once', async (t) => {
  const { next, turns } = broken([waitedFor('quiet')])
  for (let waiting = 1; waiting < turnsWaitingMax; waiting++) turns.wait('web', waiting, () => {})
  t.equal(next(), 'wait')
  turns.wait('web', 0, () => {})
  t.equal(next(), 'quiet')
})

t.test('what gives back what it spent waits no more', async (t) => {
  const { core, clock, deadlines, from, next, tries, turns } = broken([waitedFor('quiet')])
  t.equal(next(), 'wait')
  let woken = 0
  tries.wait(core, from, () => void woken++)
  t.equal(turns.waiting, 1)
  tries.release(false)
  t.equal(turns.waiting, 0)
  clock.advance(1_000)
  t.equal(woken, 0)
  t.equal(deadlines.size, 0)
})
