/** What health does for thousands of endpoints: in several turns of the loop, and with the same result. */
import t from 'tap'
import { askedPerTurn, sweptPerTurn } from '../../src/health/monitor.ts'
import { HealthRig } from '../fixtures/health-rig.ts'
import { FakeTurns } from '../fixtures/turns.ts'

const names = Array.from({ length: 2 * sweptPerTurn + 10 }, (_, i) => `e${String(i)}`)
const last = names.at(-1) ?? ''

function rigOf(endpoints: readonly string[]): { readonly rig: HealthRig; readonly turns: FakeTurns } {
  const turns = new FakeTurns()
  const rig = new HealthRig(1, turns.inTurn)
  rig.apply({ web: { endpoints } })
  turns.all()
  rig.run(100)
  turns.all()
  rig.run(50)
  return { rig, turns }
}

t.test('a sweep looks at so many endpoints in a turn; one begins when the last is through', async (t) => {
  const { rig, turns } = rigOf(names)
  turns.all()
  rig.run(50)
  t.equal(turns.waiting, 1)
  rig.run(500)
  t.equal(turns.waiting, 1, 'no other one meanwhile')
  t.equal(turns.all(), 2, 'three turns with the one that it began in')
  const { rig: small, turns: none } = rigOf(names.slice(0, sweptPerTurn))
  none.all()
  small.run(500)
  t.equal(none.waiting, 0, 'few endpoints take one turn')
})

t.test('silence is noticed wherever an endpoint stands', async (t) => {
  const { rig, turns } = rigOf(names)
  rig.wait(last)
  for (let ms = 0; ms < 800 && rig.said(last).length === 0; ms += 50) {
    rig.run(50)
    turns.all()
  }
  t.same(rig.said(last), ['state suspect'])
})

t.test('that its later turns come late is nobody else silence', async (t) => {
  const { rig, turns } = rigOf(names)
  turns.all()
  rig.wait(last)
  rig.run(50)
  rig.clock.advance(30)
  t.equal(turns.waiting, 1)
  // Nothing of ours runs for so long: what the endpoint has said was not read.
  rig.stall(5_000)
  turns.all()
  t.same(rig.said(last), [])
  rig.live(last)
  rig.run(50)
  turns.all()
  t.same(rig.said(last), [])
})

t.test('those that come are asked a few in a turn, and not when they have gone by then', async (t) => {
  const turns = new FakeTurns()
  const rig = new HealthRig(1, turns.inTurn)
  rig.apply({ web: { endpoints: ['old'] } })
  const fresh = Array.from({ length: 3 * askedPerTurn }, (_, i) => `new${String(i)}`)
  rig.apply({ web: { endpoints: ['old', ...fresh] } })
  const asked = (): number => rig.probes.filter(({ host }) => host.startsWith('new')).length
  t.equal(asked(), askedPerTurn, 'the first at once')
  turns.next()
  t.equal(asked(), 2 * askedPerTurn)
  rig.apply({ web: { endpoints: ['old'] } })
  turns.all()
  t.equal(asked(), 2 * askedPerTurn)
})
