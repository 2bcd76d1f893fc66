import t from 'tap'
import { flapWindowMs } from '../../src/health/condition.ts'
import { lingerMs, seekMax } from '../../src/health/monitor.ts'
import { routineMax, urgentMax } from '../../src/health/probe-runner.ts'
import { admission } from '../../src/live/runtime.ts'
import { unprovenEnd } from '../../src/wire/failure.ts'
import { connects, gives, good, HealthRig, mute } from '../fixtures/health-rig.ts'

const web = (...endpoints: string[]) => ({ web: { endpoints } })

function rigOf(...endpoints: string[]): HealthRig {
  const rig = new HealthRig()
  rig.apply(web(...endpoints))
  return rig
}

void t.test(
  'endpoints of the first table are healthy at once, and so are those of a service that had none',
  async (t) => {
    const rig = rigOf('a', 'b')
    t.equal(rig.is('a'), 'healthy')
    rig.apply({ ...web('a', 'b'), shop: { endpoints: ['s'] } })
    t.equal(rig.is('s'), 'healthy')
    rig.run(1_000)
    t.same(rig.told, [])
    t.same(rig.probes, [], 'nobody waits, nothing is probed')
  },
)

void t.test('later ones join: probed at once, admitted with a ramp on the first good answer', async (t) => {
  const rig = rigOf('a')
  rig.hosts.set('b', gives('refused'))
  rig.apply(web('a', 'b'))
  t.same(rig.said('b'), ['join'])
  t.equal(rig.state('b').admission, admission.joining)
  t.equal(rig.state('b').open, false)
  t.equal(rig.probesOf('b').length, 1, 'at once')
  t.match(rig.probesOf('b')[0], { host: 'b', port: 80, http: { method: 'HEAD', path: '/', identity: '' } })
  rig.run(3_000)
  t.same(rig.said('b'), ['join'], 'not listening yet is no death')
  const gaps = rig.probesOf('b').map(({ at }, i, all) => at - (all[i - 1]?.at ?? at))
  t.ok(gaps.slice(1, 2).every((gap) => gap <= 250))
  t.ok(gaps.at(-1)! > 400, 'growing')
  rig.run(10_000)
  const late = rig.probesOf('b').map(({ at }) => at)
  t.ok(late.at(-1)! - late.at(-2)! <= 2_300)
  rig.hosts.set('b', good(404))
  rig.run(2_300)
  t.same(rig.said('b'), ['join', 'admit healthy ramp'], 'any answer to HEAD / will do')
  t.equal(rig.state('b').open, true)
})

void t.test('with a path configured, joining wants a good status of it; with tcp, a connection', async (t) => {
  const rig = new HealthRig()
  const services = (...endpoints: string[]) => ({
    web: { endpoints, health: { http: '/healthz' } },
    raw: { endpoints: endpoints.map((each) => `${each}-raw`), health: { tcp: true } },
  })
  rig.apply(services('a'))
  rig.hosts.set('b', good(503))
  rig.hosts.set('b-raw', connects)
  rig.apply(services('a', 'b'))
  rig.run(500)
  t.equal(rig.is('b'), 'joining')
  rig.live('b')
  rig.run(100)
  t.equal(rig.is('b'), 'joining', 'a byte of some answer is not what was configured')
  t.match(rig.probesOf('b')[0], { http: { method: 'GET', path: '/healthz' } })
  t.same(rig.probesOf('b-raw')[0]?.http, undefined)
  t.same(rig.said('b-raw'), ['join', 'admit healthy ramp'])
  rig.hosts.set('b', good(302))
  rig.run(1_000)
  t.equal(rig.is('b'), 'healthy')
})

void t.test('a joining one that answers requests for want of others has proven itself', async (t) => {
  const rig = rigOf('a')
  rig.hosts.set('b', mute)
  rig.apply(web('a', 'b'))
  rig.run(100)
  rig.live('b')
  rig.run(50)
  t.same(rig.said('b'), ['join', 'admit healthy ramp'])
})

void t.test(
  'a refused connection ejects at once, even the only one, and it is back when it listens again',
  async (t) => {
    const rig = rigOf('a')
    rig.hosts.set('a', gives('refused'))
    rig.fail('a', 'refused')
    t.same(rig.said('a'), ['eject refused proven certain'])
    t.equal(rig.state('a').admission, admission.dead)
    t.match(rig.view('a'), { state: 'ejected', cause: 'refused', ejections: 1 })
    rig.run(60_000)
    const gaps = rig
      .probesOf('a')
      .map(({ at }, i, all) => at - (all[i - 1]?.at ?? at))
      .slice(1)
    t.ok(gaps.length > 200)
    t.ok(Math.max(...gaps) <= 250, 'the service has nothing else, so at most 250 ms apart for ever')
    rig.hosts.set('a', good())
    rig.run(260)
    t.same(rig.said('a'), ['eject refused proven certain', 'admit healthy ramp'])
  },
)

void t.test('probes of an ejected one get rarer while there are others', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('refused'))
  rig.fail('a', 'refused')
  rig.run(15_000)
  const often = rig.probesOf('a').length
  t.ok(often >= 60 && often <= 76, `${String(often)} in the first 15 s`)
  rig.run(30_000)
  const rare = rig.probesOf('a').length - often
  t.ok(rare >= 14 && rare <= 30, `${String(rare)} in the 30 s after`)
  rig.hosts.set('b', gives('refused'))
  rig.fail('b', 'refused')
  const from = rig.clock.now()
  rig.run(1_000)
  t.ok(rig.probesOf('a').filter(({ at }) => at > from).length >= 4, 'often again when there are no others')
})

void t.test('a short absence needs no ramp', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('refused'))
  rig.fail('a', 'refused')
  rig.hosts.set('a', good())
  rig.run(300)
  t.same(rig.said('a').at(-1), 'admit healthy')
})

void t.test('silence: suspected, probed, ejected between 0.6 and 0.75 s', async (t) => {
  for (let offset = 0; offset < 50; offset += 7) {
    const rig = rigOf('a', 'b')
    rig.run(1_000 + offset)
    rig.hosts.set('a', mute)
    const from = rig.clock.now()
    rig.wait('a')
    rig.run(550)
    t.same(rig.said('a'), ['state suspect'])
    rig.run(200)
    t.same(rig.said('a'), ['state suspect', 'eject silence'])
    const took = rig.told.at(-1)!.at - from
    t.ok(took >= 600 && took <= 750, String(took))
    t.equal(rig.state('a').admission, admission.ejected)
  }
})

