/** A rolling deploy of ten instances without grace: each is killed with SIGKILL as its successor registers. */
import { mixed } from './lib/client.ts'
import { byForm } from './lib/form.ts'
import { faultTest } from './lib/scenario.ts'

faultTest('ten instances are replaced, each killed as its successor registers', {
  world: { instances: 10, backend: { latency: 5 } },
  act: async (world) => {
    world.load({ connections: 32, rate: byForm(600, 2_000), ask: mixed() })
    await world.pass(byForm(500, 2_000))
    for (const old of world.instances) {
      const next = await world.fleet.start(`${old.name}b`, { latency: 5 })
      await world.fleet.register(next)
      await world.kill(old)
      await world.fleet.deregister(old.name)
      await world.pass(byForm(50, 1_000))
    }
    await world.pass(byForm(500, 2_000))
  },
  // It leaves the catalog as it dies: whether that is a death or a leave is a race; what it cost is told either way.
  ledger: { unseenMax: 10 },
  goals: { slowestMs: 250 },
})
