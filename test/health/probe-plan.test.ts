import t from 'tap'
import type { ProbeResult } from '../../src/health/port.ts'
import { isPeriodic, planProbe, readProbe } from '../../src/health/probe-plan.ts'
import { defaultServicePolicy, type HealthPolicy } from '../../src/policy/policy.ts'

const settings = (parts: Partial<HealthPolicy> = {}): HealthPolicy => ({ ...defaultServicePolicy.health, ...parts })
const head = { method: 'HEAD', path: '/', identity: '' }

void t.test('what is asked', async (t) => {
  const all = ['join', 'return', 'suspicion', 'proof', 'periodic'] as const
  for (const purpose of all) {
    const path = planProbe(purpose, settings({ http: '/x', identity: 'x-id' }), undefined)
    t.same(path, { method: 'GET', path: '/x', identity: 'x-id' }, purpose)
    t.same(planProbe(purpose, settings(), undefined), head, purpose)
  }
  const tcp = settings({ tcp: true })
  t.same(
    all.map((purpose) => planProbe(purpose, tcp, 'silence')),
    [undefined, head, head, head, undefined],
    'a connect alone never where silence is the question',
  )
  t.equal(planProbe('return', tcp, 'probe'), undefined)
  t.same([isPeriodic(settings()), isPeriodic(tcp), isPeriodic(settings({ http: '/' }))], [false, true, true])
})

void t.test('what an answer means', async (t) => {
  const answer = (status: number, identity = ''): ProbeResult => ({ kind: 'answer', status, identity, tookMs: 1 })
  const read = (result: ProbeResult, parts: Partial<HealthPolicy> = {}) => readProbe(result, settings(parts), 'web-1')
  t.equal(read(answer(500)), 'good', 'any answer to HEAD /')
  const path = { http: '/x' }
  t.same(
    [199, 200, 299, 302, 399, 400, 404, 500].map((status) => read(answer(status), path)),
    ['alive', 'good', 'good', 'good', 'good', 'alive', 'alive', 'alive'],
  )
  const identity = { identity: 'x-id' }
  t.equal(read(answer(200, 'web-1'), identity), 'good')
  t.equal(read(answer(200, 'web-2'), identity), 'stranger')
  t.equal(read(answer(500, ''), { ...path, ...identity }), 'stranger')
  t.equal(read(answer(500, 'web-1'), { ...path, ...identity }), 'alive')
  t.equal(read({ kind: 'connected', tookMs: 1 }), 'good')
  for (const [kind, finding] of [
    ['refused', 'refused'],
    ['closed', 'closed'],
    ['invalid', 'alive'],
    ['timeout', 'mute'],
    ['unreachable', 'mute'],
    ['local', 'unknown'],
  ] as const)
    t.equal(read({ kind }), finding)
})