void t.test('whatever is doubted first, a pause of 0.4 s is survived', async (t) => {
  for (const doubt of ['connections', 'reset', 'first-byte-timeout'] as const) {
    const rig = rigOf('a', 'b')
    rig.hosts.set('a', () => good(200, 405))
    if (doubt === 'connections') rig.health.doubt(rig.state('a'))
    else rig.fail('a', doubt)
    rig.run(550)
    t.same(rig.said('a'), ['state suspect', 'state healthy'], doubt)
  }
})

void t.test('a slow process that answers probes is never ejected', async (t) => {
  const rig = rigOf('a', 'b')
  rig.wait('a')
  rig.run(30_000)
  t.notOk(rig.said('a').some((each) => each.startsWith('eject')))
  t.ok(rig.state('a').lastLifeMs > rig.clock.now() - 500, 'each good probe is a sign of life')
  t.ok(rig.probesOf('a').length < 200)
})

void t.test('the usual time to a first byte sets how soon silence is suspicious, within bounds', async (t) => {
  for (const [usualMs, notBefore, by] of [
    [0, 200, 250],
    [20, 200, 250],
    [100, 400, 450],
    [5_000, 1_000, 1_050],
  ] as const) {
    const rig = rigOf('a', 'b')
    rig.state('a').usualMs = usualMs
    rig.wait('a')
    rig.run(notBefore)
    t.equal(rig.probes.length, 0, String(usualMs))
    rig.run(by - notBefore)
    t.equal(rig.probes.length, 1)
  }
})

void t.test('the deadline of a suspicion is learned from good probes', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', good(200, 300))
  rig.health.doubt(rig.state('a'))
  rig.run(400)
  rig.health.doubt(rig.state('a'))
  t.equal(rig.probes.at(-1)?.deadlineMs, 900)
  rig.run(400)
  t.equal(rig.is('a'), 'healthy')
})

void t.test('one slow probe, as of an application that has just started, sets no deadline for long', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', good(200, 550))
  rig.health.doubt(rig.state('a'))
  rig.run(600)
  rig.hosts.set('a', good(200, 5))
  rig.run(1_100)
  t.equal(rig.probesOf('a').length, 2, 'asked once more')
  t.match(rig.probesOf('a')[1], { deadlineMs: 2_000, http: { method: 'HEAD', path: '/' } })
  rig.run(20_000)
  t.equal(rig.probesOf('a').length, 2, 'and then it is known')
  t.same(rig.said('a'), ['state suspect', 'state healthy'])
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(650)
  t.equal(rig.is('a'), 'ejected')
})

void t.test('one whose good probes are slow is asked a few times, and then it is known', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', good(200, 300))
  rig.health.doubt(rig.state('a'))
  rig.run(60_000)
  t.equal(rig.probesOf('a').length, 5)
  t.same(rig.said('a'), ['state suspect', 'state healthy'])
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(1_000)
  t.equal(rig.is('a'), 'suspect')
  t.equal(rig.probesOf('a').at(-1)?.deadlineMs, 900)
  rig.run(200)
  t.equal(rig.is('a'), 'ejected')
})

void t.test('what is asked only to learn ejects nobody by its silence, and one that left is not asked', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', good(200, 300))
  rig.health.doubt(rig.state('a'))
  rig.run(350)
  rig.hosts.set('a', mute)
  rig.run(20_000)
  t.equal(rig.is('a'), 'healthy')
  t.equal(rig.probesOf('a').length, 2, 'no answer teaches nothing')
  rig.hosts.set('b', good(200, 300))
  rig.health.doubt(rig.state('b'))
  rig.run(350)
  rig.apply(web('a'))
  rig.run(5_000)
  t.equal(rig.probesOf('b').length, 1)
})

void t.test('a byte of an answer clears the suspicion, and its probe may then time out', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(300)
  t.equal(rig.is('a'), 'suspect')
  rig.live('a')
  rig.run(50)
  t.equal(rig.is('a'), 'healthy')
  rig.run(140)
  rig.live('a')
  rig.run(500)
  t.notOk(rig.said('a').includes('eject silence'))
})

void t.test('a byte that came just before the deadline counts without a sweep between', async (t) => {
  const rig = rigOf('a', 'b')
  rig.run(10)
  rig.hosts.set('a', mute)
  rig.health.doubt(rig.state('a'))
  rig.run(599)
  rig.live('a')
  rig.run(1)
  t.same(rig.said('a'), ['state suspect', 'state healthy'])
})

void t.test('a suspicion does not borrow the probe of an earlier one', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.health.doubt(rig.state('a'))
  rig.run(100)
  rig.live('a')
  rig.run(50)
  t.equal(rig.is('a'), 'healthy')
  rig.wait('a')
  rig.run(300)
  t.equal(rig.is('a'), 'suspect')
  rig.run(180)
  t.equal(rig.is('a'), 'suspect', 'the first one has timed out: it was not about this silence')
  t.equal(rig.probesOf('a').length, 2)
  rig.run(500)
  t.equal(rig.is('a'), 'ejected')
})

void t.test('silence stops at the panic threshold: the last ones stay suspect and are asked again', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (const key of ['a', 'b', 'c', 'd']) {
    rig.hosts.set(key, mute)
    rig.wait(key)
  }
  rig.run(5_000)
  const count = (state: string): number => ['a', 'b', 'c', 'd'].filter((key) => rig.is(key) === state).length
  t.same([count('ejected'), count('suspect')], [2, 2])
  const left = ['a', 'b', 'c', 'd'].find((key) => rig.is(key) === 'suspect')!
  t.ok(rig.probesOf(left).length >= 8)
  for (const key of ['a', 'b', 'c', 'd']) if (key !== left) rig.hosts.set(key, good())
  rig.run(1_200)
  t.equal(rig.is(left), 'ejected', 'as soon as there are enough others')
})

void t.test('an unreachable one is ejected by its probe', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('unreachable'))
  rig.fail('a', 'connect-timeout')
  rig.run(10)
  t.same(rig.said('a'), ['state suspect', 'eject silence'])
})

void t.test('the only one, unreachable, is asked again and again but not in a loop', async (t) => {
  const rig = rigOf('a')
  rig.hosts.set('a', gives('unreachable', 0))
  rig.fail('a', 'connect-timeout')
  rig.run(2_000)
  t.same(new Set(rig.said('a')), new Set(['state suspect', 'relieve']))
  t.ok(rig.probes.length >= 8 && rig.probes.length <= 41, String(rig.probes.length))
})

