import t from 'tap'
import { newCondition, type Condition, type World } from '../../src/health/condition.ts'
import { probing, react, type Happening } from '../../src/health/machine.ts'
import type { Finding, Purpose } from '../../src/health/probe-plan.ts'
import type { EjectionCause, Verdict } from '../../src/health/verdict.ts'
import { defaultServicePolicy, type HealthPolicy } from '../../src/policy/policy.ts'

const now = 100_000

interface Around {
  readonly spare?: boolean
  readonly enough?: boolean
  readonly taken?: boolean
  readonly answersProbes?: boolean
  readonly lastLifeMs?: number
  readonly nowMs?: number
  readonly random?: number
  readonly settings?: Partial<HealthPolicy>
}

function world(around: Around = {}): World {
  return {
    nowMs: around.nowMs ?? now,
    settings: { ...defaultServicePolicy.health, ...around.settings },
    random: () => around.random ?? 0,
    lastLifeMs: around.lastLifeMs ?? -Infinity,
    spare: () => around.spare ?? true,
    enough: () => around.enough ?? true,
    taken: () => around.taken ?? false,
    answersProbes: around.answersProbes ?? true,
  }
}

const since = now - 300
const joining = newCondition('joining', since)
const healthy = newCondition('healthy', since)
const suspect: Condition = { ...healthy, state: 'suspect', quietFromMs: since - 200 }
const trial: Condition = {
  ...healthy,
  state: 'probation',
  onTrial: true,
  cause: 'failure-rate',
  illnesses: 1,
  restoredMs: since,
}

function ejected(cause: EjectionCause, parts: Partial<Condition> = {}): Condition {
  const { condition } = react(healthy, causeOf(cause), world({ nowMs: since }))
  return { ...condition, cause, holdUntilMs: -Infinity, ...parts }
}

function causeOf(cause: EjectionCause): Happening {
  if (cause === 'consecutive-failures' || cause === 'failure-rate') return { kind: 'failed', cause }
  return cause === 'probe' ? { kind: 'unhealthy' } : { kind: 'refused' }
}

const probed = (finding: Finding, purpose: Purpose = 'suspicion', startedMs = now - 100): Happening => ({
  kind: 'probed',
  purpose,
  finding,
  startedMs,
})

function text(verdict: Verdict | undefined): string {
  if (!verdict) return ''
  if (verdict.kind === 'eject')
    return `eject ${verdict.cause}${verdict.proven ? ' proven' : ''}${verdict.certain ? ' certain' : ''}`
  if (verdict.kind === 'admit') return `admit ${verdict.state}${verdict.ramp ? ' ramp' : ''}`
  return verdict.kind === 'state' ? `state ${verdict.state}` : verdict.kind
}

type Row = readonly [
  name: string,
  from: Condition,
  happening: Happening,
  state: string,
  verdict: string,
  around?: Around,
]

