/** The look at all endpoints once a second: so many in a turn of the loop. */
import t from 'tap'
import { noHealth } from '../../src/proxy/no-health.ts'
import { Judgement, type JudgementHost, lookedPerTurn } from '../../src/proxy/judgement.ts'
import type { EndpointState } from '../../src/live/runtime.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { FakeTurns } from '../fixtures/turns.ts'

t.test('endpoints that are doubted are all asked, over several turns, also those that came meanwhile', async (t) => {
  const clock = new FakeClock()
  const turns = new FakeTurns()
  const asked: EndpointState[] = []
  const doubted = (key: string) => ({ key, doubted: true, leaving: false, attempts: [] }) as unknown as EndpointState
  const states = new Map(Array.from({ length: 2 * lookedPerTurn }, (_, i) => [String(i), doubted(String(i))]))
  const host = {
    clock,
    registry: { leaving: () => [], endpoints: () => states.values() },
    bound: { services: new Map() },
    health: { ...noHealth, doubt: (state: EndpointState) => void asked.push(state) },
    onHealthEvent() {},
  } as unknown as JudgementHost
  const judgement = new Judgement(host, turns.inTurn)
  clock.advance(1_000)
  judgement.sweep(clock.now())
  t.equal(asked.length, lookedPerTurn)
  states.delete('0')
  states.set('late', doubted('late'))
  clock.advance(1_000)
  judgement.sweep(clock.now())
  t.equal(asked.length, lookedPerTurn, 'none begins before the last is through')
  t.equal(turns.all(), 2)
  t.equal(asked.length, 2 * lookedPerTurn + 1)
  t.equal(new Set(asked).size, asked.length)
  clock.advance(1_000)
  judgement.sweep(clock.now())
  t.equal(asked.length, 3 * lookedPerTurn + 1)
})