void t.test('a frozen one is back within a round trip of its return: probes overlap, at most four', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(800)
  t.equal(rig.is('a'), 'ejected')
  let most = 0
  for (let i = 0; i < 100; i++) {
    rig.run(20)
    most = Math.max(most, rig.running)
  }
  t.equal(most, seekMax)
  // What waits there is answered when the process goes on, so the next probe stands for all of them.
  rig.hosts.set('a', good(200, 1))
  rig.run(250)
  t.same(rig.said('a'), ['state suspect', 'eject silence', 'admit healthy'], 'no ramp: it did not die')
  t.equal(rig.running, 0, 'the probes left over are given up')
})

void t.test('a probe that times out while our own loop lagged is discarded and repeated', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(300)
  t.equal(rig.is('a'), 'suspect')
  rig.stall(500)
  t.equal(rig.is('a'), 'suspect')
  t.same(rig.said('a'), ['state suspect'])
  rig.run(100)
  t.equal(rig.probesOf('a').length, 2)
  rig.run(450)
  t.equal(rig.is('a'), 'ejected', 'the repeated one counts')
})

void t.test('after a delay of our own, waiting is no silence yet', async (t) => {
  const rig = rigOf('a', 'b')
  rig.wait('a')
  rig.stall(400)
  t.equal(rig.probes.length, 0)
  rig.run(50)
  t.equal(rig.probes.length, 1)
})

void t.test('a short delay of our own changes nothing', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(300)
  rig.stall(120)
  rig.run(330)
  t.equal(rig.is('a'), 'ejected')
})

void t.test('connections that end together: a probe at once, and ejection on refusal', async (t) => {
  const rig = rigOf('a')
  rig.hosts.set('a', gives('refused'))
  rig.health.doubt(rig.state('a'))
  t.equal(rig.probes.length, 1, 'at once')
  rig.health.doubt(rig.state('a'))
  t.equal(rig.probes.length, 1, 'one at a time')
  rig.run(2)
  t.same(rig.said('a'), ['state suspect', 'eject refused proven certain'])
})

void t.test('a probe that is refused late ejects one that was cleared meanwhile', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('refused', 120))
  rig.health.doubt(rig.state('a'))
  rig.run(20)
  rig.live('a')
  rig.run(50)
  t.equal(rig.is('a'), 'healthy')
  rig.run(100)
  t.equal(rig.is('a'), 'ejected')
})

void t.test('a request closed without a byte, and then the probe too, is a death', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('closed'))
  rig.fail('a', 'closed')
  rig.run(5)
  t.same(rig.said('a'), ['state suspect', 'eject closed-unanswered'], 'not for certain: it has never answered a probe')

  rig.health.doubt(rig.state('b'))
  rig.run(10)
  rig.run(11_000)
  rig.hosts.set('b', gives('closed'))
  rig.fail('b', 'reset')
  rig.run(5)
  t.match(rig.said('b').at(-1), /^eject closed-unanswered/)
})

void t.test('requests alone, however many are closed, eject nobody whose probes are answered', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (let i = 0; i < 20; i++) {
    for (const key of ['a', 'b', 'c', 'd']) {
      rig.fail(key, 'closed')
      rig.fail(key, 'closed')
      rig.state(key).answers += 20
    }
    rig.run(100)
  }
  for (const key of ['a', 'b', 'c', 'd'])
    t.same(
      rig.said(key).filter((each) => each.startsWith('eject closed')),
      [],
      key,
    )
})

void t.test('servers that close every HEAD serve on, though all be slow', async (t) => {
  const rig = rigOf('a', 'b', 'c')
  for (const key of ['a', 'b', 'c']) {
    rig.hosts.set(key, gives('closed', 1))
    rig.wait(key)
  }
  rig.run(12_000)
  for (const key of ['a', 'b', 'c'])
    t.same(
      rig.said(key).filter((each) => each.startsWith('eject')),
      [],
      key,
    )
})

void t.test('closed on a kept connection, or with life between, is none', async (t) => {
  const rig = rigOf('a', 'b')
  rig.fail('a', 'closed', { reused: true })
  rig.fail('a', 'closed', { reused: true })
  t.equal(rig.state('a').streak, 0, 'nor a failure')
  rig.run(10)
  t.same(rig.said('a'), ['state suspect', 'state healthy'])
  rig.fail('b', 'closed')
  rig.run(10)
  rig.fail('b', 'closed')
  rig.run(10)
  t.notOk(
    rig.said('b').some((each) => each.startsWith('eject')),
    'the probe was answered between',
  )
})

void t.test('a server that closes on HEAD but serves others is not asked in a loop', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', () => {
    rig.clock.setTimer(0.5, () => rig.live('a'))
    return gives('closed', 1)
  })
  rig.health.doubt(rig.state('a'))
  rig.run(1_000)
  t.ok(rig.probes.length < 5, String(rig.probes.length))
  t.equal(rig.is('a'), 'healthy')
})

void t.test('two closed more than ten seconds apart are two accidents', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('local'))
  rig.fail('a', 'closed')
  rig.run(10_050)
  rig.fail('a', 'closed')
  t.same(rig.said('a'), ['state suspect'])
})

void t.test('a refusal while ejected for silence is the proof that was missing', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(800)
  rig.fail('a', 'refused')
  rig.fail('a', 'refused')
  t.same(rig.said('a'), ['state suspect', 'eject silence', 'eject refused proven certain'])
  t.match(rig.view('a'), { ejections: 1, cause: 'refused' })
})

void t.test('flapping: from the third ejection in a minute it is held down, longer each time', async (t) => {
  const rig = rigOf('a', 'b')
  const gone: number[] = []
  for (let round = 0; round < 6; round++) {
    const from = rig.clock.now()
    rig.fail('a', 'refused')
    while (rig.is('a') !== 'healthy') rig.run(50)
    gone.push(rig.clock.now() - from)
  }
  t.ok(gone[0]! <= 300 && gone[1]! <= 300, gone.join())
  for (const [i, base] of [1_000, 2_000, 4_000, 5_000].entries()) {
    const took = gone[i + 2]!
    t.ok(took >= base && took <= Math.min(5_000, base * 1.2) + 300, gone.join())
  }
  rig.run(flapWindowMs)
  const from = rig.clock.now()
  rig.fail('a', 'refused')
  while (rig.is('a') !== 'healthy') rig.run(50)
  t.ok(rig.clock.now() - from <= 300, 'forgiven after a minute')
})

