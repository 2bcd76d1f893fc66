/** SIGKILL at any moment: while idle, and with requests before their head, in their upload, in their answer. */
import { byForm } from './lib/form.ts'
import { type Asked, mixed } from './lib/client.ts'
import { faultTest, type World } from './lib/scenario.ts'

/** The kill run of the issue: 4 endpoints, 32 clients, three kills in 9 s, each with its replacement. */
async function killRun(world: World): Promise<void> {
  world.load({ connections: 32, rate: byForm(800, 2_000), ask: mixed() })
  const apartMs = byForm(800, 3_000)
  await world.pass(apartMs)
  for (const at of [0, 1, 2]) {
    await world.kill(world.instance(at))
    const next = await world.fleet.start(`web-${at + 1}b`, { latency: 5 })
    await world.fleet.register(next)
    await world.fleet.deregister(`web-${at + 1}`)
    await world.pass(apartMs)
  }
}

faultTest('three kills with replacement, under load', {
  world: { backend: { latency: 5 } },
  act: killRun,
  goals: { slowestMs: 250 },
})

faultTest('a kill that Consul never hears of, while connections are idle', {
  act: async (world) => {
    await world.kill(world.instance(0))
    world.load({ connections: 8, rate: 300 })
    await world.requests(byForm(300, 3_000))
  },
})

faultTest('kills in the middle of answers: cut ones look cut, all others go on', {
  act: async (world) => {
    const streams = (n: number): Asked => {
      const path = `/stream?ms=600&bytes=20000&pieces=20&chunked=${n % 2}`
      return { method: 'GET', path, bodyBytes: 0 }
    }
    world.load({ connections: 16, name: 'stream', ask: streams })
    world.load({ connections: 8, rate: 300 })
    await world.pass(byForm(1_000, 5_000))
    for (const at of [0, 1]) {
      await world.kill(world.instance(at))
      await world.pass(byForm(900, 5_000))
    }
  },
  // What has begun to reach the client cannot be made good: cut, visibly, and nothing but cut.
  limits: { exempt: ({ path, outcome }) => path.startsWith('/stream') && outcome === 'cut' },
})

faultTest('kills in the middle of heads', {
  act: async (world) => {
    const halves = (): Asked => ({ method: 'GET', path: '/half-head?ms=200', bodyBytes: 0 })
    world.load({ connections: 8, name: 'half', ask: halves })
    world.load({ connections: 8, rate: 300 })
    await world.pass(byForm(800, 5_000))
    for (const at of [0, 1]) {
      await world.kill(world.instance(at))
      await world.pass(byForm(600, 5_000))
    }
  },
  // A backend that has begun its answer has run the request, and may have answered wrongly: that is told, not tried again.
  limits: { exempt: ({ path, status }) => path.startsWith('/half-head') && status === 502 },
})

faultTest('kills in the middle of uploads', {
  act: async (world) => {
    const uploads = (n: number): Asked => {
      return { method: n % 2 ? 'PUT' : 'POST', path: '/', bodyBytes: 300_000, bodyOverMs: 300 }
    }
    world.load({ connections: 8, name: 'upload', ask: uploads })
    world.load({ connections: 8, rate: 300 })
    await world.pass(byForm(800, 5_000))
    for (const at of [0, 1]) {
      await world.kill(world.instance(at))
      await world.pass(byForm(800, 5_000))
    }
  },
})
