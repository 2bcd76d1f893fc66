/** The port of a killed instance goes to another service, while the catalog still names the dead one there. */
import { mixed } from './lib/client.ts'
import { byForm } from './lib/form.ts'
import { faultTest } from './lib/scenario.ts'

faultTest('another service registers at the address of a dead instance', {
  world: {
    routes: [
      { path: '/other', service: 'other' },
      { path: '/', service: 'web' },
    ],
  },
  act: async (world) => {
    const dead = world.instance(0)
    world.load()
    await world.pass(500)
    await world.kill(dead)
    const other = { name: 'other-1', service: 'other', host: dead.host, port: dead.port }
    if (!world.withFault) return
    await world.fleet.register(other)
    await world.routed([other], 'other')
    await world.fleet.start('other-1', { service: 'other', port: dead.port })
    // Its own users reach it, and web's never do, though web's registration still names it.
    world.load({ name: 'other', service: 'other', connections: 4, rate: 100, ask: mixed('/other/work') })
    await world.pass(byForm(2_000, 10_000))
  },
  alone: true,
})
