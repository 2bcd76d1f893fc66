/** One of four instances is on another machine, and its cable is pulled, or a firewall drops what it says. */
import { mixed } from './lib/client.ts'
import { byForm } from './lib/form.ts'
import { dropPackets, farHost, linkDown, linkUp, makeFarSide, onFarSide, passPackets } from './lib/networks.ts'
import { faultTest, type World } from './lib/scenario.ts'

makeFarSide()

const faults = [
  ['the link goes down', linkDown, linkUp],
  ['packets are dropped', dropPackets, passPackets],
] as const

for (const [what, begin, end] of faults)
  faultTest(what, {
    world: {
      instances: 3,
      backend: { latency: 5 },
      before: async (world) => {
        const far = await world.fleet.start('web-far', { host: farHost, prefix: onFarSide, latency: 5 })
        await world.fleet.register(far)
        world.instances.push(far)
      },
    },
    act: async (world: World) => {
      world.load({ connections: 32, rate: byForm<number | undefined>(600, undefined), ask: mixed() })
      await world.pass(byForm(1_000, 3_000))
      const far = world.instance(3)
      await world.inflict(what, () => {
        world.victims.push(far)
        begin()
      })
      await world.pass(byForm(2_500, 10_000))
      await world.heal(end)
      await world.pass(byForm(1_500, 5_000))
    },
    goals: { slowestSafeMs: 1_000, nextSecond: 0.75 },
  })
