/** SIGSTOP and SIGCONT: a process that still accepts connections, and says nothing. Consul has no check, and never knows. */
import { mixed, onlyGets } from './lib/client.ts'
import { byForm } from './lib/form.ts'
import { faultTest } from './lib/scenario.ts'

faultTest('one of four freezes and thaws: GETs go elsewhere, POSTs are answered when it is back', {
  world: { backend: { latency: 5 } },
  act: async (world) => {
    const frozen = world.instance(0)
    world.load({ connections: 32, rate: byForm<number | undefined>(600, undefined), ask: mixed() })
    await world.pass(byForm(1_000, 3_000))
    await world.freeze(frozen)
    await world.pass(byForm(2_500, 10_000))
    await world.thaw(frozen)
    await world.pass(byForm(1_000, 3_000))
  },
  // It runs what it holds when it thaws, so that a POST that waits is a good one.
  limits: { failedUnsafeMax: 0 },
  goals: { slowestSafeMs: 1_000, nextSecond: 0.75 },
  also: async (t, { facts }, world) => {
    if (!world.withFault) return
    const thawedMs = facts.faults[0]?.endMs ?? Infinity
    const again = facts.sent.filter(
      ({ instance, endMs, startMs }) => instance === 'web-1' && startMs > thawedMs && endMs > 0,
    )
    t.ok(again.length > 0, `it gets requests again: ${again.length}`)
    const firstMs = Math.min(...again.map(({ endMs }) => endMs)) - thawedMs
    t.comment(`its first answer to a new request came ${Math.round(firstMs)} ms after the thaw`)
  },
})

faultTest('a frozen one is killed: what waits there is cut at once, and told', {
  act: async (world) => {
    world.load({ connections: 16, rate: 400, ask: mixed() })
    await world.pass(byForm(700, 3_000))
    await world.freeze(world.instance(0))
    await world.pass(byForm(1_200, 5_000))
    await world.kill(world.instance(0))
    world.victims.pop()
    await world.pass(byForm(800, 3_000))
  },
  alone: true,
})

faultTest('pauses of one to three seconds are rescued like a freeze', {
  world: { backend: { latency: 5, pause: '1000-3000', pauseEveryMs: byForm(6_000, 20_000) } },
  act: async (world) => {
    world.load({ connections: 16, rate: 200, ask: onlyGets() })
    await world.pass(byForm(7_000, 60_000))
  },
  // All four pause by themselves: whichever did may stand in the ledger.
  ledger: { falseAlarmsMax: Infinity },
  alone: true,
})
