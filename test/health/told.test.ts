/** Verdicts that another process came to: taken over, doubted or passed over, and never told again as one's own. */
import t from 'tap'
import { newCondition, type Condition, type World } from '../../src/health/condition.ts'
import { react } from '../../src/health/machine.ts'
import type { ToldVerdict } from '../../src/health/told.ts'
import type { EjectionCause } from '../../src/health/verdict.ts'
import { defaultServicePolicy } from '../../src/policy/policy.ts'
import { gives, HealthRig, mute } from '../fixtures/health-rig.ts'

const now = 50_000

function world(parts: Partial<World> = {}, spare = true): World {
  return {
    nowMs: now,
    settings: defaultServicePolicy.health,
    random: () => 0,
    lastLifeMs: -Infinity,
    answersProbes: true,
    spare: () => spare,
    enough: () => true,
    taken: () => false,
    ...parts,
  }
}

const ejectedFor = (cause: EjectionCause, proven = false, certain = false): ToldVerdict => ({
  kind: 'eject',
  cause,
  proven,
  certain,
})
const healthy = newCondition('healthy', now - 1_000)

const hear = (condition: Condition, verdict: ToldVerdict, at: World = world()) =>
  react(condition, { kind: 'told', verdict }, at)

t.test('an ejection is taken over as it was told', (t) => {
  for (const verdict of [ejectedFor('refused', true, true), ejectedFor('silence'), ejectedFor('failure-rate')]) {
    const { condition, verdict: mine } = hear(healthy, verdict)
    t.match(condition, { state: 'ejected', ...verdict, kind: undefined })
    t.same(mine, verdict)
    t.equal(hear(condition, verdict).condition, condition, 'and once is enough')
  }
  t.end()
})

t.test('proof that comes later is added', (t) => {
  const silent = hear(healthy, ejectedFor('silence')).condition
  const { condition, verdict } = hear(silent, ejectedFor('refused', true, true))
  t.match(condition, { state: 'ejected', cause: 'refused', proven: true, certain: true, died: true })
  t.same(verdict, ejectedFor('refused', true, true))
  t.equal(hear(condition, ejectedFor('silence')).condition, condition, 'and not taken back')
  t.end()
})

t.test('who has just heard from it asks it instead of believing that it is silent', (t) => {
  const heard = world({ lastLifeMs: now - 100 })
  t.match(hear(healthy, ejectedFor('silence'), heard), {
    condition: { state: 'suspect', probeAtMs: now, quietFromMs: now },
    verdict: { kind: 'state', state: 'suspect' },
  })
  const suspect: Condition = { ...healthy, state: 'suspect' }
  t.equal(hear(suspect, ejectedFor('closed-unanswered'), heard).condition, suspect, 'it is being asked already')
  t.match(hear(healthy, ejectedFor('refused', true, true), heard).condition, { state: 'ejected' }, 'proof is proof')
  t.match(
    hear(healthy, ejectedFor('silence'), world({ lastLifeMs: now - 300 })).condition,
    { state: 'ejected' },
    'long ago says nothing',
  )
  t.end()
})

t.test('silence and illness take nobody below the panic threshold here either', (t) => {
  for (const cause of ['silence', 'closed-unanswered', 'consecutive-failures', 'failure-rate'] as const)
    t.equal(hear(healthy, ejectedFor(cause), world({}, false)).condition, healthy, cause)
  for (const cause of ['refused', 'probe', 'identity', 'address-taken'] as const)
    t.match(hear(healthy, ejectedFor(cause), world({}, false)).condition, { state: 'ejected' }, cause)
  t.end()
})