void t.test(
  'one held back for flapping is back within a quarter second when the others are dead, or only silent',
  async (t) => {
    for (const how of ['refused', 'silent'] as const) {
      const rig = rigOf('a', 'b', 'c', 'd')
      for (let i = 0; i < 4; i++) {
        rig.fail('a', 'refused')
        if (i < 3) rig.run(1_500)
      }
      rig.run(500)
      t.equal(rig.is('a'), 'ejected', 'it answers, and is held back')
      for (const key of ['c', 'd']) {
        if (how === 'refused') rig.hosts.set(key, gives('refused'))
        else rig.hosts.set(key, mute)
        if (how === 'refused') rig.fail(key, 'refused')
        else rig.wait(key)
      }
      if (how === 'silent') rig.run(250)
      rig.run(250)
      t.equal(rig.is('a'), 'healthy', how)
    }
  },
)

void t.test('flapping is forgiven at once where there is nothing else, and capped', async (t) => {
  const rig = rigOf('a')
  for (let round = 0; round < 8; round++) {
    rig.fail('a', 'refused')
    rig.run(300)
    t.equal(rig.is('a'), 'healthy')
  }
  const two = new HealthRig()
  two.apply({ web: { endpoints: ['a', 'b'], health: { maxEjectionMs: 1_500 } } })
  for (let round = 0; round < 8; round++) {
    two.fail('a', 'refused')
    two.run(1_800)
    t.equal(two.is('a'), 'healthy')
  }
})

void t.test('where new connections come to nothing, the silence is found all the same', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  rig.answer('a')
  rig.hosts.set('a', mute)
  rig.run(10)
  rig.wait('a')
  rig.run(250)
  t.equal(rig.is('a'), 'suspect')
  for (let i = 0; i < 5; i++) rig.fail('a', 'connect-timeout')
  t.same(rig.said('a').at(-1), 'eject consecutive-failures', 'failures add up before the silence has lasted')
  rig.run(400)
  t.same(rig.said('a').at(-1), 'eject silence', 'so that what waits there is rescued')
  rig.hosts.set('a', good())
  rig.run(250)
  t.same(rig.said('a').at(-1), 'admit healthy', 'not held back for failures that the silence was the reason of')
  for (let i = 0; i < 5; i++) rig.answer('a', 500)
  t.equal(rig.view('a')?.ejections, 2, 'it was one ejection')
  rig.run(950)
  t.equal(rig.is('a'), 'ejected')
  rig.run(350)
  t.equal(rig.is('a'), 'probation', 'nor is its first illness held against it as a second')
})

void t.test('one that was ejected for its failures and then falls silent is asked whether it lives', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  rig.wait('a')
  for (let i = 0; i < 5; i++) rig.answer('a', 500)
  t.equal(rig.is('a'), 'ejected')
  rig.run(300)
  t.match(rig.probesOf('a'), [{ http: { method: 'HEAD' } }])
  rig.run(600)
  t.same(rig.said('a'), ['eject consecutive-failures'], 'it answers: it is ill, and what waits goes on waiting')
  rig.hosts.set('a', mute)
  rig.run(1_000)
  t.same(rig.said('a').at(-1), 'eject silence')
})

void t.test('nobody asks one that was ejected for its failures and on whom nobody waits', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  rig.hosts.set('a', mute)
  for (let i = 0; i < 5; i++) rig.answer('a', 500)
  rig.run(900)
  t.same(rig.probes, [])
  t.same(rig.said('a'), ['eject consecutive-failures'])
})

void t.test('a byte that comes meanwhile speaks against silence', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  rig.hosts.set('a', mute)
  rig.wait('a')
  for (let i = 0; i < 5; i++) rig.answer('a', 500)
  rig.run(300)
  rig.live('a')
  rig.run(450)
  t.same(rig.said('a'), ['eject consecutive-failures'])
})

void t.test('failures in a row eject, for a hold-down, then probation', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (let i = 0; i < 4; i++) rig.answer('a', 500)
  rig.answer('a', 404)
  t.equal(rig.state('a').streak, 0)
  for (let i = 0; i < 4; i++) rig.answer('a', 502)
  t.equal(rig.is('a'), 'healthy')
  rig.answer('a', 500)
  t.same(rig.said('a'), ['eject consecutive-failures'])
  t.equal(rig.state('a').admission, admission.ejected)
  rig.run(950)
  t.equal(rig.is('a'), 'ejected')
  rig.run(350)
  t.same(rig.said('a').at(-1), 'admit probation')
  t.equal(rig.state('a').streak, 0)
  for (let i = 0; i < 4; i++) rig.answer('a')
  rig.run(50)
  t.equal(rig.is('a'), 'probation')
  rig.answer('a')
  rig.run(50)
  t.same(rig.said('a').at(-1), 'state healthy')
})

void t.test('the next failure on probation ejects at once, for twice as long', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  const held: number[] = []
  for (let i = 0; i < 5; i++) rig.answer('a', 500)
  for (let round = 0; round < 4; round++) {
    t.equal(rig.is('a'), 'ejected')
    const from = rig.clock.now()
    while (rig.is('a') === 'ejected') rig.run(50)
    held.push(rig.clock.now() - from)
    t.equal(rig.is('a'), 'probation')
    rig.fail('a', 'reset', { received: true })
  }
  for (const [i, base] of [1_000, 2_000, 4_000, 8_000].entries())
    t.ok(held[i]! >= base && held[i]! <= base * 1.2 + 150, held.join())
})

void t.test('probation without traffic ends with the window; suspicion in it is no pardon', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (let i = 0; i < 5; i++) rig.answer('a', 500)
  rig.run(1_300)
  t.equal(rig.is('a'), 'probation')
  rig.health.doubt(rig.state('a'))
  t.equal(rig.is('a'), 'suspect')
  rig.run(10)
  t.equal(rig.is('a'), 'probation')
  rig.run(9_700)
  t.equal(rig.is('a'), 'probation')
  rig.run(300)
  t.equal(rig.is('a'), 'healthy')
})