const rows: readonly Row[] = [
  // === joining ===
  ['joining: an attempt is refused', joining, { kind: 'refused' }, 'ejected', 'eject refused proven certain'],
  ['joining: a probe is refused', joining, probed('refused', 'join'), 'joining', ''],
  ['joining: a good answer', joining, probed('good', 'join'), 'healthy', 'admit healthy ramp'],
  ['joining: somebody else answers', joining, probed('stranger', 'join'), 'ejected', 'eject identity certain'],
  ['joining: not what was wanted', joining, probed('alive', 'join'), 'joining', ''],
  ['joining: no answer', joining, probed('mute', 'join'), 'joining', ''],
  ['joining: closed', joining, probed('closed', 'join'), 'joining', ''],
  ['joining: a sign of life', joining, { kind: 'life' }, 'healthy', 'admit healthy ramp'],
  ['joining: doubt', joining, { kind: 'doubt', quietFromMs: now }, 'joining', ''],
  ['joining: failures', joining, { kind: 'failed', cause: 'failure-rate' }, 'joining', ''],

  // === healthy ===
  ['healthy: refused', healthy, { kind: 'refused' }, 'ejected', 'eject refused proven certain'],
  [
    'healthy: refused, the last',
    healthy,
    { kind: 'refused' },
    'ejected',
    'eject refused proven certain',
    { spare: false },
  ],
  ['healthy: a probe is refused', healthy, probed('refused', 'periodic'), 'ejected', 'eject refused proven certain'],
  ['healthy: doubt', healthy, { kind: 'doubt', quietFromMs: now }, 'suspect', 'state suspect'],
  ['healthy: closed once', healthy, { kind: 'closed' }, 'suspect', 'state suspect'],
  ['healthy: closed again', { ...healthy, closedMs: now - 5 }, { kind: 'closed' }, 'suspect', 'state suspect'],
  [
    'healthy: a probe closed after a request',
    { ...healthy, closedMs: now - 10_000 },
    probed('closed', 'periodic'),
    'ejected',
    'eject closed-unanswered certain',
  ],
  [
    'healthy: too far apart',
    { ...healthy, closedMs: now - 10_001 },
    probed('closed', 'periodic'),
    'suspect',
    'state suspect',
  ],
  [
    'healthy: with life between',
    { ...healthy, closedMs: now - 5 },
    probed('closed', 'periodic'),
    'suspect',
    'state suspect',
    { lastLifeMs: now - 1 },
  ],
  ['healthy: no answerer closes', healthy, probed('closed', 'periodic'), 'healthy', '', { answersProbes: false }],
  ['healthy: a few failures', healthy, { kind: 'failed', cause: undefined }, 'healthy', ''],
  ['healthy: too many', healthy, { kind: 'failed', cause: 'failure-rate' }, 'ejected', 'eject failure-rate'],
  [
    'healthy: too many in a row',
    healthy,
    { kind: 'failed', cause: 'consecutive-failures' },
    'ejected',
    'eject consecutive-failures',
  ],
  [
    'healthy: too many, but needed',
    healthy,
    { kind: 'failed', cause: 'failure-rate' },
    'healthy',
    '',
    { spare: false },
  ],
  ['healthy: configured probes fail', healthy, { kind: 'unhealthy' }, 'ejected', 'eject probe', { spare: false }],
  [
    'healthy: somebody else answers',
    healthy,
    probed('stranger', 'periodic'),
    'ejected',
    'eject identity certain',
    { spare: false },
  ],
  ['healthy: a stale suspicion ends', healthy, probed('mute'), 'healthy', ''],
  ['healthy: a proof times out', healthy, probed('mute', 'proof'), 'healthy', ''],
  ['healthy: good', healthy, probed('good', 'periodic'), 'healthy', ''],

  // === suspect ===
  ['suspect: good', suspect, probed('good'), 'healthy', 'state healthy'],
  ['suspect: alive', suspect, probed('alive'), 'healthy', 'state healthy'],
  ['suspect: life', suspect, { kind: 'life' }, 'healthy', 'state healthy'],
  ['suspect: no answer', suspect, probed('mute'), 'ejected', 'eject silence'],
  ['suspect: no answer, but needed', suspect, probed('mute'), 'suspect', 'relieve', { spare: false }],
  ['suspect: no answer to an earlier question', suspect, probed('mute', 'suspicion', since - 1), 'suspect', ''],
  [
    'suspect: no answer, but a byte elsewhere',
    suspect,
    probed('mute'),
    'healthy',
    'state healthy',
    { lastLifeMs: since + 1 },
  ],
  ['suspect: a periodic probe without answer', suspect, probed('mute', 'periodic'), 'suspect', ''],
  ['suspect: a proof without answer', suspect, probed('mute', 'proof'), 'suspect', ''],
  ['suspect: a tcp probe connects', suspect, probed('good', 'periodic'), 'suspect', ''],
  ['suspect: it says nothing', suspect, probed('unknown'), 'suspect', ''],
  ['suspect: refused', suspect, probed('refused'), 'ejected', 'eject refused proven certain'],
  ['suspect: closed once', suspect, probed('closed'), 'suspect', ''],
  [
    'suspect: closed after a request',
    { ...suspect, closedMs: since },
    probed('closed'),
    'ejected',
    'eject closed-unanswered certain',
  ],
  [
    'suspect: two probes closed',
    { ...suspect, probeClosedMs: since },
    probed('closed'),
    'ejected',
    'eject closed-unanswered certain',
  ],
  [
    'suspect: closed by one that never answered a probe',
    { ...suspect, probeClosedMs: since },
    probed('closed'),
    'suspect',
    '',
    { answersProbes: false },
  ],
  [
    'suspect: the same after a request, and others are there',
    { ...suspect, closedMs: since },
    probed('closed'),
    'ejected',
    'eject closed-unanswered',
    { answersProbes: false },
  ],
  [
    'suspect: the same, and it is needed',
    { ...suspect, closedMs: since },
    probed('closed'),
    'suspect',
    '',
    { answersProbes: false, spare: false },
  ],
  ['suspect: requests closed', { ...suspect, closedMs: since }, { kind: 'closed' }, 'suspect', ''],
  ['suspect: closed, but alive', suspect, probed('closed'), 'healthy', 'state healthy', { lastLifeMs: since + 1 }],
  ['suspect: more doubt', suspect, { kind: 'doubt', quietFromMs: now }, 'suspect', ''],
  ['suspect: too many failures', suspect, { kind: 'failed', cause: 'failure-rate' }, 'ejected', 'eject failure-rate'],
  ['suspect: somebody else', suspect, probed('stranger'), 'ejected', 'eject identity certain'],
  ['suspect on trial: good', { ...suspect, onTrial: true }, probed('good'), 'probation', 'state probation'],
  [
    'suspect on trial: one failure',
    { ...suspect, onTrial: true, cause: 'failure-rate' },
    { kind: 'failed', cause: undefined },
    'ejected',
    'eject failure-rate',
  ],

  // === ejected ===
  ['silence: it answers a request', ejected('silence'), { kind: 'life' }, 'healthy', 'admit healthy'],
  [
    'never answers probes, closes them long',
    ejected('closed-unanswered', { sinceMs: now - 10_000, certain: false }),
    probed('closed', 'return'),
    'healthy',
    'admit healthy',
    { answersProbes: false },
  ],
  [
    'the same, not yet',
    ejected('closed-unanswered', { sinceMs: now - 9_999 }),
    probed('closed', 'return'),
    'ejected',
    '',
    { answersProbes: false },
  ],
  [
    'answers probes, closes them long',
    ejected('closed-unanswered', { sinceMs: now - 10_000 }),
    probed('closed', 'return'),
    'ejected',
    '',
  ],
  [
    'joining: closes every probe',
    newCondition('joining', now - 2_000),
    probed('closed', 'join'),
    'healthy',
    'admit healthy ramp',
  ],
  ['joining: closes one', newCondition('joining', now - 1_999), probed('closed', 'join'), 'joining', ''],
  ['refused: good', ejected('refused'), probed('good', 'return'), 'healthy', 'admit healthy'],
  [
    'refused: good after long',
    ejected('refused', { sinceMs: now - 5_001 }),
    probed('good', 'return'),
    'healthy',
    'admit healthy ramp',
  ],
  [
    'silence: good after long',
    ejected('silence', { sinceMs: now - 5_001, certain: false }),
    probed('good', 'return'),
    'healthy',
    'admit healthy',
  ],
  ['ejected: good, asked before', ejected('refused'), probed('good', 'return', since - 1), 'ejected', ''],
  ['ejected: a connect alone', ejected('silence'), probed('good', 'periodic'), 'ejected', ''],
  ['ejected: held', ejected('refused', { holdUntilMs: now + 1 }), probed('good', 'return'), 'ejected', ''],
  [
    'ejected: held, but nothing else',
    ejected('refused', { holdUntilMs: now + 1 }),
    probed('good', 'return'),
    'healthy',
    'admit healthy',
    { enough: false },
  ],
  [
    'ejected: held no longer',
    ejected('refused', { holdUntilMs: now }),
    probed('good', 'return'),
    'healthy',
    'admit healthy',
  ],
  ['ill: good', ejected('failure-rate'), probed('good', 'return'), 'probation', 'admit probation'],
  [
    'ill: held, and nothing else',
    ejected('failure-rate', { holdUntilMs: now + 1 }),
    probed('good', 'return'),
    'ejected',
    '',
    { enough: false },
  ],
  [
    'silence: refused',
    ejected('silence', { proven: false, certain: false, died: false }),
    { kind: 'refused' },
    'ejected',
    'eject refused proven certain',
  ],
  ['refused: refused', ejected('refused'), { kind: 'refused' }, 'ejected', ''],
  [
    'refused: somebody else',
    ejected('refused'),
    probed('stranger', 'return'),
    'ejected',
    'eject identity proven certain',
  ],
  ['identity: somebody else', ejected('identity'), probed('stranger', 'return'), 'ejected', ''],
  [
    'refused: good, but taken',
    ejected('refused'),
    probed('good', 'return'),
    'ejected',
    'eject address-taken proven certain',
    { taken: true },
  ],
  [
    'refused: good and proven by identity',
    ejected('refused'),
    probed('good', 'return'),
    'healthy',
    'admit healthy',
    { taken: true, settings: { identity: 'x' } },
  ],
  [
    'silence: good and taken',
    ejected('silence', { died: false }),
    probed('good', 'return'),
    'healthy',
    'admit healthy',
    { taken: true },
  ],
  ['taken: good', ejected('address-taken'), probed('good', 'return'), 'ejected', '', { taken: true }],
  ['taken: refused', ejected('address-taken', { proven: false }), { kind: 'refused' }, 'ejected', ''],
  ['taken no more: good', ejected('address-taken'), probed('good', 'return'), 'healthy', 'admit healthy'],
  ['ejected: alive', ejected('probe'), probed('alive', 'return'), 'ejected', ''],
  ['ejected: mute', ejected('probe'), probed('mute', 'return'), 'ejected', ''],
  ['ejected: closed', ejected('probe'), { kind: 'closed' }, 'ejected', ''],
  ['ejected: failures', ejected('probe'), { kind: 'failed', cause: 'failure-rate' }, 'ejected', ''],
  ['ejected: doubt', ejected('probe'), { kind: 'doubt', quietFromMs: now }, 'ejected', ''],
  ['ejected: unhealthy', ejected('probe'), { kind: 'unhealthy' }, 'ejected', ''],

  // === probation ===
  ['probation: over', trial, { kind: 'tried' }, 'healthy', 'state healthy'],
  ['probation: one failure', trial, { kind: 'failed', cause: undefined }, 'ejected', 'eject failure-rate'],
  [
    'probation: one failure, but needed',
    trial,
    { kind: 'failed', cause: undefined },
    'probation',
    '',
    { spare: false },
  ],
  ['probation: doubt', trial, { kind: 'doubt', quietFromMs: now }, 'suspect', 'state suspect'],
  ['probation: refused', trial, { kind: 'refused' }, 'ejected', 'eject refused proven certain'],
]

