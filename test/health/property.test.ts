/** Random lives of a service: what must hold whatever happens, in whatever order. */
import fc from 'fast-check'
import t from 'tap'
import { probeWaitMaxMs } from '../../src/health/condition.ts'
import { seekMax } from '../../src/health/monitor.ts'
import { connects, gives, good, HealthRig, mute, type Behaviour } from '../fixtures/health-rig.ts'

const keys = ['a', 'b', 'c', 'd', 'e']
const behaviours: readonly Behaviour[] = [
  good(),
  good(500, 30),
  good(200, 350),
  mute,
  gives('refused'),
  gives('closed'),
  gives('invalid'),
  gives('unreachable'),
  gives('local'),
  connects,
]
const kinds = ['refused', 'closed', 'reset', 'connect-timeout', 'unreachable', 'first-byte-timeout', 'invalid'] as const

const key = fc.constantFrom(...keys)
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('run' as const), ms: fc.constantFrom(10, 50, 300, 1_000, 5_000) }),
  },
  fc.record({ do: fc.constant('stall' as const), ms: fc.constantFrom(60, 200, 700) }),
  fc.record({ do: fc.constant('host' as const), key, how: fc.nat(behaviours.length - 1) }),
  fc.record({ do: fc.constant('fail' as const), key, kind: fc.constantFrom(...kinds), reused: fc.boolean() }),
  fc.record({ do: fc.constant('answer' as const), key, status: fc.constantFrom(200, 500), times: fc.nat(30) }),
  fc.record({ do: fc.constant('wait' as const), key }),
  fc.record({ do: fc.constant('release' as const) }),
  fc.record({ do: fc.constant('ended' as const), key }),
  fc.record({ do: fc.constant('prove' as const), key }),
  fc.record({
    do: fc.constant('table' as const),
    member: fc.subarray(keys),
    weightless: fc.constantFrom(...keys),
    mode: fc.constantFrom('act' as const, 'act' as const, 'observe' as const, 'off' as const),
    http: fc.constantFrom(undefined, undefined, '/x'),
    panicThreshold: fc.constantFrom(0, 0.5, 0.8, 1),
  }),
)
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never

class Life {
  readonly rig = new HealthRig()
  threshold = 0.5
  mode = 'act'
  problems: string[] = []
  asked = 0
  heard = 0
  readonly #ends: (() => void)[] = []

  constructor() {
    this.#table(keys, '', 'act', undefined, 0.5)
    this.rig.onVerdict = (who, verdict) => {
      const { rig } = this
      if (verdict.kind !== 'eject' || !['silence', 'consecutive-failures', 'failure-rate'].includes(verdict.cause))
        return
      const service = rig.bound?.services.get('web')
      const members = service?.groups.flatMap(({ endpoints }) => endpoints.map(({ state }) => state)) ?? []
      if (!members.some((state) => state.key === who)) return
      const views = members.map((state) => rig.health.stateOf(state)?.state)
      const counted = views.filter((state) => state !== 'joining').length
      const available = views.filter((state) => state !== 'joining' && state !== 'ejected').length
      if (available < this.threshold * counted)
        this.problems.push(`${who}: ${verdict.cause} with ${String(available)} of ${String(counted)} left`)
    }
  }

  #table(
    members: readonly string[],
    weightless: string,
    mode: 'act' | 'observe' | 'off',
    http: string | undefined,
    panicThreshold: number,
  ): void {
    this.threshold = panicThreshold
    this.mode = mode
    this.rig.apply({
      web: {
        health: { mode, http, panicThreshold },
        endpoints: members.map((each) => ({ key: each, weight: each === weightless ? 0 : 1 })),
      },
    })
  }

  #has(who: string): boolean {
    for (const state of this.rig.registry.endpoints()) if (state.key === who) return true
    return false
  }

  do(what: Action): void {
    const { rig } = this
    if ('key' in what && !this.#has(what.key)) return
    switch (what.do) {
      case 'run':
        return rig.run(what.ms)
      case 'stall':
        return rig.stall(what.ms)
      case 'host':
        return void rig.hosts.set(what.key, behaviours[what.how]!)
      case 'fail':
        return rig.fail(what.key, what.kind, { reused: what.reused })
      case 'answer':
        for (let i = 0; i < what.times; i++) rig.answer(what.key, what.status)
        return
      case 'wait':
        return void this.#ends.push(rig.wait(what.key))
      case 'release':
        return this.#ends.shift()?.()
      case 'ended':
        return rig.health.doubt(rig.state(what.key))
      case 'prove':
        this.asked++
        return rig.health.prove(rig.state(what.key), () => this.heard++)
      case 'table': {
        const before = new Map(keys.filter((each) => this.#has(each)).map((each) => [each, rig.state(each)]))
        const views = new Map([...before].map(([each, state]) => [each, rig.health.stateOf(state)]))
        const sameMode = this.mode === what.mode
        this.#table(what.member, what.weightless, what.mode, what.http, what.panicThreshold)
        for (const each of what.member) {
          const state = before.get(each)
          const view = views.get(each)
          if (!sameMode || !view || view.state === 'draining' || state?.leaving !== false || each === what.weightless)
            continue
          const after = rig.health.stateOf(state)
          if (after?.ejections !== view.ejections || after.state !== view.state)
            this.problems.push(`${each} lost its state over a table`)
        }
        return
      }
    }
  }

  check(): void {
    const { rig } = this
    const running = new Map<string, number>()
    for (const { host, over } of rig.probes) if (!over) running.set(host, (running.get(host) ?? 0) + 1)
    // Four that seek its return, one each on suspicion and for proof (an older life of the same address may have its own).
    for (const [host, count] of running)
      if (count > 2 * (seekMax + 2)) this.problems.push(`${host}: ${String(count)} probes`)
    for (const { key: who, applied } of rig.told) if (this.mode === 'off' && applied && !who) this.problems.push('off')
  }
}

void t.test('whatever happens, in whatever order', async (t) => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const life = new Life()
      const { rig } = life
      for (const each of actions) {
        life.do(each)
        life.check()
      }
      if (life.problems.length > 0) throw new Error(life.problems.join('; '))

      // Every member that is ejected is asked about again, and every probe ends.
      const from = rig.clock.now()
      rig.run(61_000)
      const member = rig.bound?.services.get('web')?.groups.flatMap(({ endpoints }) => endpoints) ?? []
      const wereEjected = member.filter(({ state }) => rig.health.stateOf(state)?.state === 'ejected')
      for (const { endpoint } of wereEjected)
        if (!rig.probesOf(endpoint.address).some(({ at }) => at >= from))
          throw new Error(`${endpoint.key} is forgotten`)
      if (rig.probes.some(({ at, over, deadlineMs }) => !over && at + deadlineMs < rig.clock.now()))
        throw new Error('a probe without end')
      if (life.asked !== life.heard)
        throw new Error(`${String(life.asked)} asked for proof, ${String(life.heard)} heard`)

      // All well again: everything is back, and stays.
      for (const each of keys) rig.hosts.set(each, good())
      rig.run(60_000 * 1.2 + 2 * probeWaitMaxMs + 10_000)
      for (const { state } of member) {
        const view = rig.health.stateOf(state)
        if (view && view.state !== 'healthy' && view.state !== 'suspect')
          throw new Error(`${state.key} is ${view.state}`)
      }
      rig.health.stop()
      if (rig.running > 0) throw new Error('probes after the end')
    }),
    { numRuns: 400, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false },
  )
  t.pass()
})