void t.test('a share of failures ejects where it is clearly worse than the others', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (let i = 0; i < 60 && rig.is('a') === 'healthy'; i++) {
    rig.run(50)
    for (const key of ['b', 'c', 'd']) rig.answer(key)
    rig.answer('a', i % 2 === 0 ? 500 : 200)
  }
  t.same(rig.said('a'), ['eject failure-rate'])
  t.same(rig.told.length >= 1 && rig.told.filter(({ key }) => key !== 'a'), [])
})

void t.test('too few answers are no share', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (let i = 0; i < 19; i++) {
    rig.run(50)
    rig.answer('a', i % 2 === 0 ? 500 : 200)
  }
  t.same(rig.told, [])
})

void t.test('what fails everywhere alike is no endpoint’s fault', async (t) => {
  for (const mixed of [false, true]) {
    const rig = rigOf('a', 'b', 'c', 'd')
    // Well for a while, so that the window holds many good answers when it begins.
    for (let i = 0; i < 200; i++) {
      rig.run(50)
      for (const key of ['a', 'b', 'c', 'd']) rig.answer(key)
    }
    for (let i = 0; i < 300; i++) {
      rig.run(7)
      for (const key of ['a', 'b', 'c', 'd']) rig.answer(key, mixed && i % 3 === 0 ? 200 : 500)
    }
    t.same(rig.told, [], mixed ? 'two of three' : 'all')
  }
})

void t.test('a fault of the whole application may reach one endpoint first', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (let i = 0; i < 200; i++) {
    rig.run(40)
    for (const key of ['a', 'b', 'c', 'd']) rig.answer(key)
  }
  // By the window alone it has twice the others' share.
  for (let i = 0; i < 5; i++) {
    rig.answer('a', 500)
    if (i < 2) for (const key of ['b', 'c', 'd']) rig.answer(key, 500)
  }
  t.equal(rig.state('a').streak, 5)
  t.same(rig.told, [])
})

void t.test('those that join or drain are not there to stand in', async (t) => {
  for (const draining of [false, true]) {
    const rig = rigOf(...(draining ? ['a', 'b', 'c'] : ['a']))
    for (const key of ['a', 'b', 'c']) rig.hosts.set(key, mute)
    const weight = draining ? 0 : 1
    rig.apply({ web: { endpoints: ['a', { key: 'b', weight }, { key: 'c', weight }] } })
    rig.wait('a')
    rig.run(2_000)
    t.equal(rig.is('a'), 'suspect', 'the last one')
  }
})

void t.test('failures never eject below the panic threshold', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  for (const key of ['a', 'b', 'c']) {
    for (let i = 0; i < 40; i++) rig.answer('d')
    for (let i = 0; i < 20; i++) rig.answer(key, 500)
  }
  t.equal(['a', 'b', 'c'].filter((key) => rig.is(key) === 'ejected').length, 2)
})

void t.test('ejection by numbers can be switched off', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b', 'c'], health: { consecutiveFailures: 0, failureRate: 0 } } })
  for (let i = 0; i < 100; i++) {
    rig.run(10)
    rig.answer('a', 500)
  }
  t.same(rig.told, [])
})

void t.test('what counts as a failure', async (t) => {
  const counted: string[] = []
  for (const kind of [
    'closed',
    'reset',
    'connect-timeout',
    'unreachable',
    'first-byte-timeout',
    'invalid',
    'idle-timeout',
    'local',
  ] as const) {
    const rig = rigOf('a', 'b')
    rig.fail('a', kind)
    if (rig.state('a').streak === 1) counted.push(kind)
    t.equal(rig.probes.length === 1, !['invalid', 'idle-timeout', 'local'].includes(kind), kind)
  }
  t.same(counted, ['closed', 'reset', 'connect-timeout', 'unreachable', 'first-byte-timeout', 'invalid'])
})

void t.test('configured probes: spread, jittered, ejecting and restoring at their thresholds', async (t) => {
  const rig = new HealthRig()
  const health = { http: '/healthz', intervalMs: 1_000, timeoutMs: 300, unhealthyThreshold: 3, healthyThreshold: 2 }
  rig.apply({ web: { endpoints: ['a', 'b', 'c', 'd'], health } })
  rig.run(1_001)
  for (const key of ['a', 'b', 'c', 'd']) t.equal(rig.probesOf(key).length >= 1, true)
  t.ok(new Set(rig.probes.slice(0, 4).map(({ at }) => at)).size >= 3, 'spread')
  rig.run(9_000)
  const at = rig.probesOf('a').map((each) => each.at)
  t.ok(at.length >= 9 && at.length <= 12, String(at.length))
  t.match(rig.probes[0], { http: { method: 'GET', path: '/healthz' }, deadlineMs: 300 })
  rig.hosts.set('a', good(500))
  while (rig.is('a') === 'healthy') rig.run(10)
  t.same(rig.said('a'), ['eject probe'])
  const bad = rig.probesOf('a').filter((each) => each.at > at.at(-1)!)
  t.ok(bad.length >= 3 && bad.length <= 4)
  rig.run(2_000)
  t.equal(rig.is('a'), 'ejected')
  rig.hosts.set('a', good(204))
  const from = rig.clock.now()
  rig.run(600)
  t.same(rig.said('a').at(-1), 'admit healthy')
  t.ok(rig.probesOf('a').filter((each) => each.at >= from).length >= 2)
  for (const key of ['b', 'c', 'd']) rig.hosts.set(key, good(500))
  rig.hosts.set('a', good(500))
  rig.run(5_000)
  t.same(
    ['a', 'b', 'c', 'd'].map((key) => rig.is(key)),
    ['ejected', 'ejected', 'ejected', 'ejected'],
    'as configured, whatever the panic threshold',
  )
  t.equal(rig.state('a').open, true, 'which then lets all have traffic')
})

void t.test('a periodic probe that times out while our own loop lagged is repeated, not counted', async (t) => {
  const rig = new HealthRig()
  rig.apply({
    web: { endpoints: ['a'], health: { http: '/', intervalMs: 1_000, timeoutMs: 300, unhealthyThreshold: 1 } },
  })
  rig.hosts.set('a', mute)
  while (rig.running === 0) rig.run(10)
  rig.stall(600)
  t.equal(rig.is('a'), 'healthy')
  rig.hosts.set('a', good())
  rig.run(200)
  t.equal(rig.probes.length, 2)
  rig.run(2_000)
  t.same(rig.told, [])
})