void t.test('each state and what may happen to it', async (t) => {
  for (const [name, from, happening, state, verdict, around] of rows) {
    const step = react(Object.freeze({ ...from }), happening, world(around))
    t.equal(`${step.condition.state}: ${text(step.verdict)}`, `${state}: ${verdict}`, name)
  }
})

void t.test('a suspicion asks at once, and again when it was told nothing', async (t) => {
  const asked = react(healthy, { kind: 'doubt', quietFromMs: now - 250 }, world()).condition
  t.match(asked, { probeAtMs: now, quietFromMs: now - 250, sinceMs: now })
  const sent = probing(asked, now, () => 0)
  t.equal(sent.probeAtMs, Infinity, 'one at a time')
  const later = world({ nowMs: now + 300, spare: false })
  for (const finding of ['unknown', 'mute'] as const)
    t.equal(react(sent, probed(finding, 'suspicion', now), later).condition.probeAtMs, now + 350, finding)
  t.equal(react(sent, probed('closed', 'suspicion', now), later).condition.probeAtMs, now + 300)
  t.equal(react(sent, probed('mute', 'suspicion', now - 1), world({ nowMs: now + 300 })).condition.probeAtMs, now + 300)
})

void t.test('hold-downs double, with jitter, up to the most', async (t) => {
  const settings = { baseEjectionMs: 1_000, maxEjectionMs: 5_000 }
  const held = (from: Condition, happening: Happening, random: number): number =>
    react(from, happening, world({ settings, random })).condition.holdUntilMs - now
  const flapped = (times: number): Condition => ({
    ...healthy,
    recentMs: Array.from({ length: times }, (_, i) => now - 1_000 - i),
  })
  const refused: Happening = { kind: 'refused' }
  t.same(
    [0, 1, 2, 3, 4, 5, 12].map((times) => held(flapped(times), refused, 0)),
    [-Infinity, -Infinity, 1_000, 2_000, 4_000, 5_000, 5_000],
  )
  t.equal(held(flapped(2), refused, 0.5), 1_100)
  t.equal(held(flapped(5), refused, 0.9), 5_000)
  const old = { ...healthy, recentMs: [now - 60_000, now - 60_001, now - 70_000] }
  t.equal(held(old, refused, 0), -Infinity, 'a minute forgives')

  const failed: Happening = { kind: 'failed', cause: 'consecutive-failures' }
  const ill = (illnesses: number): Condition => ({ ...healthy, illnesses, restoredMs: now - 59_000 })
  t.same(
    [0, 1, 2, 3].map((illnesses) => held(ill(illnesses), failed, 0)),
    [1_000, 2_000, 4_000, 5_000],
  )
  t.equal(held({ ...ill(3), restoredMs: now - 60_000 }, failed, 0), 1_000, 'a calm minute forgives')
  t.equal(held(healthy, failed, 0.999) < 1_200, true)
})