t.test('an admission ends an ejection or a joining, and is nothing to others', (t) => {
  const ejected = hear(healthy, ejectedFor('failure-rate')).condition
  t.match(hear(ejected, { kind: 'admit', state: 'probation', ramp: true }), {
    condition: { state: 'probation', onTrial: true, restoredMs: now, trialSinceMs: now, probeAtMs: Infinity },
    verdict: { kind: 'admit', state: 'probation', ramp: true },
  })
  const joining = newCondition('joining', now - 10)
  t.match(hear(joining, { kind: 'admit', state: 'healthy', ramp: true }), {
    condition: { state: 'healthy', onTrial: false, restoredMs: -Infinity },
  })
  t.equal(hear(healthy, { kind: 'admit', state: 'healthy', ramp: true }).condition, healthy)
  t.end()
})

t.test('only one that is as new here joins', (t) => {
  t.match(hear(healthy, { kind: 'join' }), { condition: { state: 'joining' }, verdict: { kind: 'join' } })
  t.equal(hear(healthy, { kind: 'join' }, world({ lastLifeMs: 1 })).condition, healthy)
  const known = { ...healthy, ejections: 1 }
  t.equal(hear(known, { kind: 'join' }).condition, known)
  t.end()
})

t.test('the monitor carries it out, marks it as told, and takes in what it holds to tell', (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b', 'c'] } })
  rig.health.hear(rig.state('a'), ejectedFor('refused', true, true))
  t.match(rig.told, [{ key: 'a', told: true, verdict: { kind: 'eject', cause: 'refused' } }])
  t.equal(rig.is('a'), 'ejected')
  t.same(
    rig.health.holds().map(({ state, verdict }) => [state.key, verdict]),
    [['a', ejectedFor('refused', true, true)]],
  )
  rig.fail('b', 'refused')
  t.match(rig.told.at(-1), { key: 'b', told: false }, 'its own is its own')
  rig.health.hear(rig.state('a'), { kind: 'admit', state: 'healthy', ramp: false })
  t.equal(rig.is('a'), 'healthy')
  t.end()
})

t.test('who leaves routine to another hardly asks of its own accord, and takes up all of it alone', (t) => {
  const rig = new HealthRig()
  rig.routine = false
  for (const key of ['a', 'b', 'c']) rig.hosts.set(key, gives('refused'))
  rig.apply({ web: { health: { http: '/up', intervalMs: 1_000 }, endpoints: ['a', 'b', 'c'] } })
  rig.health.hear(rig.state('a'), ejectedFor('refused', true, true))
  rig.run(1_900)
  t.equal(rig.probes.length, 0)
  rig.run(28_100)
  t.equal(rig.probesOf('b').length, 0, 'periodic probes are not its own')
  const asked = rig.probesOf('a').length
  t.ok(asked > 7 && asked <= 15, `${asked}: the other may have nothing to tell of this one`)
  rig.routine = true
  rig.run(300)
  t.ok(rig.probesOf('a').length > asked, 'the ejected one is asked')
  rig.run(1_500)
  t.ok(rig.probesOf('b').length > 0, 'and those that have periodic probes')
  t.end()
})

t.test('one that only it holds back is let in by itself', (t) => {
  const rig = new HealthRig()
  rig.routine = false
  rig.apply({ web: { endpoints: ['a', 'b', 'c'] } })
  rig.fail('a', 'refused')
  rig.apply({ web: { endpoints: ['a', 'b', 'c', 'd'] } })
  t.same([rig.is('a'), rig.is('d')], ['ejected', 'joining'])
  rig.run(2_200)
  t.same([rig.is('a'), rig.is('d')], ['healthy', 'healthy'])
  t.end()
})

t.test('suspicion is followed up by whoever has it', (t) => {
  const rig = new HealthRig()
  rig.routine = false
  rig.hosts.set('a', mute)
  rig.apply({ web: { endpoints: ['a', 'b', 'c'] } })
  rig.wait('a')
  rig.run(1_500)
  t.equal(rig.is('a'), 'ejected')
  t.equal(rig.told.find(({ verdict }) => verdict.kind === 'eject')?.told, false)
  t.end()
})