void t.test('with a tcp probe, what a frozen process accepts restores nothing', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b'], health: { tcp: true, intervalMs: 500 } } })
  rig.hosts.set('a', (request) => (request.http ? mute : connects))
  rig.run(2_000)
  t.equal(rig.is('a'), 'healthy')
  t.equal(rig.state('a').lastLifeMs, -Infinity, 'a connection is no sign of life')
  rig.wait('a')
  rig.run(5_000)
  t.equal(rig.is('a'), 'ejected')
  t.ok(rig.probes.at(-1), 'asked by HEAD')
  rig.hosts.set('a', (request) => (request.http ? good() : connects))
  rig.run(500)
  t.equal(rig.is('a'), 'healthy')
})

void t.test('tcp probes eject and restore by the connection', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b'], health: { tcp: true, intervalMs: 500, timeoutMs: 100 } } })
  rig.hosts.set('a', mute)
  rig.run(2_000)
  t.same(rig.said('a'), ['eject probe'])
  rig.hosts.set('a', (request) => (request.http ? mute : connects))
  rig.run(500)
  t.equal(rig.is('a'), 'healthy')
})

void t.test('while a path is configured, coming back wants it good', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b'], health: { http: '/ready' } } })
  rig.fail('a', 'refused')
  rig.hosts.set('a', good(503))
  rig.run(3_000)
  t.equal(rig.is('a'), 'ejected')
  rig.hosts.set('a', good(200))
  rig.run(300)
  t.equal(rig.is('a'), 'healthy')
})

void t.test('somebody else’s answer ejects, whatever its status, and only the right one restores', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b'], health: { identity: 'x-id' } } })
  rig.hosts.set('a', good(200, 2, 'other'))
  rig.health.doubt(rig.state('a'))
  rig.run(10)
  t.equal(rig.probes[0]?.http?.identity, 'x-id')
  t.same(rig.said('a'), ['state suspect', 'eject identity certain'])
  rig.hosts.set('a', good(200, 2, ''))
  rig.run(1_000)
  t.equal(rig.is('a'), 'ejected', 'no header is another')
  rig.hosts.set('a', good(200, 2, 'a'))
  rig.run(300)
  t.equal(rig.is('a'), 'healthy')
  rig.fail('a', 'refused')
  rig.hosts.set('a', good(200, 2, 'other'))
  rig.run(300)
  t.same(rig.said('a').slice(-2), ['eject refused proven certain', 'eject identity proven certain'])
  t.equal(rig.view('a')?.ejections, 2)
})

void t.test('an address that a younger registration of another service has, after a death', async (t) => {
  const rig = new HealthRig()
  const a = { key: 'a', life: 5, address: 'h', port: 1 }
  const other = { key: 'z', life: 9, address: 'h', port: 1 }
  rig.apply({ web: { endpoints: [a, 'b'] } })
  rig.hosts.set('h', gives('refused'))
  rig.fail('a', 'refused')
  rig.run(500)
  rig.apply({ web: { endpoints: [a, 'b'] }, shop: { endpoints: [other] } })
  rig.hosts.set('h', good())
  rig.run(5_000)
  t.same(rig.said('a'), ['eject refused proven certain', 'eject address-taken proven certain'])
  t.match(rig.view('a'), { state: 'ejected', cause: 'address-taken', ejections: 1 })
  t.equal(rig.is('z'), 'healthy')
  rig.apply({ web: { endpoints: [a, 'b'] } })
  rig.run(300)
  t.equal(rig.is('a'), 'healthy', 'the other one is gone, so it is its own again')
})

void t.test('two services of one process, on one port, both come back after its restart', async (t) => {
  const rig = new HealthRig()
  const a = { key: 'a', life: 5, address: 'h', port: 1 }
  const other = { key: 'z', life: 9, address: 'h', port: 1 }
  rig.apply({ web: { endpoints: [a, 'b'] }, shop: { endpoints: [other] } })
  rig.run(1_000)
  rig.state('a').lastLifeMs = rig.clock.now()
  rig.hosts.set('h', gives('refused'))
  rig.fail('a', 'refused')
  rig.fail('z', 'refused')
  rig.run(500)
  t.same([rig.is('a'), rig.is('z')], ['ejected', 'ejected'])
  rig.hosts.set('h', good())
  rig.run(1_000)
  t.same([rig.is('a'), rig.is('z')], ['healthy', 'healthy'])
})

void t.test('an older claimant, or no death, takes nothing away', async (t) => {
  const rig = new HealthRig()
  const a = { key: 'a', life: 5, address: 'h', port: 1 }
  rig.apply({ web: { endpoints: [a, 'b'] }, shop: { endpoints: [{ key: 'z', life: 4, address: 'h', port: 1 }] } })
  rig.fail('a', 'refused')
  rig.run(300)
  t.equal(rig.is('a'), 'healthy')
  rig.apply({ web: { endpoints: [a, 'b'] }, shop: { endpoints: [{ key: 'y', life: 6, address: 'h', port: 1 }] } })
  rig.hosts.set('h', mute)
  const end = rig.wait('a')
  rig.run(800)
  end()
  rig.hosts.set('h', good())
  rig.run(300)
  t.equal(rig.is('a'), 'healthy', 'it was only silent')
})

void t.test('proof: refused is, anything else is not, and it is asked once for all who wait', async (t) => {
  for (const [behaviour, expected] of [
    [gives('refused'), true],
    [good(), false],
    [gives('closed'), false],
    [gives('invalid'), false],
    [gives('local'), false],
    [mute, false],
  ] as const) {
    const rig = rigOf('a', 'b')
    rig.hosts.set('a', behaviour)
    const heard: boolean[] = []
    rig.health.prove(rig.state('a'), (dead) => heard.push(dead))
    rig.health.prove(rig.state('a'), (dead) => heard.push(dead))
    t.equal(rig.probes.length, 1)
    t.equal(rig.probes[0]?.deadlineMs, 500)
    rig.run(500)
    t.same(heard, [expected, expected], behaviour.result.kind)
    if (!expected) continue
    t.equal(rig.is('a'), 'ejected')
    rig.health.prove(rig.state('a'), (dead) => heard.push(dead))
    t.same(heard, [true, true, true], 'known by now')
  }
})

void t.test('proof from elsewhere answers those who wait for it', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  const heard: boolean[] = []
  rig.health.prove(rig.state('a'), (dead) => heard.push(dead))
  rig.fail('a', 'refused')
  t.same(heard, [true])
  rig.run(600)
  t.same(heard, [true])
})