void t.test('what is remembered of ejections has an end', async (t) => {
  let condition = healthy
  for (let i = 0; i < 100; i++) {
    condition = react(condition, { kind: 'refused' }, world()).condition
    condition = { ...condition, state: 'healthy' }
  }
  t.equal(condition.recentMs.length, 16)
  t.equal(condition.ejections, 100)
})

void t.test('when the ejected are asked', async (t) => {
  const at = (cause: Happening, from = healthy): number => react(from, cause, world()).condition.probeAtMs - now
  t.equal(at({ kind: 'refused' }), 200)
  t.equal(at(probed('mute'), suspect), 0, 'a silence may end at any moment')
  t.equal(at({ kind: 'failed', cause: 'failure-rate' }), 1_000, 'not before its time is over')

  let condition = react(healthy, { kind: 'refused' }, world()).condition
  let nowMs = now
  const waits: number[] = []
  for (let i = 0; i < 90; i++) {
    condition = probing(condition, nowMs, () => 0.5)
    waits.push(Math.round(condition.probeAtMs - nowMs))
    nowMs = condition.probeAtMs
  }
  t.same(new Set(waits.slice(0, 75)), new Set([200]), 'the first 15 s')
  t.same(waits.slice(75, 84), [200, 300, 450, 675, 1_013, 1_519, 2_000, 2_000, 2_000])

  const held = (cause: 'refused' | 'failure-rate'): number => {
    const before = ejected(cause, { holdUntilMs: now + 9_000, probeAtMs: now + 200 })
    return react(before, probed('good', 'return'), world()).condition.probeAtMs - now
  }
  t.equal(held('failure-rate'), 9_000, 'that it answers probes says little: asked again when that can matter')
  t.equal(held('refused'), 200, 'it is well, and may be needed at any moment')
  const proof = react(
    ejected('silence', { proven: false, probeAtMs: now + 9_000 }),
    { kind: 'refused' },
    world(),
  ).condition
  t.match(proof, { probeAtMs: now + 200, died: true, ejections: 1, sinceMs: since })
  const taken = react(ejected('refused'), probed('good', 'return'), world({ taken: true })).condition
  t.equal(taken.probeAtMs, Infinity)
  t.equal(react(taken, { kind: 'seek' }, world()).condition.probeAtMs, now)
  t.equal(
    react(ejected('failure-rate', { holdUntilMs: now + 50 }), { kind: 'seek' }, world()).condition.probeAtMs,
    now + 50,
  )
})

