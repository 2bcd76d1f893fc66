/** Instances that come and go at 5 Hz, in the catalog or in its checks, while their processes live: nobody notices. */
import { byForm } from './lib/form.ts'
import { faultTest } from './lib/scenario.ts'

const turns = byForm(12, 150)

faultTest('one is registered and deregistered at 5 Hz', {
  act: async (world) => {
    const flapper = world.instance(0)
    world.load()
    await world.pass(300)
    await world.inflict('flap', async () => {
      for (let turn = 0; turn < turns; turn++) {
        await (turn % 2 === 0 ? world.fleet.deregister(flapper.name) : world.fleet.register(flapper))
        await world.pass(100)
      }
    })
    await world.pass(500)
  },
  limits: { failedUnsafeMax: 0, seenMax: 1 },
})

faultTest("two of four flap in the catalog's checks at 5 Hz", {
  world: { check: 'ttl' },
  act: async (world) => {
    world.load()
    await world.pass(300)
    await world.inflict('flap', async () => {
      for (let turn = 0; turn < turns; turn++) {
        const verdict = turn % 2 === 0 ? 'fail' : 'pass'
        for (const at of [0, 1, 2, 3])
          await world.consul.api('PUT', `/v1/agent/check/${at < 2 ? verdict : 'pass'}/service:web-${at + 1}`)
        await world.pass(100)
      }
    })
    await world.pass(500)
  },
  limits: { failedUnsafeMax: 0, seenMax: 1 },
})