void t.test('one that has left the table can still be proven dead, and is forgotten soon after', async (t) => {
  const rig = rigOf('a', 'b')
  const end = rig.wait('a')
  const state = rig.state('a')
  rig.apply(web('b'))
  t.equal(rig.health.stateOf(state)?.state, 'draining')
  rig.run(5_000)
  t.equal(rig.health.stateOf(state)?.state, 'draining', 'while a request holds it')
  end()
  rig.hosts.set('a', gives('refused'))
  const heard: boolean[] = []
  rig.health.prove(state, (dead) => heard.push(dead))
  rig.run(10)
  t.same(heard, [true])
  rig.run(lingerMs + 100)
  t.equal(rig.health.stateOf(state), undefined)
  rig.health.prove(state, (dead) => heard.push(dead))
  t.same(heard, [true, false], 'nothing is known of it')
  const told = rig.told.length
  rig.health.attemptFailed(state, { kind: 'refused', detail: '', reused: false, sent: false, received: false })
  t.equal(rig.told.length, told)
})

void t.test('an answer whose end proves nothing is cut, and is no failure of its instance', async (t) => {
  const rig = rigOf('a', 'b')
  rig.fail('a', 'closed', { received: true, detail: unprovenEnd })
  t.equal(rig.state('a').streak, 0)
  rig.fail('a', 'closed', { received: true, detail: 'cut' })
  t.equal(rig.state('a').streak, 1)
})

void t.test('dropped while ejected: no probe goes on', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.fail('a', 'refused')
  rig.run(2_000)
  t.ok(rig.running > 0)
  rig.apply(web('b'))
  t.equal(rig.running, 0)
  const probes = rig.probes.length
  rig.run(5_000)
  t.equal(rig.probes.length, probes)
})

void t.test('a table that comes while it is probed changes nothing for it', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.run(300)
  t.equal(rig.is('a'), 'suspect')
  rig.apply(web('a', 'b', 'c'))
  rig.run(450)
  t.equal(rig.is('a'), 'ejected')
  t.equal(rig.probesOf('a')[0]?.cancelled, false)
  rig.apply(web('a', 'b'))
  t.match(rig.view('a'), { state: 'ejected', cause: 'silence', ejections: 1 })
})

void t.test('a new life of the same key starts afresh', async (t) => {
  const rig = rigOf('a', 'b')
  rig.fail('a', 'refused')
  rig.apply({ web: { endpoints: [{ key: 'a', life: 2 }, 'b'] } })
  t.match(rig.view('a'), { state: 'joining', ejections: 0 })
})

void t.test('one that the catalog gives no weight drains, is left alone, and keeps its history', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', gives('refused'))
  rig.fail('a', 'refused')
  rig.apply({ web: { endpoints: [{ key: 'a', weight: 0, status: 'critical' }, 'b'] } })
  t.match(rig.view('a'), { state: 'draining', cause: 'refused' })
  const probes = rig.probes.length
  rig.run(5_000)
  t.equal(rig.probes.length, probes)
  rig.hosts.set('a', good())
  rig.apply(web('a', 'b'))
  t.match(rig.view('a'), { state: 'ejected', ejections: 1 })
  rig.run(10)
  t.equal(rig.is('a'), 'healthy', 'asked at once')
})

void t.test('a draining one that freezes is ejected, whatever the panic threshold', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.wait('a')
  rig.apply({ web: { endpoints: [{ key: 'a', weight: 0 }, 'b'] } })
  rig.run(800)
  t.same(rig.said('a'), ['state suspect', 'eject silence'])
})

void t.test('mode observe says the same and changes nothing', async (t) => {
  const rig = new HealthRig()
  const services = (...endpoints: string[]) => ({ web: { endpoints, health: { mode: 'observe' as const } } })
  rig.apply(services('a'))
  rig.apply(services('a', 'b'))
  t.same(rig.told, [], 'nobody joins')
  t.equal(rig.is('b'), 'healthy')
  rig.hosts.set('b', gives('refused'))
  rig.fail('b', 'refused')
  rig.hosts.set('b', good())
  rig.run(1_000)
  t.same(rig.said('b'), ['eject refused proven certain', 'admit healthy'])
  t.ok(rig.told.every(({ applied }) => !applied))
  t.equal(rig.state('b').admission, admission.open)
})

void t.test('panic in mode observe is counted by what it would have ejected', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a', 'b', 'c', 'd'], health: { mode: 'observe' } } })
  for (const key of ['a', 'b', 'c', 'd']) {
    rig.hosts.set(key, mute)
    rig.wait(key)
  }
  rig.run(5_000)
  t.equal(rig.told.filter(({ verdict }) => verdict.kind === 'eject').length, 2)
})

void t.test('mode off judges nothing', async (t) => {
  const rig = new HealthRig()
  rig.apply({ web: { endpoints: ['a'], health: { mode: 'off', http: '/x' } } })
  rig.apply({ web: { endpoints: ['a', 'b'], health: { mode: 'off', http: '/x' } } })
  rig.wait('a')
  rig.fail('a', 'refused')
  for (let i = 0; i < 20; i++) rig.answer('a', 500)
  rig.health.doubt(rig.state('a'))
  const heard: boolean[] = []
  rig.health.prove(rig.state('a'), (dead) => heard.push(dead))
  rig.run(5_000)
  t.same([rig.told, rig.probes, heard, rig.view('a'), rig.state('a').streak], [[], [], [false], undefined, 0])
})

void t.test('a change of mode undoes what the old one did', async (t) => {
  for (const mode of ['observe', 'off'] as const) {
    const rig = rigOf('a', 'b')
    rig.hosts.set('a', gives('refused'))
    rig.hosts.set('c', gives('refused'))
    rig.fail('a', 'refused')
    rig.apply(web('a', 'b', 'c'))
    rig.apply({ web: { endpoints: ['a', 'b', 'c'], health: { mode } } })
    t.equal(rig.state('a').admission, admission.open, mode)
    t.equal(rig.state('c').admission, admission.open, mode)
    t.equal(rig.running, 0)
    rig.apply(web('a', 'b', 'c'))
    t.equal(rig.is('a'), 'healthy')
    rig.fail('a', 'refused')
    t.equal(rig.state('a').admission, admission.dead)
  }
})