void t.test('configured probes restore after as many good ones in a row as are configured', async (t) => {
  const settings = { healthyThreshold: 3 }
  let condition = ejected('probe')
  const findings: Finding[] = ['good', 'good', 'mute', 'good', 'alive', 'good', 'unknown', 'good']
  for (const finding of findings) {
    condition = react(condition, probed(finding, 'return'), world({ settings })).condition
    t.equal(condition.state, 'ejected', finding)
  }
  t.equal(react(condition, probed('good', 'return'), world({ settings })).condition.state, 'healthy')
  t.equal(
    react(ejected('refused'), probed('good', 'return'), world({ settings })).condition.state,
    'healthy',
    'others need one',
  )
})

void t.test('a needed one that fails on probation begins it anew', async (t) => {
  const step = react(trial, { kind: 'failed', cause: undefined }, world({ spare: false }))
  t.equal(step.condition.trialSinceMs, now)
})

void t.test('joining is asked about less and less often', async (t) => {
  let condition = probing(joining, now, () => 0.5)
  const waits: number[] = []
  for (let i = 0; i < 9; i++) {
    t.equal(condition.probeAtMs, Infinity, 'one at a time')
    condition = react(condition, probed('refused', 'join'), world({ random: 0.5 })).condition
    waits.push(Math.round(condition.probeAtMs - now))
    condition = probing(condition, now, () => 0.5)
  }
  t.same(waits, [200, 300, 450, 675, 1_013, 1_519, 2_000, 2_000, 2_000])
})