void t.test('settings may change at any time', async (t) => {
  const rig = rigOf('a', 'b')
  rig.run(3_000)
  t.equal(rig.probes.length, 0)
  rig.apply({ web: { endpoints: ['a', 'b'], health: { http: '/x', intervalMs: 500 } } })
  rig.run(3_000)
  const probes = rig.probes.length
  t.ok(probes >= 8)
  rig.apply(web('a', 'b'))
  rig.run(3_000)
  t.ok(rig.probes.length <= probes + 2, 'no more than were under way')
  for (let i = 0; i < 4; i++) rig.answer('a', 500)
  rig.apply({ web: { endpoints: ['a', 'b'], health: { consecutiveFailures: 3 } } })
  for (let i = 0; i < 2; i++) rig.answer('a', 500)
  t.equal(rig.is('a'), 'ejected')
})

void t.test('no more probes at a time than allowed; the others have their turn', async (t) => {
  const keys = Array.from({ length: 400 }, (_, i) => `e${String(i)}`)
  const rig = new HealthRig()
  rig.apply(web('z', ...keys))
  for (const key of keys) rig.hosts.set(key, good(200, 100))
  for (const key of keys) rig.health.doubt(rig.state(key))
  t.equal(rig.running, urgentMax)
  let most = 0
  for (let i = 0; i < 150; i++) {
    rig.run(10)
    most = Math.max(most, rig.running)
  }
  t.equal(most, urgentMax)
  t.equal(new Set(rig.probes.map(({ host }) => host)).size, 400)
  t.ok(keys.every((key) => rig.is(key) === 'healthy'))

  const joining = new HealthRig()
  for (const key of keys) joining.hosts.set(key, mute)
  joining.apply(web('z'))
  joining.apply(web('z', ...keys))
  t.equal(joining.running, routineMax)
  joining.run(3_000)
  t.equal(new Set(joining.probes.map(({ host }) => host)).size, 400)
})

void t.test(
  'those that come late in the table are not kept from their turn by those that are always due',
  async (t) => {
    const keys = Array.from({ length: 200 }, (_, i) => `e${String(i)}`)
    const rig = new HealthRig()
    rig.apply({ web: { endpoints: keys, health: { panicThreshold: 1 } } })
    for (const key of keys) {
      rig.hosts.set(key, gives('unreachable', 0))
      rig.fail(key, 'connect-timeout')
    }
    rig.run(1_000)
    t.equal(new Set(rig.probes.map(({ host }) => host)).size, 200)
  },
)

void t.test('proof that cannot be asked for is no proof, in time', async (t) => {
  const keys = Array.from({ length: urgentMax }, (_, i) => `e${String(i)}`)
  const rig = new HealthRig()
  rig.apply(web('z', ...keys))
  for (const key of keys) {
    rig.hosts.set(key, mute)
    rig.health.doubt(rig.state(key))
  }
  const from = rig.clock.now()
  let heard: number | undefined
  rig.health.prove(rig.state('z'), (dead) => {
    t.equal(dead, false)
    heard = rig.clock.now() - from
  })
  rig.run(500)
  t.ok(heard !== undefined && heard <= 500)
})

void t.test('what a verdict leads to may come straight back', async (t) => {
  const rig = rigOf('a', 'b', 'c')
  rig.onVerdict = (key, verdict) => {
    if (key === 'a' && verdict.kind === 'eject') rig.fail('b', 'refused')
    if (key === 'b' && verdict.kind === 'eject') rig.fail('a', 'refused')
  }
  rig.fail('a', 'refused')
  t.same(rig.said('a'), ['eject refused proven certain'])
  t.same(rig.said('b'), ['eject refused proven certain'])
})

void t.test('stop ends every probe and answers who waits; it is idempotent', async (t) => {
  const rig = rigOf('a', 'b')
  rig.hosts.set('a', mute)
  rig.hosts.set('b', mute)
  rig.fail('a', 'refused')
  rig.run(500)
  const heard: boolean[] = []
  rig.health.prove(rig.state('b'), (dead) => heard.push(dead))
  rig.health.stop()
  rig.health.stop()
  t.equal(rig.running, 0)
  t.same(heard, [false])
  rig.run(5_000)
  t.equal(rig.running, 0)
  rig.apply(web('a', 'b', 'c'))
  rig.fail('b', 'refused')
  t.same(rig.said('b'), [])
})

void t.test('a service that goes takes its endpoints along', async (t) => {
  const rig = new HealthRig()
  rig.apply({ ...web('a'), shop: { endpoints: ['s'] } })
  const state = rig.state('s')
  rig.apply(web('a'))
  t.equal(rig.health.stateOf(state)?.state, 'draining')
  rig.run(lingerMs + 100)
  t.equal(rig.health.stateOf(state), undefined)
  rig.apply({ ...web('a'), shop: { endpoints: ['s2'] } })
  t.equal(rig.is('s2'), 'healthy')
})

/** Six errors in a row at `key`, while all others answer well. */
function makeIll(rig: HealthRig, key: string, others: readonly string[]): void {
  for (let i = 0; i < 20; i++) for (const other of others) rig.answer(other)
  rig.run(100)
  for (let i = 0; i < 6; i++) rig.answer(key, 500)
}

function order(rig: HealthRig, key: string, kind: 'drain' | undefined): void {
  const state = rig.state(key)
  state.order = kind && { kind, sinceMs: 0, untilMs: Infinity, wallMs: 0, reason: '', by: 'x', document: undefined }
  rig.health.ordered(state)
}

void t.test('what an operator has taken out counts for nothing: the last of the others is no spare', async (t) => {
  const rig = rigOf('a', 'b', 'c', 'd')
  order(rig, 'a', 'drain')
  order(rig, 'b', 'drain')
  makeIll(rig, 'c', ['a', 'b', 'd'])
  t.equal(rig.is('c'), 'ejected')
  makeIll(rig, 'd', ['a', 'b', 'c'])
  t.equal(rig.is('d'), 'healthy', 'none would be left')
  order(rig, 'a', undefined)
  order(rig, 'b', undefined)
  makeIll(rig, 'd', ['a', 'b', 'c'])
  t.equal(rig.is('d'), 'ejected')
})

void t.test('what an operator has taken out may be judged: it gets nothing, so nothing is taken away', async (t) => {
  const rig = rigOf('a', 'b')
  order(rig, 'a', 'drain')
  makeIll(rig, 'a', ['b'])
  t.equal(rig.is('a'), 'ejected')
})
